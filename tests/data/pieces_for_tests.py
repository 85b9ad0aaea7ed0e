"""Small folders of MIDI for tests of corpora."""

from pathlib import Path

import numpy as np

from etude.music.midi import write_midi
from etude.music.score import Score
from etude.randomness import generator


def song(number: int, *, num_notes: int = 40, ppq: int = 480) -> Score:
    """Return a piece of its own for each number; ``ppq`` is the resolution, a multiple of 24."""
    draw = generator(number, "song")
    step = ppq // 24
    return Score.of(
        onset_tick=np.cumsum(draw.integers(0, 12, num_notes)) * step,
        duration_tick=draw.integers(1, 24, num_notes) * step,
        # 48 notes pass before a pitch returns: none sounds twice at once, which MIDI could not say
        pitch=40 + np.resize(draw.permutation(48), num_notes),
        velocity=draw.integers(20, 120, num_notes),
        ppq=ppq,
    )


def write_songs(folder: Path, names: list[str], *, num_notes: int = 40) -> list[Path]:
    """Write song k under the k-th name."""
    files = [folder / name for name in names]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_midi(song(number, num_notes=num_notes), file)
    return files


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
