"""Archives are unpacked without trusting them."""

import io
import shutil
import stat
import subprocess
import tarfile
import zipfile

import pytest

from etude.corpora import unpack as unpacking
from etude.corpora.checksums import GitTree, checked, checksum_of_file
from etude.corpora.dataset import Remote
from etude.corpora.unpack import unpack
from etude.errors import CorpusError

REMOTE = Remote(name="set.zip", wanted=("*.mid", "table.csv"))


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tar_of(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("make", [zip_of, tar_of], ids=["zip", "tar"])
def test_what_is_wanted_is_written_and_nothing_else(tmp_path, make):
    members = {"set/a.mid": b"1", "set/B.MID": b"2", "set/table.csv": b"3", "set/LICENSE.txt": b"4", "set/a.wav": b"5"}
    members |= {"__MACOSX/set/._a.mid": b"6", "set/._a.mid": b"7"}
    told = []
    written = unpack(make(tmp_path / "set.zip", members), tmp_path / "out", REMOTE, progress=lambda *n: told.append(n))
    assert written == 4
    assert files_of(tmp_path / "out") == {
        "set/a.mid": b"1",
        "set/B.MID": b"2",
        "set/table.csv": b"3",
        "set/LICENSE.txt": b"4",
    }
    assert [done for done, _ in told] == [1, 2, 3, 4]


def test_folders_at_the_front_are_left_out(tmp_path):
    archive = zip_of(tmp_path / "set.zip", {"set-1234/midi/a.mid": b"1", "set-1234/table.csv": b"2"})
    unpack(archive, tmp_path / "out", Remote(name="set.zip", wanted=REMOTE.wanted, strip=1))
    assert set(files_of(tmp_path / "out")) == {"midi/a.mid", "table.csv"}


def test_a_pattern_names_the_end_of_a_path():
    remote = Remote(name="set.zip", wanted=("MIDI/*.mid", "table.csv"))
    wanted = ("MIDI/a.mid", "x/midi/A.MID", "y/table.csv", "README.md")
    assert all(remote.wants(path) for path in wanted)
    assert not any(remote.wants(path) for path in ("MIDI/melody/a.mid", "a.mid", "MIDI/a.midi", "table.csv.bak"))


def test_of_two_members_of_one_name_the_later_stays(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.mid", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.mid", b"second")
    unpack(tmp_path / "set.zip", tmp_path / "out", REMOTE)
    assert files_of(tmp_path / "out") == {"a.mid": b"second"}


@pytest.mark.parametrize("name", ["../evil.mid", "set/../../evil.mid", "/tmp/evil.mid", "..\\evil.mid", "C:/evil.mid"])
@pytest.mark.parametrize("make", [zip_of, tar_of], ids=["zip", "tar"])
def test_a_member_that_climbs_out_of_the_folder_makes_the_archive_be_refused(tmp_path, make, name):
    archive = make(tmp_path / "set.zip", {"a.mid": b"1", name: b"2"})
    with pytest.raises(CorpusError, match="dangerous: the member .* would be written outside of the folder"):
        unpack(archive, tmp_path / "in" / "out", REMOTE)
    assert not list(tmp_path.rglob("evil.mid"))


def test_links_and_devices_are_never_made(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for name, kind in (
            ("soft.mid", tarfile.SYMTYPE),
            ("hard.mid", tarfile.LNKTYPE),
            ("pipe.mid", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("a.mid")
        archive.addfile(info, io.BytesIO())
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        info = zipfile.ZipInfo("soft.mid")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("a.mid", b"")
    for name in ("set.tar", "set.zip"):
        assert unpack(tmp_path / name, tmp_path / name.replace(".", "-"), REMOTE) == 1
        assert files_of(tmp_path / name.replace(".", "-")) == {"a.mid": b""}


def test_an_archive_that_unfolds_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_AND_BYTES", 1000)
    archive = zip_of(tmp_path / "set.zip", {"a.mid": bytes(500_000)})
    with pytest.raises(CorpusError, match="unfolds to more than 200 times its size"):
        unpack(archive, tmp_path / "out", REMOTE)


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("make", [zip_of, tar_of], ids=["zip", "tar"])
def test_a_damaged_archive_is_one_line(tmp_path, make, keep):
    archive = make(tmp_path / "set.zip", {f"{number}.mid": bytes([number]) * 5000 for number in range(50)})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(CorpusError, match=r"set\.zip: damaged, or no archive") as caught:
        unpack(archive, tmp_path / "out", REMOTE)
    assert "\n" not in str(caught.value)


def test_a_flipped_byte_in_a_member_is_noticed(tmp_path):
    archive = zip_of(tmp_path / "set.zip", {"a.mid": bytes(range(256)) * 40})
    data = bytearray(archive.read_bytes())
    data[60] ^= 255
    archive.write_bytes(data)
    with pytest.raises(CorpusError, match="damaged"):
        unpack(archive, tmp_path / "out", REMOTE)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"holds none of \*\.mid, table\.csv; is it not set\.zip\?"):
        unpack(zip_of(tmp_path / "set.zip", {"a.wav": b"1"}), tmp_path / "out", REMOTE)


def test_a_disk_without_room_for_the_files_is_said_before_one_is_written(tmp_path, monkeypatch):
    archive = zip_of(tmp_path / "set.zip", {"a.mid": bytes(5_000_000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 3_000_000))
    with pytest.raises(CorpusError, match=r"set\.zip needs 5 MB and 3 MB are free"):
        unpack(archive, tmp_path / "out", REMOTE)
    assert not (tmp_path / "out").exists()


def git(folder, *words):
    config = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.autocrlf=false"]
    done = subprocess.run(["git", *config, *words], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_the_archive_of_a_commit_has_the_id_that_git_gives_its_tree(tmp_path, form):
    work = tmp_path / "work"
    for name, data in {"a.mid": b"1", "a/b.mid": b"2", "a-b/c.mid": b"", "é/tab.csv": b"3\r\n", "run.sh": b"4"}.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("a/b.mid")
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "one")
    archive, tree = tmp_path / f"set.{form}", git(work, "rev-parse", "HEAD^{tree}")
    git(work, "archive", f"--format={form}", "--prefix=set-1234/", "-o", str(archive), "HEAD")
    remote = Remote(name=archive.name, checksum=f"git-tree:{tree}", strip=1)
    assert unpack(archive, tmp_path / "out", remote) == 3
    wrong = Remote(name=archive.name, checksum=f"git-tree:{'0' * 40}", strip=1)
    with pytest.raises(CorpusError, match=f"have the checksum git-tree:{tree}, expected git-tree:0000"):
        unpack(archive, tmp_path / "out", wrong)
    assert checksum_of_file(work / "a.mid", "git-blob") == f"git-blob:{git(work, 'rev-parse', 'HEAD:a.mid')}"


def test_the_order_of_files_does_not_change_the_id_of_a_tree():
    one, other = GitTree(), GitTree()
    names = ["b", "a/x", "a.b", "a0"]
    for name in names:
        one.add(name, name.encode())
    for name in reversed(names):
        other.add(name, name.encode())
    assert one.checksum() == other.checksum()


def test_checksums_are_compared_and_a_wrong_one_names_both(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    right = (None, f"sha256:{sha256}", "md5:900150983cd24fb0d6963f7d28e17f72")
    right += ("git-blob:f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f",)
    for expected in right:
        assert checked(path, expected, what="a.zip") == sha256
    with pytest.raises(CorpusError, match="a.zip: its checksum is md5:9001.*, expected md5:1111"):
        checked(path, "md5:" + "1" * 32, what="a.zip")
