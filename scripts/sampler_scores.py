"""Read one encoded score with music21 into a ``Score``: the notes as printed, nothing performed.

Conventions, all of them stated again in ``docs/sampler.md``:
    resolution  48 ticks a quarter: exact for 64th notes and for triplets of 32nds. A converter's rounding of a
                triplet (a time less than 1/100 quarter off that grid) is put right; any other time off the
                grid refuses the piece.
    bars        bar k begins at the same time in every part, and is as long as the longest part that has notes
                in it (some encodings write the rest of an empty bar too long). A piece is refused when a part
                is longer than most others in over 2 % of the bars, or shorter in over 5 % (a rest not
                written). A first bar that is short gets a metre of its own, so that later bar lines fall
                where they are printed.
    notes       tied notes are one note; grace notes, cue-sized unpitched notes and chord symbols are dropped;
                repeats are not played twice; fermatas, ornaments and articulation do not change times.
    one pitch   a pitch that a track strikes while it sounds ends there; of two equal onsets the longer stays.
    loudness    the last dynamic mark of the part, or 80.
    tempo       metronome marks and playback tempos of the score, except 120 (what notation programs write
                when nobody chose), else the default that the caller gives.
"""

import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from music21 import chord, dynamics, harmony, key, meter, note, stream, tempo

from etude.music.score import KeySignatures, Notes, Score, Tempos, TimeSignatures, Track

PPQ = 48
VELOCITY = 80
MARKS = {"ppp": 36, "pp": 48, "p": 60, "mp": 72, "mf": 84, "f": 96, "ff": 108, "fff": 120}
MOST_LONG_BARS = 0.02
MOST_SHORT_BARS = 0.05
ROUNDING_QUARTER = Fraction(1, 100)
PLAYBACK_DEFAULT_QPM = 120

PROGRAMS = (  # the first pattern found in a part's name decides
    (r"soprano|alto\b|tenor|bass\b|cant|triplum|duplum|motet|contra|voice|choir", 52),
    (r"oboe da caccia", 69),
    (r"oboe", 68),
    (r"recorder", 74),
    (r"flute", 73),
    (r"horn", 60),
    (r"trumpet|cornet", 56),
    (r"timpani", 47),
    (r"violin|vioilin|viloin", 40),
    (r"viola", 41),
    (r"cello", 42),
    (r"organ|continuo", 19),
    (r"piano", 0),
)


class Refused(Exception):
    """A score that cannot be read faithfully; the message is the reason."""


def read_score(parsed: stream.Score, *, program: int, default_qpm: Callable[[int, int], float]) -> Score:
    """Return the notes of a parsed piece.

    Args:
        parsed: what music21 read; transposing instruments are turned to sounding pitch in place.
        program: General MIDI program of parts whose name says nothing.
        default_qpm: gives quarter notes a minute to a metre (numerator, denominator), where the score says none.

    Raises:
        Refused: off the grid, without a metre, or parts that do not fit together.
    """
    parsed.toSoundingPitch(inPlace=True)
    parts = list(parsed.parts) or [parsed]
    bars = _bars(parts)
    starts = _bar_starts(bars)
    marks = [_marks(part_bars, starts) for part_bars in bars]
    staves = [index for index, part in enumerate(parts) if isinstance(part, stream.PartStaff)]
    rows, tracks = [], []
    for index, (part, part_bars) in enumerate(zip(parts, bars, strict=True)):
        notes = _merge_ties(_notes(part_bars, starts))
        if not notes:
            continue
        own = sorted(sum((marks[i] for i in staves), [])) if index in staves else marks[index]
        notes = _one_sound_per_pitch(notes)
        rows += [(on, off - on, pitch, _velocity(own, on), len(tracks)) for on, off, pitch in notes]
        tracks.append(_track(part, program))
    if not rows:
        raise Refused("no notes")
    metres = _metres(bars[0], starts)
    columns = np.array(rows).T
    names = ("onset_tick", "duration_tick", "pitch", "velocity", "track")
    return Score(
        PPQ,
        Notes.of(**dict(zip(names, columns, strict=True))),
        tuple(tracks),
        tempos=_tempos(bars, starts, default_qpm(*metres[0])),
        time_signatures=_time_signatures(metres, starts),
        key_signatures=_key_signatures(bars[0], starts),
    )


def _tick(time_quarter: float | Fraction) -> int:
    """Put a time on the grid.

    Raises:
        Refused: further off than a converter's rounding.
    """
    exact = Fraction(time_quarter).limit_denominator(65535)
    tick = round(exact * PPQ)
    if abs(exact - Fraction(tick, PPQ)) >= ROUNDING_QUARTER:
        raise Refused(f"a time of {exact} quarters is not on the grid")
    return tick


def _bars(parts: list) -> list[list[stream.Measure]]:
    bars = [list(part.getElementsByClass(stream.Measure)) for part in parts]
    if len({len(part_bars) for part_bars in bars}) > 1 or not bars[0]:
        raise Refused("parts of different numbers of bars, or none")
    return bars


def _bar_starts(bars: list[list[stream.Measure]]) -> list[int]:
    """Return when each bar begins, in ticks, and when the last one ends."""
    starts, long, short = [0], 0, 0
    for row in zip(*bars, strict=True):
        lengths = [_tick(bar.highestTime) for bar in row if bar.recurse().notes]
        lengths = lengths or [_tick(min(bar.highestTime for bar in row))]
        usual = Counter(sorted(lengths)).most_common(1)[0][0]
        long += max(lengths) > usual
        short += min(lengths) < usual
        starts.append(starts[-1] + max(lengths))
    if long > MOST_LONG_BARS * len(starts) or short > MOST_SHORT_BARS * len(starts):
        raise Refused(f"of {len(starts) - 1} bars, parts are too long in {long} and too short in {short}")
    return starts


def _notes(part_bars: list[stream.Measure], starts: list[int]) -> list[tuple[int, int, int, str | None]]:
    """Return (onset, offset, pitch, tie) of every note of a part, in ticks, in order."""
    found = []
    for bar, start in zip(part_bars, starts, strict=False):
        for element in bar.flatten().notes:
            if element.duration.isGrace or not element.quarterLength or isinstance(element, harmony.ChordSymbol):
                continue
            onset, offset = start + _tick(element.offset), start + _tick(element.offset + element.quarterLength)
            members = element.notes if isinstance(element, chord.ChordBase) else (element,)
            for member in members:
                if isinstance(member, note.Note) and offset > onset:
                    found.append((onset, offset, member.pitch.midi, member.tie.type if member.tie else None))
    return sorted(found, key=lambda row: row[:3])


def _merge_ties(notes: list[tuple[int, int, int, str | None]]) -> list[tuple[int, int, int]]:
    merged: list[tuple[int, int, int]] = []
    tied: dict[int, int] = {}  # pitch to the row that a later note may lengthen
    for onset, offset, pitch, tie in notes:
        row = tied.pop(pitch, None)
        if row is not None and tie in ("stop", "continue") and merged[row][1] == onset:
            merged[row] = (merged[row][0], offset, pitch)
        else:
            row = len(merged)
            merged.append((onset, offset, pitch))
        if tie in ("start", "continue"):
            tied[pitch] = row
    return merged


def _one_sound_per_pitch(notes: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    kept: list[tuple[int, int, int]] = []
    last: dict[int, int] = {}
    for onset, offset, pitch in sorted(notes, key=lambda row: (row[0], -row[1], row[2])):
        before = last.get(pitch)
        if before is not None and kept[before][0] == onset:
            continue
        if before is not None and kept[before][1] > onset:
            kept[before] = (kept[before][0], onset, pitch)
        last[pitch] = len(kept)
        kept.append((onset, offset, pitch))
    return kept


def _track(part: stream.Part, program: int) -> Track:
    name = " ".join((part.partName or "").split())
    name = "" if name in ("MusicXML Part", "Voice") or re.fullmatch(r"P\d+", name) else name
    found = next((number for pattern, number in PROGRAMS if re.search(pattern, name.lower())), program)
    return Track(found, name=name)


def _marks(part_bars: list[stream.Measure], starts: list[int]) -> list[tuple[int, int]]:
    found = []
    for bar, start in zip(part_bars, starts, strict=False):
        for mark in bar.getElementsByClass(dynamics.Dynamic):
            if mark.value in MARKS:
                found.append((start + _tick(mark.offset), MARKS[mark.value]))
    return found


def _velocity(marks: list[tuple[int, int]], onset: int) -> int:
    return next((velocity for tick, velocity in reversed(marks) if tick <= onset), VELOCITY)


def _tempos(bars: list[list[stream.Measure]], starts: list[int], default_qpm: float) -> Tempos:
    found = {0: default_qpm}
    for part_bars in bars:
        for bar, start in zip(part_bars, starts, strict=False):
            for mark in bar.recurse().getElementsByClass(tempo.MetronomeMark):
                chosen = mark.numberSounding if mark.number is None or mark.numberImplicit else mark.number
                if chosen and not (mark.number is None and chosen == PLAYBACK_DEFAULT_QPM):
                    found[start + _tick(mark.getOffsetInHierarchy(bar))] = chosen * mark.referent.quarterLength
    ticks = sorted(found)
    return Tempos.of(tick=ticks, us_per_quarter=[round(60e6 / found[tick]) for tick in ticks])


def _metres(part_bars: list[stream.Measure], starts: list[int]) -> dict[int, tuple[int, int]]:
    """Return the printed metres by tick."""
    found: dict[int, tuple[int, int]] = {}
    for bar, start in zip(part_bars, starts, strict=False):
        for mark in bar.getElementsByClass(meter.TimeSignature):
            found[start + _tick(mark.offset)] = (mark.numerator, mark.denominator)
    if 0 not in found:
        raise Refused("no metre at the start")
    return found


def _time_signatures(metres: dict[int, tuple[int, int]], starts: list[int]) -> TimeSignatures:
    """Return the metres, with one of its own for a short first bar."""
    numerator, denominator = metres[0]
    if len(starts) > 2 and 0 < starts[1] < numerator * 4 * PPQ // denominator:
        metres = {starts[1]: metres[0]} | metres | {0: _metre_of(starts[1])}
    ticks = sorted(metres)
    return TimeSignatures.of(
        tick=ticks, numerator=[metres[t][0] for t in ticks], denominator=[metres[t][1] for t in ticks]
    )


def _metre_of(length: int) -> tuple[int, int]:
    """Return the metre of one bar that is as long as this many ticks."""
    for denominator in (4, 8, 16, 32, 64):
        count = Fraction(length * denominator, 4 * PPQ)
        if count.denominator == 1:
            return int(count), denominator
    raise Refused("a first bar of no length that a metre can name")


def _key_signatures(part_bars: list[stream.Measure], starts: list[int]) -> KeySignatures:
    found: dict[int, tuple[int, int]] = {}
    for bar, start in zip(part_bars, starts, strict=False):
        for mark in bar.getElementsByClass(key.KeySignature):
            minor = isinstance(mark, key.Key) and mark.mode in ("minor", "aeolian")
            found[start + _tick(mark.offset)] = (mark.sharps, int(minor))
    ticks = sorted(found)
    return KeySignatures.of(tick=ticks, sharps=[found[t][0] for t in ticks], is_minor=[found[t][1] for t in ticks])
