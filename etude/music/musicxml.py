"""MusicXML, plain or compressed, to a Score.

Kept: notes at sounding pitch, ties joined; programs, drums by their sounds; tempo, metre and key; dynamics as
velocities; the sustain pedal; words sung in the first verse; names of parts, title and copyright; repeats, volte
and jumps that are marked as such and not only by words, played.

Lost: grace notes, ornaments, articulations and arpeggios; crescendos and diminuendos; chord symbols; other verses;
quarter tones, which go to the semitone below; percussion without a sound of General MIDI; layout.

Scores by measure (``score-timewise``) are refused. Nothing outside the file is ever read.
"""

import io
import re
import zipfile
import zlib
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

from etude.errors import FormatError
from etude.music.musicxml_part import Instrument, PartReader
from etude.music.notation import Written, play, resolution
from etude.music.score import Score

MAX_XML_BYTES = 256 << 20
"""A compressed file that is larger than this when unpacked is refused."""

_CHUNK_BYTES = 1 << 18
_DIVISIONS = re.compile(rb"<divisions>\s*([\d.]+)")


def read_musicxml(source: Path | str | bytes, *, repeats: bool = True) -> Score:
    """Read a MusicXML file, .musicxml, .xml or .mxl.

    A track of the Score is an instrument of a part. Its resolution holds every duration of the file exactly,
    as long as MIDI can hold it.

    Args:
        source: a path, or the bytes of a file.
        repeats: play them; otherwise every bar sounds once.

    Raises:
        FormatError: the file is missing, is no MusicXML or is damaged; one line, with its path if it is given.
    """
    where = "" if isinstance(source, bytes) else f"{source}: "
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        return play(_read(_unpacked(data)), repeats=repeats)
    except OSError as error:
        raise FormatError(f"{where}cannot be read: {error.strerror or error}") from error
    except FormatError as error:
        raise FormatError(f"{where}{error}") from None


def _unpacked(data: bytes) -> bytes:
    """Return the XML of a file that may be a compressed one."""
    if data[:2] != b"PK":
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            container = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
            names = [element.get("full-path", "") for element in container.iter() if element.tag.endswith("rootfile")]
            if not names:
                raise FormatError("compressed MusicXML without a root file in META-INF/container.xml")
            return _member(archive, names[0])
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"damaged compressed MusicXML: {error}") from error
    except ElementTree.ParseError as error:
        raise FormatError(f"damaged compressed MusicXML: META-INF/container.xml: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > MAX_XML_BYTES:
        raise FormatError(f"{name} has {size} bytes unpacked; at most {MAX_XML_BYTES} are read")
    with archive.open(name) as file:
        # what the archive says of the size may be wrong
        return file.read(size)


def _read(data: bytes) -> Written:
    if not data:
        raise FormatError("empty")
    written = Written(_resolution(data))
    instruments: dict[str, list[Instrument]] = {}
    part: PartReader | None = None
    parser = ElementTree.XMLPullParser(events=("start", "end"))
    chunks = (data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES))
    manner = {"is_concert": False, "plays_cues": False}
    root, open_tags, place = None, 0, 0
    try:
        for event, element in chain.from_iterable(_events(parser, chunks)):
            tag = element.tag
            open_tags += 1 if event == "start" else -1
            if root is None:
                root = tag
                if root != "score-partwise":
                    raise FormatError(f"<{root}> instead of <score-partwise>: not MusicXML by part")
            elif event == "start":
                if tag == "part" and open_tags == 2:
                    part, place = PartReader(written, instruments.get(element.get("id", ""), []), **manner), 0
            elif tag == "measure" and part is not None:
                part.read_measure(element, place)
                place += 1
                # keeps memory small: a bar is done with
                element.clear()
            elif tag == "score-part":
                instruments[element.get("id", "")] = _instruments(element)
            elif tag == "concert-score":
                manner["is_concert"] = True
            elif tag == "software":
                manner["plays_cues"] = _WRITES_SMALL_NOTES_AS_CUES.match(text_of(element)) is not None
            elif tag in _TEXTS and text_of(element):
                written.headings.append((_TEXTS[tag], text_of(element)))
            elif tag == "part" and part is not None:
                part.finish()
                part = None
    except (ElementTree.ParseError, LookupError) as error:
        # a lookup of an encoding that there is not
        raise FormatError(f"damaged XML: {error}") from error
    if open_tags or root is None:
        raise FormatError("damaged XML: the file ends in the middle")
    return written


# these releases mark every note in small print as a cue note, which by the format would be silent
_WRITES_SMALL_NOTES_AS_CUES = re.compile(r"MuseScore [123]\b")
_TEXTS = {"movement-title": "track_name", "work-title": "track_name", "rights": "copyright"}


def _events(parser: ElementTree.XMLPullParser, chunks):
    for chunk in chunks:
        parser.feed(chunk)
        yield parser.read_events()
    parser.close()
    yield parser.read_events()


def text_of(element: ElementTree.Element | None, default: str = "") -> str:
    """Return the text of an element without white space around it."""
    return (element.text or default).strip() if element is not None else default


def _instruments(part: ElementTree.Element) -> list[Instrument]:
    """Return the instruments that a part of the list of parts declares; one at least."""
    name = " ".join(text_of(part.find("part-name")).split())
    declared = [element.get("id", "") for element in part.iter("score-instrument")]
    midi = {element.get("id", ""): element for element in part.iter("midi-instrument")}
    return [_instrument(name, key, midi.get(key)) for key in (declared or [*midi] or [""])]


def _instrument(name: str, key: str, midi: ElementTree.Element | None) -> Instrument:
    values = {}
    for tag, low, high in (("midi-channel", 1, 16), ("midi-program", 1, 128), ("midi-unpitched", 1, 128)):
        text = text_of(midi.find(tag) if midi is not None else None)
        values[tag] = int(text) if text.isdecimal() and low <= int(text) <= high else 0
    return Instrument(
        key,
        name,
        program=max(values["midi-program"] - 1, 0),
        is_drum=values["midi-channel"] == 10,
        sound=values["midi-unpitched"] - 1,
    )


def _resolution(data: bytes) -> int:
    """Return ticks per quarter that hold all durations exactly, or a number with many divisors."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.replace(b"\0", b"")
    found = {text.decode() for text in _DIVISIONS.findall(data)}
    # fractions of a division have no whole number that holds them
    return resolution(int(text) if text.isdecimal() else 0 for text in found)
