"""What is found under a folder: formats by name, parts of files, and what is read of each."""

import json
import os
import shutil

import pytest

from etude.data.inputs import READERS, SUFFIXES, Input, find_inputs, read_bytes, reader_of
from etude.data.midi_dict import midi_dict_line
from etude.errors import CorpusError, FormatError
from etude.music.midi import midi_bytes
from etude.music.score import Score

SCORE = Score.of([0], [480], [60])
ABC = b"M:4/4\nL:1/4\n\nX: 7\nT:One\nK:C\nC|\n\nX:12\nK:C\nD|\n"
XML = b'<?xml version="1.0"?><!DOCTYPE x><score-partwise><part-list/></score-partwise>'


@pytest.fixture
def folder(tmp_path):
    """Files of every format, and others."""
    for name in ("b.MID", "a/c.midi", "a/d.Kar", "notes.txt", "a/x.jsonl.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(midi_bytes(SCORE))
    (tmp_path / "jigs.abc").write_bytes(ABC)
    line = midi_dict_line(SCORE).encode()
    (tmp_path / "x.JSONL").write_bytes(line + b"\n\n  \n" + line + b"\r\n" + line)
    for name in ("s.musicxml", "s.xml"):
        (tmp_path / name).write_bytes(XML)
    (tmp_path / "s.mxl").write_bytes(b"PK")
    (tmp_path / "utf16.xml").write_bytes(XML.decode().encode("utf-16"))
    (tmp_path / "page.xml").write_bytes(b"<html/>")
    return tmp_path


def names(folder, *formats):
    return [one.name for one in find_inputs(folder, formats)]


def test_a_format_is_told_by_the_end_of_a_name_in_any_case(folder):
    assert [one.name for one in find_inputs(folder)] == ["a/c.midi", "a/d.Kar", "b.MID"]
    assert names(folder, "musicxml") == ["s.musicxml", "s.mxl", "s.xml", "utf16.xml"]
    assert names(folder, "abc") == ["jigs.abc#12", "jigs.abc#7"]
    assert names(folder, "midi_dict") == ["x.JSONL#1", "x.JSONL#4", "x.JSONL#5"]
    assert len(names(folder, *SUFFIXES)) == 12


def test_every_format_has_a_reader():
    assert list(READERS) == list(SUFFIXES)
    assert all(callable(reader_of(name)) for name in READERS)


def test_every_part_is_read_alone(folder):
    scores = {one.name: reader_of(one.format)(read_bytes(one, at_most=1 << 20)) for one in find_inputs(folder, ["abc"])}
    assert {name: score.notes.pitch.tolist() for name, score in scores.items()} == {
        "jigs.abc#7": [60],
        "jigs.abc#12": [62],
    }
    # what stands before the first tune holds for all
    assert all(score.notes.duration_tick.tolist() == [score.ppq] for score in scores.values())
    for one in find_inputs(folder, ["midi_dict", "midi"]):
        assert reader_of(one.format)(read_bytes(one, at_most=1 << 20)).content_digest() == SCORE.content_digest()


def test_an_input_travels_as_json(folder):
    for one in find_inputs(folder, ("abc", "midi")):
        assert Input(*json.loads(json.dumps(one))) == one


def test_a_file_that_is_named_needs_no_format(folder):
    assert names(folder / "x.JSONL", "midi") == ["x.JSONL#1", "x.JSONL#4", "x.JSONL#5"]
    assert names(folder / "b.MID", "midi") == ["b.MID"]
    with pytest.raises(CorpusError, match="notes.txt: not a folder; expected a folder of MIDI files"):
        find_inputs(folder / "notes.txt")
    with pytest.raises(CorpusError, match="page.xml: XML, but not MusicXML: it does not say score-partwise"):
        find_inputs(folder / "page.xml")


def test_a_number_that_two_tunes_have_names_them_apart(tmp_path):
    (tmp_path / "a.abc").write_bytes(b"X:1\nK:C\nC\nX:01\nK:C\nD\nX:\nK:C\nE\nX:1\nK:C\nF\n")
    assert sorted(names(tmp_path, "abc")) == ["a.abc#1", "a.abc#1-2", "a.abc#1-3", "a.abc#3"]


@pytest.mark.parametrize("content", [b"", b"T:no tune\n"])
def test_a_file_that_holds_no_piece_is_one_input_whose_reading_says_so(tmp_path, content):
    for name in ("a.abc", "b.jsonl"):
        (tmp_path / name).write_bytes(content if name == "a.abc" else content[:0])
    found = find_inputs(tmp_path, ("abc", "midi_dict"))
    assert [one.name for one in found] == ["a.abc", "b.jsonl"]
    for one, message in zip(found, ("no tune", "empty"), strict=True):
        with pytest.raises(FormatError, match=message):
            reader_of(one.format)(read_bytes(one, at_most=100))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_one_input(tmp_path):
    (tmp_path / "a.abc").write_bytes(ABC)
    (tmp_path / "a.abc").chmod(0)
    (one,) = find_inputs(tmp_path, ("abc",))
    with pytest.raises(FormatError, match="cannot be read: Permission denied"):
        read_bytes(one, at_most=1000)


def test_links_are_followed_once(folder):
    (folder / "loop").symlink_to(folder)
    (folder / "again.mid").symlink_to(folder / "b.MID")
    (folder / "self.mid").symlink_to(folder / "self.mid")
    assert names(folder, "midi") == ["a/c.midi", "a/d.Kar", "again.mid", "b.MID", "self.mid"]
    with pytest.raises(FormatError, match="cannot be read"):
        read_bytes(find_inputs(folder)[-1], at_most=1000)


def test_a_name_that_is_not_utf8_is_printable(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.mid", "wb") as file:  # noqa: PTH123
        file.write(midi_bytes(SCORE))
    (one,) = find_inputs(tmp_path)
    assert one.name == r"caf\xe9.mid"
    assert read_bytes(one, at_most=1000) == midi_bytes(SCORE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such folder; expected a folder of MIDI files"),
        (lambda path: path.mkdir(), "empty; expected a folder of MIDI files"),
        (lambda path: (path / "x").mkdir(parents=True), "no file named .mid, .midi or .kar; expected"),
    ],
)
def test_nothing_to_read_is_refused(tmp_path, make, message):
    make(tmp_path / "midi")
    with pytest.raises(CorpusError, match=message):
        find_inputs(tmp_path / "midi")


def test_what_was_looked_for_is_said(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(CorpusError, match="no file named .abc or .jsonl; expected a folder of ABC or MidiDict files"):
        find_inputs(tmp_path, ("abc", "midi_dict"))
    with pytest.raises(CorpusError, match="no file named .abc; expected a folder of ABC files"):
        find_inputs(tmp_path, ("abc",))
    with pytest.raises(CorpusError, match="formats: no format 'music_xml'; did you mean 'musicxml'?"):
        find_inputs(tmp_path, ("music_xml",))


def test_what_is_no_file_or_too_large_or_was_cut_is_refused(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    found = {one.name: one for one in find_inputs(folder, tuple(SUFFIXES))}
    with pytest.raises(FormatError, match="not a regular file"):
        read_bytes(found["pipe.mid"], at_most=1000)
    with pytest.raises(FormatError, match=r"\d+ bytes; at most 20 are read"):
        read_bytes(found["b.MID"], at_most=20)
    with pytest.raises(FormatError, match=r"\d+ bytes; at most 20 are read"):
        read_bytes(found["jigs.abc#7"], at_most=20)
    shutil.copy(folder / "notes.txt", folder / "x.JSONL")
    with pytest.raises(FormatError, match="has become shorter since it was found"):
        read_bytes(found["x.JSONL#5"], at_most=1 << 20)
