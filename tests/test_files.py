"""A file is written whole or not at all, and what stood there before survives every failure."""

import errno
import hashlib
import json
import os
import stat
import threading

import pytest

from etude import files
from etude.errors import EtudeError
from etude.files import draft, draft_folder, sha256_of_file, write_bytes, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def no_space(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_appears_with_its_whole_content_and_nothing_beside_it(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "grün")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "grün".encode()
    assert names(tmp_path / "deep") == ["a.txt"]


def test_a_failure_while_writing_leaves_the_old_file_and_no_draft(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def write_half():
        with draft(tmp_path / "a.txt") as temporary:
            temporary.write_text("half of the ne")
            raise RuntimeError("mid-way")

    with pytest.raises(RuntimeError, match="mid-way"):
        write_half()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "mkstemp"])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch, step):
    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(files.os if step == "fsync" else files.tempfile, step, no_space)
    with pytest.raises(EtudeError, match=r"a\.txt: cannot be written: No space left on device") as caught:
        write_text(tmp_path / "a.txt", "new")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in ("one", "two"):
        with draft_folder(tmp_path / "model") as temporary:
            (temporary / f"{content}.txt").write_text(content)
    assert names(tmp_path / "model") == ["two.txt"]
    assert names(tmp_path) == ["model"]


def test_a_failure_while_drafting_a_folder_leaves_the_old_one(tmp_path, monkeypatch):
    with draft_folder(tmp_path / "model") as temporary:
        (temporary / "one.txt").write_text("one")
    with pytest.raises(RuntimeError, match="mid-way"), draft_folder(tmp_path / "model") as temporary:
        raise RuntimeError("mid-way")
    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(EtudeError, match="cannot be written"), draft_folder(tmp_path / "model") as temporary:
        (temporary / "two.txt").write_text("two")
    assert names(tmp_path / "model") == ["one.txt"]
    assert names(tmp_path) == ["model"]


def test_a_folder_where_a_file_should_go_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(EtudeError, match=r"a\.txt: cannot be written"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").is_dir()


def test_files_get_the_rights_that_the_user_gives_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a.bin", b"x")
        with draft_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_json_is_sorted_readable_and_refuses_what_is_no_number(tmp_path):
    write_json(tmp_path / "a.json", {"b": "ü", "a": [1, None]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [1, None], "b": "ü"}
    assert text.index('"a"') < text.index('"b"')
    assert "ü" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert (tmp_path / "a.json").read_text() == text


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a.txt"
    texts = ["a" * 100_000, "b" * 100_000]
    write_text(path, texts[0])
    seen = set()
    writer = threading.Thread(target=lambda: [write_text(path, texts[n % 2]) for n in range(20)])
    writer.start()
    while writer.is_alive():
        seen.add(path.read_text())
    writer.join()
    assert seen <= set(texts)


def test_a_checksum_is_that_of_the_bytes(tmp_path):
    data = bytes(range(256)) * 5000
    write_bytes(tmp_path / "a.bin", data)
    assert sha256_of_file(tmp_path / "a.bin") == hashlib.sha256(data).hexdigest()
