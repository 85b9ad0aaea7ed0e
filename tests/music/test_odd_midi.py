"""162 odd and broken files: each is read as a careful reader should, or refused in one line."""

import csv

import pytest

from etude.errors import MidiError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi


def odd_files(shared_data):
    for folder in sorted(shared_data.joinpath("odd_midi").iterdir()):
        if folder.is_dir():
            with (folder / "expected.csv").open(encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield folder / row["file"], row


def outcome(path):
    try:
        return read_midi(path)
    except MidiError as error:
        return str(error)


@pytest.fixture(scope="module")
def outcomes(shared_data):
    return [(path, row, outcome(path)) for path, row in odd_files(shared_data)]


def test_all_odd_files_are_looked_at(outcomes):
    assert len(outcomes) == 162


def test_odd_files_that_are_music_are_read_and_broken_ones_are_refused(outcomes):
    for path, row, found in outcomes:
        is_error = isinstance(found, str)
        assert not (row["expected"] == "parse" and is_error), found
        assert not (row["expected"] == "error" and not is_error), path.name


def test_a_refusal_is_one_line_that_names_the_file(outcomes):
    refusals = [(path, found) for path, _, found in outcomes if isinstance(found, str)]
    assert len(refusals) > 10
    for path, found in refusals:
        assert found.startswith(f"{path}: ")
        assert "\n" not in found


def test_odd_files_hold_the_notes_and_end_when_they_should(outcomes):
    for path, row, found in outcomes:
        if isinstance(found, str):
            continue
        assert str(len(found.notes)) in row["n_notes"].split("|"), path.name
        if row["seconds"]:
            assert found.duration_sec == pytest.approx(float(row["seconds"]), rel=1e-5, abs=1e-4), path.name


def test_odd_scores_are_valid_and_survive_writing(outcomes):
    for path, _, found in outcomes:
        if not isinstance(found, str):
            assert check_score(found) == [], path.name
            assert read_midi(midi_bytes(found)) == found, path.name


def test_a_control_character_in_a_name_stays_in_the_name(outcomes):
    names = {
        path.name: found.tracks[0].name for path, _, found in outcomes if path.name.startswith("text_") and found.tracks
    }
    assert "\0" in names["text_nul_bytes.mid"]
    assert all(isinstance(name, str) for name in names.values())
