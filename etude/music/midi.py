"""MIDI files to Score and back.

Reading keeps notes, tracks, tempos, signatures, control changes, pitch bends and texts; it loses system
exclusive data, key and channel pressure, release velocities and notes that never end. Writing keeps
everything a Score holds, so read, write, read gives the Score of the first reading.

Two ways lead from bytes to columns. ``smf`` reads everything. symusic reads twice as fast but drops,
merges or misreads what is unusual, so its notes are taken only where the walk through the file's
structure proves that it lost nothing: every event is accounted for. Texts, tempos and signatures come from
the walk either way.
"""

from pathlib import Path

import numpy as np
import symusic

from etude import files
from etude.errors import MidiError
from etude.music.columns import MAX_TICK
from etude.music.midi_in import DRUM_CHANNEL, assemble, notes_in_order, score_of
from etude.music.midi_out import bytes_of
from etude.music.midi_parts import Part
from etude.music.score import Controls, PitchBends, Score
from etude.music.smf import Meta, Walk
from etude.music.smf_events import read_events

_FEW = 8


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
        return _read(source)
    try:
        with open(source, "rb") as file:  # noqa: PTH123  pathlib takes a fifth of the time of a small file
            data = file.read()
    except OSError as error:
        raise MidiError(f"{source}: cannot be read: {error.strerror or error}") from error
    try:
        return _read(data)
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


def _read(data: bytes) -> Score:
    walk = Walk(data)
    return _through_symusic(walk) or score_of(read_events(walk))


def _through_symusic(walk: Walk) -> Score | None:
    """Build the Score from symusic's columns, or return None if they are not certain to hold everything."""
    parts = _plain_parts(walk)
    if parts is None:
        return None
    try:
        # a track that holds only lyrics is symusic's own invention
        tracks = [track for track in symusic.Score.from_midi(walk.data).tracks if track.note_num()]
    except (RuntimeError, ValueError, UnicodeDecodeError):
        return None
    if len(tracks) != len(parts) or not parts:
        return None
    if any((part.channel == DRUM_CHANNEL) != track.is_drum for part, track in zip(parts, tracks, strict=True)):
        return None
    parts = [part._replace(program=track.program) for part, track in zip(parts, tracks, strict=True)]
    notes = _columns([track.notes.numpy() for track in tracks])
    controls = _columns([track.controls.numpy() for track in tracks])
    bends = _columns([track.pitch_bends.numpy() for track in tracks])
    # as many as there are only if no event was dropped: no pressure, no note without an end or a beginning
    num_events = 2 * len(notes["time"]) + len(controls["time"]) + len(bends["time"])
    # a tick past 31 bits shows as negative, because no wait is long enough to hide it
    if num_events != walk.num_events or min(table["time"].min(initial=0) for table in (notes, controls, bends)) < 0:
        return None
    return assemble(
        walk.division,
        parts,
        _placed_metas(walk, parts, notes, (controls, bends)),
        notes_in_order(*(notes[name] for name in ("time", "duration", "pitch", "velocity", "track")), is_by_time=True),
        Controls(controls["time"], controls["track"], controls["number"], controls["value"]).in_order(),
        PitchBends(bends["time"], bends["track"], bends["value"]).in_order(),
    )


def _plain_parts(walk: Walk) -> list[Part] | None:
    """Return the one part of each track with events, program left open, or None if a file is not that simple."""
    if walk.format == 2 or walk.division < 0 or walk.is_odd or sum(wait for _, wait in walk.waits) > MAX_TICK // 2:
        return None
    for run in walk.runs:
        is_low = walk.is_low[run.at : run.end]
        if not (is_low[2:] | is_low[1:-1] | is_low[:-2]).all():
            # a delta time of four bytes: enough of them overflow 32 bits
            return None
    # symusic drops key pressure: not worth a try if there are statuses of it, which few delta times look like
    is_pressure = (walk.bytes[1:-1] & 0xF0 == 0xA0) & walk.is_low[:-2] & walk.is_low[2:]
    if np.count_nonzero(is_pressure) > _FEW:
        return None
    channels = walk.first_channels()
    if any(channels.get(change.source) != change.channel for change in walk.programs):
        # several channels in one track: controls of silent ones would be missing
        return None
    return [Part(source, channel, 0) for source, channel in channels.items()]


def _placed_metas(
    walk: Walk, parts: list[Part], notes: dict[str, np.ndarray], others: tuple[dict[str, np.ndarray], ...]
) -> list[Meta]:
    """Return the meta events at their ticks, which follow from how many events of their track come before."""
    track_of = {part.source: track for track, part in enumerate(parts)}
    ticks: dict[int, np.ndarray] = {}
    placed = []
    for index, meta in walk.metas:
        before = index - walk.first_event[meta.source]
        if before:
            if meta.source not in ticks:
                track = track_of[meta.source]
                begins, ends = (notes[name][notes["track"] == track] for name in ("time", "duration"))
                rest = (table["time"][table["track"] == track] for table in others)
                ticks[meta.source] = np.sort(np.concatenate([begins, begins + ends, *rest]))
            meta = meta._replace(tick=int(ticks[meta.source][before - 1]) + meta.tick)
        placed.append(meta)
    return placed


def _columns(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Lay the tables of all tracks end to end as int32, and add the track of each row."""
    if len(tables) == 1:
        columns = {name: column.astype(np.int32, copy=False) for name, column in tables[0].items()}
        return columns | {"track": np.zeros(len(columns["time"]), np.int32)}
    sizes = [len(table["time"]) for table in tables]
    columns = {name: np.concatenate([table[name] for table in tables], dtype=np.int32) for name in tables[0]}
    return columns | {"track": np.repeat(np.arange(len(tables), dtype=np.int32), sizes)}
