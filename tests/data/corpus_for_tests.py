"""A small corpus with something of everything: copies, variants, broken rules, broken files, labels, licences."""

from pathlib import Path
from typing import Any

import numpy as np
from pieces_for_tests import song

from etude.data.prepare import prepare
from etude.music.columns import Controls, KeySignatures, Tempos, TimeSignatures
from etude.music.edit import transpose
from etude.music.midi import write_midi
from etude.music.score import Score, Track

COMPOSERS = ("Bach", "Bach", "Haydn", "Haydn", "Haydn", "Chopin", "Chopin", "Chopin")
NUM_PIECES = 10
"""Eight songs, a variant of the first, and one for drums and bass."""


def write_folder(folder: Path) -> Path:
    """Write the files, a table of labels and a ``SOURCE.md``; return the table."""
    folder.mkdir(parents=True)
    for number, composer in enumerate(COMPOSERS):
        write_midi(song(number, num_notes=200), folder / f"{composer.lower()}_{number}.mid")
    write_midi(transpose(song(0, num_notes=200), 3), folder / "higher.mid")
    write_midi(with_everything(), folder / "band.mid")
    write_midi(song(2, num_notes=200, ppq=960), folder / "zz_again.mid")
    write_midi(Score.of(), folder / "empty.mid")
    write_midi(Score.of([0, 480], [480, 480], [60, 64]), folder / "short.mid")
    (folder / "broken.mid").write_bytes(b"not MIDI")
    (folder / "SOURCE.md").write_text("- Licence: CC BY 4.0\n- Source: an attic\n")
    rows = [f"{c.lower()}_{k}.mid,{c},{'Ann' if k % 3 else 'Bo'}," for k, c in enumerate(COMPOSERS)]
    table = folder / "labels.csv"
    table.write_text("path,composer,performer,licence\n" + "\n".join([*rows, "band.mid,,Bo,CC0 1.0"]) + "\n")
    return table


def with_everything() -> Score:
    """Return a piece for bass and drums with tempi, metres, a key, a pedal and one velocity."""
    count = 64
    onset = np.repeat(np.arange(count) * 240, 2)
    return Score.of(
        onset,
        np.full(2 * count, 200),
        np.stack([36 + np.arange(count) * 5 % 24, np.tile([36, 38], count // 2)], axis=1).ravel(),
        np.full(2 * count, 90),
        np.tile([0, 1], count),
        tracks=[Track(33), Track(0, is_drum=True)],
        tempos=Tempos.of(tick=[0, 3840], us_per_quarter=[400_000, 600_000]),
        time_signatures=TimeSignatures.of(tick=[0, 3840], numerator=[3, 4], denominator=[4, 4]),
        key_signatures=KeySignatures.of(tick=[0], sharps=[-3], is_minor=[1]),
        controls=Controls.of(tick=[0, 960], track=[0, 0], number=[64, 64], value=[127, 0]),
    )


def make_corpus(folder: Path, **settings: Any) -> Path:
    """Prepare the files of ``write_folder`` below a folder and return the corpus."""
    write_folder(folder / "midi")
    settings = {"filters": {"min_notes": 3}, "workers": 1} | settings
    return Path(prepare(folder / "midi", folder / "corpus", **settings)["corpus"])
