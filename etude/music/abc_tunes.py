"""ABC tunes to Scores, after the ABC standard 2.1.

Kept: notes of all voices, ties joined; repeats, volte, the order of parts in ``P:`` (or ``Y:``, as in the Nottingham
database) and jumps, played; tempo, metre and key; dynamics as velocities; chord symbols as texts; the title; programs,
transposition and the drum channel from ``%%MIDI``.

Lost: grace notes, ornaments and articulations; words; the accompaniment that some players make of chord symbols;
macros and quarter tones. An accidental holds for its octave up to the end of the bar, as in print, unless
``%%propagate-accidentals`` says ``pitch`` or ``not``.
"""

import re
from pathlib import Path

from etude.errors import FormatError
from etude.music.abc_fields import read_metre, read_tempo
from etude.music.abc_voice import Voice
from etude.music.midi_text import decode_text
from etude.music.notation import Bar, Written, play, resolution
from etude.music.score import Score, Track

_FIELD = re.compile(r"([A-Za-z]):(?![|:])\s*(.*)")
_INLINE = re.compile(r"\[([A-Za-z]):\s*([^\]]*)\]")
_COMMENT = re.compile(r"(?<!\\)%.*")
_TUNE = re.compile(r"^X:[ \t]*(\d*)", re.MULTILINE)
_GROUP = re.compile(r"\(([^()]*)\)(\d*)")
_LETTER = re.compile(r"([A-Za-z])(\d*)")
_MAX_PARTS = 1000


def read_abc(source: Path | str | bytes, *, tune: int | None = None, repeats: bool = True) -> Score:
    """Read one tune.

    Args:
        source: a path, or the bytes of a file or of a part of one.
        tune: its number, ``X:``; needed where there are several.
        repeats: play repeats and parts; otherwise every bar sounds once.

    Raises:
        FormatError: the file is missing, has no such tune or several, or is damaged; one line, with the path if it
            is given.

    Example:
        >>> read_abc(b"X:1\\nM:2/4\\nL:1/8\\nK:D\\n|: DFAd :|\\n").notes.pitch
        array([62, 66, 69, 74, 62, 66, 69, 74], dtype=int32)
    """
    where = "" if isinstance(source, bytes) else f"{source}: "
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        return play(_Tune(_lines_of(decode_text(data), tune)).written(), repeats=repeats)
    except OSError as error:
        raise FormatError(f"{where}cannot be read: {error.strerror or error}") from error
    except FormatError as error:
        raise FormatError(f"{where}{error}") from None


def _lines_of(text: str, tune: int | None) -> list[str]:
    """Return the lines of one tune, those that stand before all tunes first."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    tunes = list(_TUNE.finditer(text))
    if tune is not None:
        chosen = [place for place, found in enumerate(tunes) if found[1] and int(found[1]) == tune]
        if not chosen:
            raise FormatError(f"no tune with X:{tune}; there are {len(tunes)} tunes")
        place = chosen[0]
    elif len(tunes) > 1:
        raise FormatError(f"{len(tunes)} tunes; say which one, such as tune={tunes[0][1] or 1}")
    elif not tunes:
        raise FormatError("no tune: no line begins with X:")
    else:
        place = 0
    end = tunes[place + 1].start() if place + 1 < len(tunes) else len(text)
    return (text[: tunes[0].start()] + text[tunes[place].start() : end]).split("\n")


class _Tune:
    """Reads the lines of a tune into voices."""

    def __init__(self, lines: list[str]) -> None:
        self.title = ""
        self.order = ""
        self.default = Voice()
        self.voices: dict[str, Voice] = {}
        self.voice = self.default
        self.parts: list[tuple[str, int]] = []
        self.tempos: list[tuple[int, object, int]] = []
        self.in_body = False
        is_text = False
        for line in lines:
            is_text = (is_text or line.startswith("%%begin")) and not line.startswith("%%end")
            if not is_text:
                self._read_line(line)

    def _read_line(self, line: str) -> None:
        if line.startswith(("%%", "I:")):
            self._directive(line.lstrip("%").removeprefix("I:").split())
            return
        line = _COMMENT.sub("", line).rstrip()
        field = _FIELD.match(line)
        if field:
            self._field(field[1], field[2].strip())
        elif self.in_body and line.strip():
            at = 0
            music = line.rstrip("\\")
            for inline in _INLINE.finditer(music):
                self.voice.read_music(music[at : inline.start()])
                self._field(inline[1], inline[2].strip())
                at = inline.end()
            self.voice.read_music(music[at:])

    def _field(self, name: str, value: str) -> None:
        if name == "T" and not self.title:
            self.title = value
        elif name in "PY" and not self.in_body:
            self.order = self.order if name == "Y" and self.order else value
        elif name == "P":
            self.parts.append((value, self.voice.begin_part()))
        elif name == "M":
            self._each(lambda voice: voice.set_metre(*read_metre(value)))
        elif name == "L":
            self._each(lambda voice: voice.set_unit(value))
        elif name == "Q":
            tempo = read_tempo(value, self.voice.unit)
            if tempo:
                self.tempos.append((*self.voice.place(), tempo))
        elif name == "V":
            self._choose_voice(value)
        elif name == "K":
            self._each(lambda voice: voice.set_key(value))
            if not self.in_body:
                self.in_body = True
                for voice in self.voices.values():
                    voice.set_key(value)

    def _each(self, change) -> None:
        """Apply a field: in the header to what all voices begin with, else to the voice that is being read."""
        change(self.voice if self.in_body else self.default)

    def _choose_voice(self, value: str) -> None:
        name, _, properties = value.partition(" ")
        if name == "*":
            return
        if name not in self.voices:
            # the music before the first V: belongs to the first voice
            is_used = self.in_body and not self.voices and not self.default.is_empty
            self.voices[name] = self.default if is_used else self.default.copy()
        self.voices[name].set_properties(properties)
        if self.in_body:
            self.voice = self.voices[name]

    def _directive(self, words: list[str]) -> None:
        voice = self.voice if self.in_body else self.default
        if words[:1] == ["propagate-accidentals"] and words[-1] in ("not", "octave", "pitch"):
            voice.accidentals = words[-1]
        if len(words) < 3 or words[0] != "MIDI":
            return
        numbers = [int(word) for word in words[2:] if re.fullmatch(r"-?\d+", word)]
        if words[1] == "program" and numbers and 0 <= numbers[-1] <= 127:
            voice.program = numbers[-1]
        elif words[1] == "channel" and numbers:
            voice.is_drum = numbers[0] == 10
        elif words[1] == "transpose" and numbers:
            voice.midi_transpose = numbers[0]

    def written(self) -> Written:
        """Return all voices as rows.

        Raises:
            FormatError: there is no ``K:``, which begins the music.
        """
        if not self.in_body:
            raise FormatError("no music: the tune has no line K:")
        voices = [voice for voice in self.voices.values() if not voice.is_empty] or [self.default]
        if not self.default.is_empty and self.default not in voices:
            voices.insert(0, self.default)
        for voice in voices:
            voice.finish()
        ppq = resolution({time.denominator for voice in voices for time in voice.times()} | {1})
        written = Written(ppq)
        for voice in voices:
            _add_voice(written, voice, is_first=voice is voices[0])
        written.tempos = [(bar, round(at * ppq), tempo) for bar, at, tempo in self.tempos]
        written.sections = self._sections(len(written.bars))
        if self.title:
            written.headings.append(("track_name", self.title))
        return written

    def _sections(self, num_bars: int) -> list[range]:
        """Return the spans of bars of the parts in the order that the header states; empty if it states none."""
        letters = _parts_in_order(self.order)
        starts = [(label[:1], bar) for label, bar in self.parts]
        ends = [bar for _, bar in starts[1:]] + [num_bars] * bool(starts)
        spans: dict[str, range] = {}
        for (label, begin), end in zip(starts, ends, strict=True):
            spans.setdefault(label, range(begin, end))
        if not letters or not set(letters) <= spans.keys():
            return []
        before = [range(0, starts[0][1])] if starts[0][1] else []
        return before + [spans[letter] for letter in letters]


def _parts_in_order(text: str) -> list[str]:
    """Return the letters of an order of parts, such as ``A(AB)3``, written out.

    Example:
        >>> "".join(_parts_in_order("A(AB)3C2"))
        'AABABABCC'
    """
    text = re.sub(r"[\s.*\"]", "", text)
    while len(text) <= _MAX_PARTS and _GROUP.search(text):
        text = _GROUP.sub(lambda group: group[1] * min(int(group[2] or 1), _MAX_PARTS), text)
    if not re.fullmatch(r"([A-Za-z]\d*)+", text or "") or len(text) > _MAX_PARTS:
        return []
    letters = [letter for letter, count in _LETTER.findall(text) for _ in range(min(int(count or 1), _MAX_PARTS))]
    return letters[:_MAX_PARTS]


def _add_voice(written: Written, voice: Voice, *, is_first: bool) -> None:
    track, ppq = len(written.tracks), written.ppq
    written.tracks.append(Track(voice.program, voice.is_drum, voice.name))
    written.bars += [Bar() for _ in range(len(voice.bars) - len(written.bars))]
    for bar, own in zip(written.bars, voice.bars, strict=False):
        bar.length_tick = max(bar.length_tick, round(own.length * ppq))
        for name, value in own.marks.items():
            setattr(bar, name, max(getattr(bar, name), value) if name == "plays" else value)
        bar.endings |= own.endings
    for bar, at, duration, pitch, velocity, is_tied in voice.notes:
        begin, end = round(at * ppq), round((at + duration) * ppq)
        if 0 <= pitch <= 127 and end > begin:
            written.notes.append((bar, begin, end - begin, pitch, velocity, track, is_tied, True))
    written.texts += [(bar, round(at * ppq), "text", text, track) for bar, at, text in voice.chords]
    if is_first:
        written.time_signatures = [(bar, round(at * ppq), *metre) for bar, at, *metre in voice.metres]
        written.key_signatures = [(bar, round(at * ppq), *key) for bar, at, *key in voice.keys]
