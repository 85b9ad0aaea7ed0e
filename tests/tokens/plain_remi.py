"""The remi encoding once more, note by note with fractions in plain loops, to test the column arithmetic against."""

from fractions import Fraction
from math import log2

from hypothesis import strategies as st

from etude.music.score import Score, Tempos, TimeSignatures, Track

METRES = [(upper, 2**power) for power in range(7) for upper in range(1, 2 ** (power + 1) + 1)]
LENGTHS = [12 * (2**octave - 1) + 2**octave * step for octave in range(8) for step in range(12)]


def remi_scores(*, max_notes: int = 20, with_drums: bool = True) -> st.SearchStrategy[Score]:
    """Return scores with any metres and tempos, in any place, and with instruments that meet."""
    tick = st.integers(0, 6000)
    note = st.tuples(tick, st.integers(0, 2500), st.integers(58, 62), st.integers(1, 127), st.integers(0, 4))
    tempo = st.tuples(tick, st.integers(100_000, 5_000_000))
    common = st.sampled_from([(4, 4), (3, 4), (6, 8), (2, 2), (7, 16)])
    metre = st.tuples(tick, common | st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128])))

    def build(ppq: int, notes: list, tempos: list, metres: list, drums: bool) -> Score:
        return Score.of(
            *(list(zip(*notes, strict=True)) or [()] * 5),
            ppq=ppq,
            tracks=[Track(0), Track(40), Track(0, name="again"), Track(127), Track(0, is_drum=drums)],
            tempos=Tempos.of(tick=[at for at, _ in tempos], us_per_quarter=[value for _, value in tempos]),
            time_signatures=TimeSignatures.of(
                tick=[at for at, _ in metres],
                numerator=[upper for _, (upper, _) in metres],
                denominator=[lower for _, (_, lower) in metres],
            ),
        )

    return st.builds(
        build,
        st.sampled_from([24, 96, 480, 1000]),
        st.lists(note, min_size=1, max_size=max_notes),
        st.lists(tempo, max_size=3),
        st.lists(metre, max_size=3),
        st.just(with_drums),
    )


def reduced_metre(upper: int, lower: int) -> tuple[int, int]:
    """Return a metre of the dictionary."""
    while lower > 64:
        upper, lower = -(-upper // 2), lower // 2
    while upper > 2 * lower:
        upper //= next(factor for factor in range(2, upper + 1) if upper % factor == 0)
    return upper, lower


def bars_of(score: Score, form: str) -> list[tuple[Fraction, tuple[int, int]]]:
    """Return where each bar begins, in positions, and its metre, past every note and every change."""
    changes = []
    if form != "reduced":
        for tick, upper, lower in zip(*score.time_signatures.columns().values(), strict=True):
            at = Fraction(12 * int(tick), score.ppq)
            changes.append((min(at, Fraction(round(at))), reduced_metre(int(upper), int(lower))))
    last = Fraction(12 * int(score.notes.onset_tick.max()), score.ppq)
    last = max([last, *(at for at, _ in changes)])
    bars, line = [], Fraction(0)
    while line <= last + 100:
        metre = ([(4, 4)] + [metre for at, metre in changes if at <= line])[-1]
        bars.append((line, metre))
        line += Fraction(48 * metre[0], metre[1])
    return [*bars, (line, metre)]


def plain_words(score: Score, form: str = "remigen2") -> list[str]:
    """Return what ``RemiTokenizer`` should write: slow, short, from the definition."""
    bars = bars_of(score, form)
    is_even = all(line.denominator == 1 for line, _ in bars)

    def place(tick: int) -> tuple[int, int]:
        at = Fraction(12 * int(tick), score.ppq)
        at = Fraction(round(at)) if is_even else at
        number = max(index for index, (line, _) in enumerate(bars) if line <= at)
        position = round(at - bars[number][0])
        return (number, position) if bars[number][0] + position < bars[number + 1][0] else (number + 1, 0)

    notes = []
    for onset, duration, pitch, velocity, track in zip(*score.notes.columns().values(), strict=True):
        where = place(onset)
        end = Fraction(12 * int(onset + duration), score.ppq)
        length = max(round((round(end) if is_even else end) - bars[where[0]][0] - where[1]), 1)
        instrument = 128 if score.tracks[track].is_drum else score.tracks[track].program
        number = max(index for index, shortest in enumerate(LENGTHS) if shortest <= length)
        key = int(pitch) + 128 * (instrument == 128)
        notes.append((where, instrument, -key, -number, -(int(velocity) // 4)))
    notes.sort()

    tempos = [
        (place(tick), round(12 * log2(min(max(60e6 / int(value), 16), 256) / 16)))
        for tick, value in zip(*score.tempos.columns().values(), strict=True)
        if Fraction(12 * int(tick), score.ppq) < bars[-1][0]
    ]

    def tempo(where: tuple[int, int]) -> str:
        return f"t-{([35] + [value for at, value in tempos if at <= where])[-1]}"

    words = []
    for bar in range(notes[-1][0][0] + 1):
        words += [f"s-{METRES.index(bars[bar][1])}"] if form != "reduced" else []
        words += [tempo((bar, 0))] if form == "remigen2" else []
        before = None
        for where, instrument, pitch, length, velocity in [note for note in notes if note[0][0] == bar]:
            if before is None or before[0] != where:
                words += [f"o-{where[1]}"] + ([tempo(where)] if form == "remigen" else [])
            if before != (where, instrument) or form == "reduced":
                words.append(f"i-{instrument}")
            words += [f"p-{-pitch}", f"d-{-length}"] + ([] if form == "reduced" else [f"v-{-velocity}"])
            before = where, instrument
        words.append("b-1")
    return words
