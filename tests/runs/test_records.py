"""Records are whole lines: appended, never rewritten, readable after any crash."""

import errno
import json
import math
import os

import pytest

from etude.errors import RunError
from etude.runs import records as module
from etude.runs.records import Records, read_records


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def write(path, *steps, kind="train"):
    records = Records(path)
    for step in steps:
        records.append(kind, step, {"loss": step / 2})
    records.close()


def steps_of(path, **options):
    return [record["step"] for record in read_records(path, **options)]


def test_every_record_is_one_line_of_json(path):
    write(path, 1, 2)
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "kind": "train", "loss": 0.5},
        {"step": 2, "kind": "train", "loss": 1.0},
    ]


def test_a_file_that_is_not_there_holds_no_records(path):
    assert list(read_records(path)) == []


def test_records_can_be_read_by_kind(path):
    write(path, 1, 2)
    write(path, 2, kind="valid")
    assert steps_of(path, kind="valid") == [2]


def test_appending_costs_no_reading(path, monkeypatch):
    """covers: B31"""
    write(path, *range(2000))
    records = Records(path)
    monkeypatch.setattr(module.json, "loads", None)
    monkeypatch.setattr(module.os, "pread", None)
    before = path.stat().st_size
    records.append("train", 2000, {"loss": 0.0})
    records.close()
    assert path.stat().st_size - before == len('{"step": 2000, "kind": "train", "loss": 0.0}\n')


@pytest.mark.parametrize("torn", ["{", '{"step": 3, "kind": "tr', '{"step": 3, "kind": "train", "loss": 1.0}'])
def test_a_last_line_that_was_torn_off_is_passed_over_and_then_cut(path, torn):
    write(path, 1, 2)
    with path.open("a") as file:
        file.write(torn)
    assert steps_of(path) == [1, 2]
    write(path, 3)
    assert steps_of(path) == [1, 2, 3]


def test_a_torn_line_longer_than_what_is_read_at_once_is_cut(path):
    write(path, 1)
    with path.open("a") as file:
        file.write("x" * 200_000)
    write(path, 2)
    assert steps_of(path) == [1, 2]


def test_a_file_of_nothing_but_a_torn_line_begins_anew(path):
    path.write_text('{"step": 1')
    write(path, 5)
    assert steps_of(path) == [5]


def test_a_damaged_line_in_the_middle_is_named(path):
    write(path, 1)
    with path.open("a") as file:
        file.write("nonsense\n")
    write(path, 2)
    with pytest.raises(RunError, match=r"metrics\.jsonl: line 2: not a record"):
        list(read_records(path))


def test_later_records_are_dropped_so_that_the_file_equals_one_that_never_stopped(path):
    """covers: K3 (partly)"""
    write(path, 1, 2, 3, 4)
    whole = path.read_bytes()
    records = Records(path)
    records.drop_after(2)
    assert steps_of(path) == [1, 2]
    for step in (3, 4):
        records.append("train", step, {"loss": step / 2})
    records.close()
    assert path.read_bytes() == whole


def test_numbers_that_are_not_finite_are_kept_as_words(path):
    records = Records(path)
    records.append("train", 1, {"loss": math.nan, "inner": {"most": -math.inf}})
    records.close()
    (record,) = read_records(path)
    assert record["loss"] == "nan"
    assert record["inner"] == {"most": "-inf"}


@pytest.mark.parametrize("written", [0, 7])
def test_a_full_disk_is_told_and_leaves_whole_lines(path, monkeypatch, written):
    write(path, 1)
    records = Records(path)
    write_for_real = os.write

    def write_a_little(handle, data):
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_for_real(handle, data[:written])

    monkeypatch.setattr(module.os, "write", write_a_little)
    with pytest.raises(RunError, match="a record of step 2 cannot be written"):
        records.append("train", 2, {"loss": 1.0})
    monkeypatch.undo()
    records.close()
    assert path.read_bytes().endswith(b"\n")
    assert steps_of(path) == [1]


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path):
    with pytest.raises(RunError, match="cannot be written: No such file or directory"):
        Records(tmp_path / "nowhere" / "metrics.jsonl")
