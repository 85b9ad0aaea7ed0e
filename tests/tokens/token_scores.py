"""Scores for tests of tokenizers: one fixed piece, and any piece that hypothesis can think of."""

import numpy as np
from hypothesis import strategies as st

from etude.music.score import Controls, Score, Tempos, TimeSignatures, Track


def pedals(*rows: tuple[int, int, int]) -> Controls:
    """Return sustain pedal movements from (tick, track, value)."""
    tick, track, value = zip(*rows, strict=True) if rows else ((), (), ())
    return Controls.of(tick=tick, track=track, number=[64] * len(rows), value=value)


def fixed_piece() -> Score:
    """Return half a minute with two pianos, drums, two tempos, pedal, rests, unisons and repeated notes."""
    count = np.arange(120)
    return Score.of(
        onset_tick=count * 97 + (count // 40) * 2000,
        duration_tick=40 + count * 37 % 400,
        pitch=36 + count * 7 % 48,
        velocity=1 + count * 13 % 127,
        track=count % 3,
        ppq=480,
        tracks=[Track(0), Track(4, name="right"), Track(0, is_drum=True)],
        tempos=Tempos.of(tick=[0, 3000], us_per_quarter=[500_000, 750_000]),
        time_signatures=TimeSignatures.of(tick=[0], numerator=[3], denominator=[4]),
        controls=pedals((100, 0, 127), (900, 0, 0), (1500, 1, 64), (2600, 1, 63), (5000, 0, 100), (7000, 0, 10)),
    )


def any_score(*, max_notes: int = 40, with_drums: bool = True) -> st.SearchStrategy[Score]:
    """Return scores with unisons, overlaps, notes of no length, tempo changes and any pedalling."""
    tick = st.integers(0, 4000)
    note = st.tuples(
        tick,
        st.integers(0, 1500),
        st.one_of(st.integers(0, 127), st.integers(60, 62)),
        st.integers(1, 127),
        st.integers(0, 2),
    )
    pedal = st.tuples(tick, st.integers(0, 2), st.sampled_from([0, 1, 63, 64, 90, 127]))
    tempo = st.tuples(tick, st.integers(100_000, 2_000_000))

    def build(ppq: int, notes: list, pedalling: list, tempos: list, drums: bool) -> Score:
        columns = list(zip(*notes, strict=True)) or [()] * 5
        tempo_columns = list(zip(*tempos, strict=True)) or [(), ()]
        return Score.of(
            *columns,
            ppq=ppq,
            tracks=[Track(0), Track(7), Track(0, is_drum=drums)],
            tempos=Tempos.of(tick=tempo_columns[0], us_per_quarter=tempo_columns[1]),
            controls=pedals(*pedalling),
        )

    return st.builds(
        build,
        st.sampled_from([24, 96, 384, 480, 1000]),
        st.lists(note, max_size=max_notes),
        st.lists(pedal, max_size=12),
        st.lists(tempo, max_size=4),
        st.booleans() if with_drums else st.just(False),
    )
