"""A part of a MusicXML score to rows of written music; times are ticks from the beginning of a bar."""

import re
from bisect import bisect_right
from typing import NamedTuple
from xml.etree.ElementTree import Element

from etude.errors import FormatError
from etude.music.notation import Bar, Written
from etude.music.score import Track
from etude.music.sustain import SUSTAIN

DEFAULT_VELOCITY = 80
"""Of notes before any dynamics: mezzo-forte."""

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
# the velocities that notation programs commonly write for these marks
DYNAMICS = {"pppp": 10, "ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 126, "ffff": 127}
DYNAMICS |= {"fp": 49, "n": 1, "ppppp": 5, "pppppp": 3, "fffff": 127, "ffffff": 127}
# a percentage of the velocity of forte, as the format defines it
_FORTE = 90
_QUARTERS = {"maxima": 32, "long": 16, "breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": 0.5, "16th": 0.25}
_QUARTERS |= {"32nd": 1 / 8, "64th": 1 / 16, "128th": 1 / 32}
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_JUMPS = {"segno": "segno", "coda": "coda", "fine": "fine", "tocoda": "to_coda", "dacapo": "da_capo"}
_JUMPS |= {"dalsegno": "dal_segno"}
_PEDAL = {"start": (127,), "resume": (127,), "stop": (0,), "discontinue": (0,), "change": (0, 127)}
_UNSET = -1
_MOST_DIVISIONS = 10**9


class Instrument(NamedTuple):
    """What a part declares of an instrument: ``sound`` is a drum's pitch, -1 for none."""

    key: str
    name: str
    program: int
    is_drum: bool
    sound: int


class PartReader:
    """Reads the measures of one part, in order; then ``finish``.

    Args:
        written: gets the rows.
        instruments: of this part.
        is_concert: written pitches sound as they are, also of transposing instruments.
        plays_cues: cue notes are notes in small print, and sound.
    """

    def __init__(
        self, written: Written, instruments: list[Instrument], *, is_concert: bool = False, plays_cues: bool = False
    ) -> None:
        self.written = written
        self.plays_cues = plays_cues
        self.instruments = {one.key: one for one in instruments}
        self.default = instruments[0] if instruments else Instrument("", "", 0, False, -1)
        self.is_concert = is_concert
        self.is_first = not written.bars
        self.bar, self.place = Bar(), 0
        self.scale: float = written.ppq
        self.whole_bar = 4 * written.ppq
        self.at: float = 0
        self.previous: float = 0
        self.transpose: dict[str, int] = {}
        self.endings: frozenset[int] = frozenset()
        self.ends_here = False
        self.tracks: dict[tuple[int, bool], int] = {}
        self.dynamics: list[tuple[int, int, int]] = []
        self.pedals: list[tuple[int, int, int]] = []
        self.words: list[tuple[int, int, str, int]] = []
        self.first_note = len(written.notes)

    def read_measure(self, measure: Element, place: int) -> None:
        """Read the bar number ``place``, counted from 0."""
        bars = self.written.bars
        if place == len(bars):
            bars.append(Bar())
        self.bar, self.place = bars[place], place
        self.at = self.previous = 0
        furthest: float = 0
        for child in measure:
            handler = _HANDLERS.get(child.tag)
            if handler is not None:
                handler(self, child)
                furthest = max(furthest, self.at)
        if self.endings:
            self.bar.endings |= self.endings
            if self.ends_here:
                self.endings = frozenset()
        self.ends_here = False
        self.bar.length_tick = max(self.bar.length_tick, round(furthest) or self.whole_bar * self.is_first)

    def finish(self) -> None:
        """Give notes their velocities, and the pedal and the words their track."""
        written = self.written
        self.dynamics.sort(key=lambda row: row[:2])
        places = [row[:2] for row in self.dynamics]
        for row, note in enumerate(written.notes[self.first_note :], self.first_note):
            if note[4] == _UNSET:
                mark = bisect_right(places, note[:2]) - 1
                velocity = self.dynamics[mark][2] if mark >= 0 else DEFAULT_VELOCITY
                written.notes[row] = (*note[:4], velocity, *note[5:])
        if self.tracks:
            track = min(self.tracks.values())
            written.controls += [(bar, tick, track, SUSTAIN, value) for bar, tick, value in self.pedals]
            written.texts += [(bar, tick, "lyric", text, on) for bar, tick, text, on in self.words]

    def read_note(self, note: Element) -> None:
        """Read a note or a rest."""
        found = {child.tag: child for child in note}
        is_cue = "cue" in found and not self.plays_cues
        if "grace" in found or is_cue and "duration" not in found:
            return
        duration = self._duration(found)
        onset = self.previous if "chord" in found else self.at
        if "chord" not in found:
            self.previous, self.at = self.at, self.at + duration
        pitch = None if "rest" in found or is_cue else self._pitch(found)
        tick, end = round(onset), round(onset + duration)
        if pitch is None or not 0 <= pitch <= 127 or end <= tick:
            return
        of = found.get("instrument")
        instrument = self.instruments.get(of.get("id", ""), self.default) if of is not None else self.default
        track = self._track(instrument, "unpitched" in found)
        ties = {child.get("type") for child in note if child.tag == "tie"}
        loudness = _number(note.get("dynamics"))
        velocity = _UNSET if loudness is None else _velocity(loudness)
        row = (self.place, tick, end - tick, pitch, velocity, track, "start" in ties, "stop" in ties)
        self.written.notes.append(row)
        for lyric in note.findall("lyric") if "lyric" in found else ():
            text = "".join(element.text or "" for element in lyric.iter("text")).strip()
            if text and lyric.get("number", "1") == "1":
                self.words.append((self.place, tick, text, track))

    def read_attributes(self, attributes: Element) -> None:
        """Read divisions, key, metre and transposition."""
        for child in attributes:
            if child.tag == "divisions":
                divisions = _number(child.text)
                if not divisions:
                    raise FormatError(f"measure {self.place + 1}: divisions = {child.text}, expected more than 0")
                ppq = self.written.ppq
                self.scale = ppq // int(divisions) if ppq % divisions == 0 else ppq / divisions
            elif child.tag == "transpose" and not self.is_concert:
                octaves = _number(child.findtext("octave-change")) or 0
                shift = (_number(child.findtext("chromatic")) or 0) + 12 * octaves
                self.transpose[child.get("number", "")] = int(shift)
        # the transposition stands after the key it holds for
        for child in attributes:
            if child.tag == "key" and self.is_first:
                self._read_key(child)
            elif child.tag == "time" and self.is_first:
                self._read_time(child)

    def read_direction(self, direction: Element) -> None:
        """Read tempo, dynamics, pedal and jumps."""
        tick = max(round(self.at + (_number(direction.findtext("offset")) or 0) * self.scale), 0)
        sound = direction.find("sound")
        said = self.read_sound(sound, tick) if sound is not None else set()
        for kind in direction.iter("direction-type"):
            for element in kind:
                if element.tag == "metronome" and "tempo" not in said:
                    self._tempo(tick, _metronome(element))
                elif element.tag == "dynamics" and "dynamics" not in said:
                    values = [DYNAMICS[mark.tag] for mark in element if mark.tag in DYNAMICS]
                    self.dynamics += [(self.place, tick, value) for value in values[:1]]
                elif element.tag == "pedal":
                    values = _PEDAL.get(element.get("type", ""), ())
                    self.pedals += [(self.place, tick, value) for value in values]

    def read_sound(self, sound: Element, tick: int | None = None) -> set[str]:
        """Read what is to be heard from a place on, and return the names of what it says."""
        tick = round(self.at) if tick is None else tick
        self._tempo(tick, _number(sound.get("tempo")))
        loudness = _number(sound.get("dynamics"))
        if loudness is not None:
            self.dynamics.append((self.place, tick, _velocity(loudness)))
        for name, mark in _JUMPS.items():
            if sound.get(name) not in (None, "no"):
                setattr(self.bar, mark, True)
        return set(sound.keys())

    def read_barline(self, barline: Element) -> None:
        """Read repeats and volte."""
        for child in barline:
            if child.tag == "repeat" and child.get("direction") == "forward":
                self.bar.forward = True
            elif child.tag == "repeat":
                times = child.get("times", "2")
                self.bar.plays = max(self.bar.plays, int(times) if times.isdecimal() else 2)
            elif child.tag == "ending":
                if child.get("type") == "start":
                    numbers = _NUMBER.findall(child.get("number", ""))
                    self.endings = frozenset(int(float(number)) for number in numbers[:16])
                else:
                    self.ends_here = True

    def read_backup(self, backup: Element) -> None:
        """Go back."""
        self.at = self.previous = max(self.at - self._duration({child.tag: child for child in backup}), 0)

    def read_forward(self, forward: Element) -> None:
        """Go on without a sound."""
        self.at += self._duration({child.tag: child for child in forward})
        self.previous = self.at

    def _duration(self, found: dict[str, Element]) -> float:
        text = found["duration"].text if "duration" in found else None
        value = int(text) if text and text.isdecimal() else _number(text)
        if value is None or not 0 <= value < _MOST_DIVISIONS:
            raise FormatError(f"measure {self.place + 1}: a note or a step without a duration")
        return value * self.scale

    def _pitch(self, found: dict[str, Element]) -> int | None:
        if "pitch" in found:
            pitch = found["pitch"]
            step, octave = pitch.findtext("step", "").strip(), _number(pitch.findtext("octave"))
            if step not in _STEPS or octave is None:
                raise FormatError(f"measure {self.place + 1}: a pitch without a step and an octave")
            alter = _number(pitch.findtext("alter")) or 0
            staff = found["staff"].text or "" if "staff" in found else "1"
            shift = self.transpose.get(staff.strip(), self.transpose.get("", 0))
            return int((12 * (octave + 1) + _STEPS[step] + alter) // 1 + shift)
        if "unpitched" not in found:
            return None
        of = found.get("instrument")
        instrument = self.instruments.get(of.get("id", ""), self.default) if of is not None else self.default
        return instrument.sound if instrument.sound >= 0 else None

    def _track(self, instrument: Instrument, is_unpitched: bool) -> int:
        is_drum = instrument.is_drum or is_unpitched
        key = (0 if is_drum else instrument.program, is_drum)
        if key not in self.tracks:
            self.tracks[key] = len(self.written.tracks)
            self.written.tracks.append(Track(*key, instrument.name))
        return self.tracks[key]

    def _read_key(self, key: Element) -> None:
        fifths = _number(key.findtext("fifths"))
        if fifths is None or not -7 <= fifths <= 7:
            return
        shift = self.transpose.get("", 0) % 12
        # sounding: a semitone up is seven fifths up, and twelve fifths are the same key again
        sharps = (int(fifths) + 7 * shift + 5) % 12 - 5 if shift else int(fifths)
        is_minor = key.findtext("mode", "").strip() == "minor"
        self.written.key_signatures.append((self.place, round(self.at), sharps, is_minor))

    def _read_time(self, time: Element) -> None:
        upper = [sum(map(int, re.findall(r"\d+", element.text or ""))) for element in time.iter("beats")]
        lower = [int(_number(element.text) or 0) for element in time.iter("beat-type")]
        if len(upper) != len(lower) or not upper or any(one < 1 or one & (one - 1) or one > 128 for one in lower):
            return
        denominator = max(lower)
        numerator = sum(above * denominator // below for above, below in zip(upper, lower, strict=True))
        if 1 <= numerator <= 255:
            self.whole_bar = 4 * self.written.ppq * numerator // denominator
            self.written.time_signatures.append((self.place, round(self.at), numerator, denominator))

    def _tempo(self, tick: int, tempo_qpm: float | None) -> None:
        if tempo_qpm and 4 <= tempo_qpm <= 60_000_000:
            self.written.tempos.append((self.place, tick, round(60_000_000 / tempo_qpm)))


def _velocity(percent: float) -> int:
    return min(max(round(percent * _FORTE / 100), 1), 127)


def _number(text: str | None) -> float | None:
    """Return the number that a text is, None if it is none."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < _MOST_DIVISIONS else None


def _metronome(element: Element) -> float | None:
    """Return the quarters a minute of a metronome mark."""
    unit = _QUARTERS.get(element.findtext("beat-unit", "").strip())
    found = _NUMBER.search(element.findtext("per-minute", ""))
    if unit is None or found is None or len(element.findall("beat-unit")) > 1:
        return None
    dots = len(element.findall("beat-unit-dot"))
    return float(found[0]) * unit * (2 - 0.5**dots)


_HANDLERS = {
    "note": PartReader.read_note,
    "attributes": PartReader.read_attributes,
    "direction": PartReader.read_direction,
    "sound": PartReader.read_sound,
    "barline": PartReader.read_barline,
    "backup": PartReader.read_backup,
    "forward": PartReader.read_forward,
}
