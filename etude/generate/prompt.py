"""The music to continue: a file, whole or its beginning."""

from pathlib import Path

from etude.errors import SettingsError
from etude.music.edit import first_notes, trim
from etude.music.midi import read_midi
from etude.music.score import Score


def read_prompt(path: Path | str, *, seconds: float | None = None, notes: int | None = None) -> Score:
    """Read a MIDI file as a prompt.

    Args:
        path: the file.
        seconds: keep the first seconds; a note that sounds at the cut ends there.
        notes: keep the first notes.

    Raises:
        MidiError: the file cannot be read.
        SettingsError: nothing of it is left, or both limits are given.
    """
    if seconds is not None and notes is not None:
        raise SettingsError(f"prompt {path}: cut by seconds = {seconds} or by notes = {notes}; give one of them")
    score = read_midi(path)
    if seconds is not None:
        score = trim(score, 0.0, seconds)
    if notes is not None:
        score = first_notes(score, notes)
    if len(score.notes) == 0:
        raise SettingsError(f"prompt {path}: holds no note to continue from; give more seconds or another file")
    return score
