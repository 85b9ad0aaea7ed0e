"""What a journal gives back is what was put in, up to the first byte that is wrong."""

import errno

import pytest

from etude.data.journal import Journal
from etude.errors import EtudeError

RECORDS = [(64, bytes(range(256)) * 40, ""), (1, None, "the reader crashed (SIGSEGV) é"), (7, b"", ""), (2, b"x", "")]


def write(folder, key="key", records=RECORDS):
    with Journal.open(folder, key) as journal:
        for record in records:
            journal.append(*record)
    return folder / "journal"


def read(folder, key="key"):
    with Journal.open(folder, key) as journal:
        return [tuple(record) for record in journal.replay()]


def test_records_come_back_as_they_were_appended(tmp_path):
    write(tmp_path / "deep" / "folder")
    assert read(tmp_path / "deep" / "folder") == RECORDS
    assert read(tmp_path / "deep" / "folder") == RECORDS


def test_what_is_appended_later_comes_after_what_was_there(tmp_path):
    write(tmp_path)
    write(tmp_path, records=[(5, b"later", "")])
    with Journal.open(tmp_path, "key") as journal:
        assert next(journal.replay()).num_items == 64  # read no further
        journal.append(6, b"last", "")
    assert read(tmp_path) == [*RECORDS, (5, b"later", ""), (6, b"last", "")]


def test_another_key_drops_everything(tmp_path):
    write(tmp_path)
    for key in ("keys", "ke", ""):
        assert read(tmp_path, key) == []
        assert read(tmp_path) == []
        write(tmp_path)


def test_a_tail_that_was_torn_anywhere_is_cut_off_and_written_again(tmp_path):
    whole = write(tmp_path).read_bytes()
    starts = [len(whole)]
    for number in (3, 2, 1, 0):
        starts.append(len(write(tmp_path / str(number), records=RECORDS[:number]).read_bytes()))
    lengths = sorted(starts)
    for length in [*range(lengths[0], lengths[0] + 60), *range(lengths[1] - 9, len(whole))]:
        (tmp_path / "journal").write_bytes(whole[:length])
        kept = sum(end <= length for end in lengths) - 1
        assert read(tmp_path) == RECORDS[:kept]
        write(tmp_path, records=RECORDS[kept:])
        assert (tmp_path / "journal").read_bytes() == whole


def test_a_wrong_byte_ends_what_can_be_trusted(tmp_path):
    path = write(tmp_path, records=[(k, b"some result", "why") for k in range(3)])
    whole = path.read_bytes()
    size = (len(whole) - len(write(tmp_path / "none", records=[]).read_bytes())) // 3
    for place in range(len(whole) - size, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        assert [number for number, _, _ in read(tmp_path)] == [0, 1]
    path.write_bytes(whole + bytes(100))
    assert len(read(tmp_path)) == 3


def test_a_file_that_is_no_journal_is_dropped(tmp_path):
    (tmp_path / "journal").write_bytes(b"something else entirely")
    assert read(tmp_path) == []


def test_what_was_removed_is_gone_with_its_folder(tmp_path):
    journal = Journal.open(tmp_path / "folder", "key")
    journal.append(1, b"x", "")
    journal.remove()
    assert not (tmp_path / "folder").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    Journal.open(tmp_path / "other", "key").remove()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


def test_a_full_disk_is_told_in_one_line_and_keeps_what_was_there(tmp_path):
    write(tmp_path)
    journal = Journal.open(tmp_path, "key")
    assert len(list(journal.replay())) == len(RECORDS)

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    file, journal._file = journal._file, Full()
    with pytest.raises(EtudeError, match="cannot be written: No space left on device; what was read so far is kept"):
        journal.append(1, b"x", "")
    file.close()
    assert read(tmp_path) == RECORDS


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EtudeError, match="cannot be written"):
        Journal.open(tmp_path / "file" / "folder", "key")
