"""A voice of an ABC tune: lines of music to notes; times are quarters, as fractions, from the beginning of a bar."""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction

from etude.music.abc_fields import read_key, read_length, read_unit
from etude.music.musicxml_part import DEFAULT_VELOCITY, DYNAMICS

_TOKEN = re.compile(
    r"""(?P<skip>[\s`~.)\\$*]+|\{[^}]*\}|"[\^_<>@][^"]*"|y[\d/]*|[H-WYh-wy])
    |(?P<chord_symbol>"[^"]*")
    |(?P<decoration>![^!|\s]+!|\+[^+|\s]+\+)
    |(?P<bar>:*(?:\[\||\|\]|\|)+\]?:*|:{2,}|:\|?)(?P<after_bar>\d[\d,\-]*)?
    |(?P<ending>\[\s*(?P<times>\d[\d,\-]*))
    |(?P<tuplet>\((?P<p>\d)(?::(?P<q>\d?)(?::(?P<r>\d?))?)?)
    |(?P<chord>\[(?P<inside>[^\]|]*)\])(?P<chord_length>[\d/]*)
    |(?P<rests>[ZX])(?P<num_bars>\d*)
    |(?P<note>[\^_=]*[A-Ga-g][,']*|[zx])(?P<length>[\d/]*)
    |(?P<broken>>+|<+)
    |(?P<tie>-)
    |(?P<overlay>&)
    |(?P<other>.)""",
    re.VERBOSE,
)
_NOTE = re.compile(r"(?P<sign>\^\^|\^|__|_|=)?(?P<step>[A-Ga-g])(?P<octave>[,']*)(?P<length>[\d/]*)(?P<tie>-?)")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ALTER = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_IN_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_JUMPS = {"segno": "segno", "coda": "coda", "fine": "fine", "dacoda": "to_coda", "D.C.": "da_capo", "D.S.": "dal_segno"}
_JUMPS |= {"D.C.alfine": "da_capo", "D.C.alcoda": "da_capo", "D.S.alfine": "dal_segno", "D.S.alcoda": "dal_segno"}
_PROPERTY = re.compile(r"(\w+)\s*=\s*(\"[^\"]*\"|\S+)")
_MAX_RESTS = 999


@dataclass
class VoiceBar:
    """A bar of one voice: its length in quarters, and what it says of repeats."""

    length: Fraction = Fraction(0)
    marks: dict[str, int] = field(default_factory=dict)
    endings: frozenset[int] = frozenset()


class Voice:
    """Reads the music of a voice; ``finish`` when there is no more.

    Attributes:
        bars: the bars so far; the last one is being read.
        notes: bar, place, duration, pitch, velocity, whether it is tied to the next.
        chords: bar, place, chord symbol.
        metres, keys: bar, place, and the values of the tables of a Score.
        program, is_drum, name: what becomes the track.
    """

    def __init__(self) -> None:
        self.bars = [VoiceBar()]
        self.notes: list[tuple[int, Fraction, Fraction, int, int, bool]] = []
        self.chords: list[tuple[int, Fraction, str]] = []
        self.metres: list[tuple[int, Fraction, int, int]] = []
        self.keys: list[tuple[int, Fraction, int, bool]] = []
        self.program, self.is_drum, self.name = 0, False, ""
        self.octaves = self.transpose = self.midi_transpose = 0
        self.at = Fraction(0)
        self.metre: tuple[int, ...] = ()
        self.unit, self.has_unit = Fraction(1, 2), False
        self.key: dict[str, int] = {}
        # an accidental holds for its octave, for its pitch in all octaves, or for its note alone
        self.accidentals = "octave"
        self.in_bar: dict[tuple[str, str], int] = {}
        self.tied: dict[tuple[str, str], int] = {}
        self._named: dict[int, tuple[str, str]] = {}
        self._alters: dict[tuple[str, str], int] = {}
        self.velocity = DEFAULT_VELOCITY
        self.endings: frozenset[int] = frozenset()
        self.tuplet, self.factor = 0, Fraction(1)
        self.broken = Fraction(1)
        # rows of the last note or chord, where it began, how long it was
        self.last: tuple[list[int], Fraction, Fraction] = ([], Fraction(0), Fraction(0))

    @property
    def is_empty(self) -> bool:
        """Whether there was no music."""
        return len(self.bars) == 1 and not self.at and not self.notes

    def copy(self) -> "Voice":
        """Return another voice that begins with the same key, metre and the like."""
        return deepcopy(self)

    def place(self) -> tuple[int, Fraction]:
        """Return the bar and where in it the next note begins."""
        return len(self.bars) - 1, self.at

    def times(self) -> list[Fraction]:
        """Return every time and duration in it."""
        return [time for note in self.notes for time in note[1:3]] + [bar.length for bar in self.bars]

    def set_metre(self, *metre: int) -> None:
        """Begin a metre, upper and lower number; without them it is free."""
        self.metre = metre
        if metre:
            self.metres.append((*self.place(), *metre))
        if not self.has_unit and self.is_empty:
            # a metre under 3/4 counts sixteenths
            self.unit = Fraction(1, 4) if metre and metre[0] / metre[1] < 0.75 else Fraction(1, 2)

    def set_unit(self, value: str) -> None:
        """Set the unit note length, such as ``1/8``."""
        unit = read_unit(value)
        if unit:
            self.unit, self.has_unit = unit, True

    def set_key(self, value: str) -> None:
        """Begin a key, with what may stand beside it: accidentals, clef, transposition."""
        key = read_key(value)
        if key is not None:
            sharps, is_minor, self.key = key
            if not self.keys or self.keys[-1][2:] != (sharps, is_minor):
                self.keys.append((*self.place(), sharps, is_minor))
        self.set_properties(value)

    def set_properties(self, text: str) -> None:
        """Read ``name=``, ``transpose=``, ``octave=`` and clefs an octave up or down."""
        for name, value in _PROPERTY.findall(text):
            if name in ("name", "nm"):
                self.name = value.strip('"')
            elif name in ("transpose", "t") and re.fullmatch(r"-?\d+", value):
                self.transpose = int(value)
            elif name == "octave" and re.fullmatch(r"-?\d+", value):
                self.octaves = int(value)
        if clef := re.search(r"(?:treble|alto|tenor|bass|perc|G|F|C)\d?([+-])8", text):
            self.octaves = 1 if clef[1] == "+" else -1

    def begin_part(self) -> int:
        """Begin a part of the tune, and return its first bar."""
        if self.at:
            self._close_bar()
        return len(self.bars) - 1

    def finish(self) -> None:
        """Close the last bar."""
        if self.at:
            self._close_bar()
        if len(self.bars) > 1 and not self.bars[-1].length:
            self.bars.pop()

    def read_music(self, text: str) -> None:
        """Read a line, or a part of one, without fields."""
        for token in _TOKEN.finditer(text):
            kind = token.lastgroup
            if token["skip"] or token["other"]:
                continue
            if token["bar"]:
                self._bar_line(token["bar"], token["after_bar"])
            elif token["ending"]:
                self._begin_ending(token["times"])
            elif token["note"]:
                self._sound(token["note"], read_length(token["length"]))
            elif token["chord"]:
                self._sound(token["inside"], read_length(token["chord_length"]), is_chord=True)
            elif kind == "chord_symbol":
                self.chords.append((*self.place(), token["chord_symbol"].strip('"')))
            elif token["tuplet"]:
                self._begin_tuplet(int(token["p"]), token["q"], token["r"])
            elif token["broken"]:
                self._break(token["broken"])
            elif token["tie"]:
                self._tie(self.last[0])
            elif token["rests"]:
                self._rest_bars(int(token["num_bars"] or 1))
            elif token["overlay"]:
                self.bars[-1].length = max(self.bars[-1].length, self.at)
                self.at = Fraction(0)
            elif token["decoration"]:
                self._decoration(token["decoration"][1:-1])

    def _sound(self, text: str, length: Fraction, *, is_chord: bool = False) -> None:
        """Place a note, a chord or a rest."""
        own = [(found, read_length(found["length"])) for found in _NOTE.finditer(text)]
        # a chord is as long as its first note
        length *= own[0][1] if is_chord and own else 1
        scale = self.unit * self.factor * self.broken
        before, self.tied = self.tied, {}
        rows, ties = [], []
        for found, of_note in own:
            duration = (length / own[0][1] * of_note if is_chord else length) * scale
            pitch = self._pitch(found, before)
            if found["tie"]:
                ties.append(len(self.notes))
            rows.append(len(self.notes))
            self.notes.append((*self.place(), duration, pitch, self.velocity, False))
            self._named[len(self.notes) - 1] = (found["step"], found["octave"])
        self.last = (rows, self.at, length * scale)
        self.at += length * scale
        self.broken = Fraction(1)
        self.tuplet -= 1
        if self.tuplet <= 0:
            self.tuplet, self.factor = 0, Fraction(1)
        self._tie(ties)

    def _pitch(self, found: re.Match, tied: dict[tuple[str, str], int]) -> int:
        step, octave = found["step"].upper(), found["octave"]
        name = (found["step"], octave)
        height = 60 + _STEPS[step] + 12 * (found["step"].islower() + octave.count("'") - octave.count(","))
        if found["sign"]:
            self.in_bar[self._held(name)] = _ALTER[found["sign"]]
        alter = self.in_bar.get(self._held(name), self.key.get(step, 0))
        if self.accidentals == "not":
            self.in_bar = {}
        if not found["sign"] and name in tied:
            # a tie carries an accidental over the bar line
            alter = tied[name]
        self._alters[name] = alter
        return height + alter + 12 * self.octaves + self.transpose + self.midi_transpose

    def _held(self, name: tuple[str, str]) -> tuple[str, str]:
        """Return what an accidental on a note holds for up to the end of the bar."""
        return (name[0].upper(), "") if self.accidentals == "pitch" else name

    def _tie(self, rows: list[int]) -> None:
        for row in rows:
            self.notes[row] = (*self.notes[row][:5], True)
            name = self._named[row]
            self.tied[name] = self._alters[name]

    def _break(self, signs: str) -> None:
        """Lengthen the note before and shorten the next, or the other way round."""
        rows, began, length = self.last
        short = Fraction(1, 2 ** min(len(signs), 6))
        before, self.broken = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        for row in rows:
            note = self.notes[row]
            self.notes[row] = (*note[:2], note[2] * before, *note[3:])
        if length and began + length == self.at:
            self.at = began + length * before

    def _begin_tuplet(self, p: int, q: str | None, r: str | None) -> None:
        is_compound = bool(self.metre) and self.metre[0] % 3 == 0 and self.metre[0] > 3
        in_time_of = int(q) if q else _IN_TIME_OF.get(p, 3 if is_compound else 2)
        if p and in_time_of:
            self.tuplet, self.factor = int(r or p), Fraction(in_time_of, p)

    def _bar_line(self, sign: str, times: str | None) -> None:
        left = len(sign) - len(sign.lstrip(":"))
        right = len(sign) - len(sign.rstrip(":"))
        if set(sign) == {":"}:
            left, right = (1, 1) if len(sign) > 1 else (0, 0)
        if self.at:
            self._close_bar()
        if left and len(self.bars) > 1:
            self.bars[-2].marks["plays"] = left + 1
        if left or right or "||" in sign or "]" in sign or "[" in sign:
            self.endings = frozenset()
        if right:
            self.bars[-1].marks["forward"] = 1
        if times:
            self._begin_ending(times)

    def _begin_ending(self, times: str) -> None:
        if self.at:
            self._close_bar()
        numbers = set()
        for part in times.split(","):
            first, _, last = part.partition("-")
            if first:
                numbers.update(range(int(first[:2]), int(last[:2] or first[:2]) + 1))
        self.endings = frozenset(numbers)

    def _close_bar(self) -> None:
        bar = self.bars[-1]
        bar.length = max(bar.length, self.at)
        bar.endings = self.endings
        self.bars.append(VoiceBar())
        self.at, self.in_bar = Fraction(0), {}

    def _rest_bars(self, count: int) -> None:
        upper, lower = self.metre or (4, 4)
        for place in range(min(count, _MAX_RESTS)):
            if place:
                self._close_bar()
            self.at += Fraction(4 * upper, lower)

    def _decoration(self, name: str) -> None:
        if name in _JUMPS:
            self.bars[-1].marks[_JUMPS[name]] = 1
        elif name in DYNAMICS:
            self.velocity = DYNAMICS[name]
