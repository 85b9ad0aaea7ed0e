"""MIDI files to Score and back.

Reading keeps notes, tracks, tempos, signatures, control changes, pitch bends and texts; it loses system
exclusive data, key and channel pressure, release velocities and notes that never end. Writing keeps
everything a Score holds, so read, write, read gives the Score of the first reading.
"""

from pathlib import Path

from etude import files
from etude.errors import MidiError
from etude.music.midi_in import score_of
from etude.music.midi_out import bytes_of
from etude.music.score import Score
from etude.music.smf import Walk
from etude.music.smf_events import read_events


def read_midi(source: Path | str | bytes) -> Score:
    """Read a MIDI file of format 0, 1 or 2.

    A track of the Score is one (track of the file, channel, program); a control or pitch bend goes with
    the notes it is heard on. The patterns of a format 2 file follow one another. A SMPTE time division
    becomes a constant tempo. Bytes in texts are taken as UTF-8, else as what they look like.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        MidiError: the file is missing, is no MIDI file or is damaged; one line with its path.
    """
    if isinstance(source, bytes):
        return score_of(read_events(Walk(source)))
    try:
        # pathlib takes a tenth of the time of a small file, a buffer as much
        with open(source, "rb", buffering=0) as file:  # noqa: PTH123
            data = file.read()
    except OSError as error:
        raise MidiError(f"{source}: cannot be read: {error.strerror or error}") from error
    try:
        return score_of(read_events(Walk(data)))
    except MidiError as error:
        raise MidiError(f"{source}: {error}") from error


def write_midi(score: Score, path: Path | str) -> None:
    """Write a Score as a MIDI file of format 1, whole or not at all; equal scores give equal bytes.

    Raises:
        MidiError: a value of the Score does not fit into MIDI.
        EtudeError: the file cannot be written.
    """
    try:
        data = bytes_of(score)
    except MidiError as error:
        raise MidiError(f"{path}: cannot be written: {error}") from error
    files.write_bytes(path, data)


def midi_bytes(score: Score) -> bytes:
    """Return what ``write_midi`` would write.

    Raises:
        MidiError: a value of the Score does not fit into MIDI.
    """
    return bytes_of(score)
