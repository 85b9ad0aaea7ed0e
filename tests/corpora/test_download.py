"""A download arrives whole or not at all, whatever the server does."""

import random
import shutil
import urllib.error
import urllib.request

import pytest

from etude.corpora.dataset import Remote
from etude.corpora.download import Patience, _SafeRedirects, download
from etude.errors import CorpusError

DATA = random.Random(1).randbytes(100_000)
QUICK = Patience(tries=3, most_tries=20, stall_sec=0.3, stall_bytes=50, first_wait_sec=0.001)


@pytest.fixture
def remote(server):
    server.files["a.zip"] = DATA
    return Remote(name="a.zip", urls=(server.url("a.zip"),))


def get(remote, folder, **options):
    path, _ = download(remote, folder, patience=QUICK, **options)
    assert sorted(entry.name for entry in folder.iterdir()) == [remote.name]
    return path.read_bytes()


def test_a_file_arrives_and_progress_is_told(server, remote, tmp_path):
    told = []
    assert get(remote, tmp_path, progress=lambda done, total: told.append((done, total))) == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told)
    assert server.seen == [("a.zip", None)]


def test_what_was_cut_off_is_continued_where_it_ended(server, remote, tmp_path):
    server.moods = ["cut", "cut"]
    assert get(remote, tmp_path) == DATA
    assert [span for _, span in server.seen] == [None, "bytes=50000-", "bytes=75000-"]


def test_a_later_call_continues_an_earlier_one(server, remote, tmp_path):
    server.moods = ["cut", "404"]
    with pytest.raises(CorpusError, match=r"a\.zip: cannot be downloaded: .*404.*run the command again to continue"):
        download(remote, tmp_path, patience=QUICK)
    assert get(remote, tmp_path) == DATA
    assert server.seen[-1] == ("a.zip", "bytes=50000-")


def test_bytes_of_another_version_are_never_continued(server, remote, tmp_path):
    server.moods = ["cut", "404"]
    with pytest.raises(CorpusError):
        download(remote, tmp_path, patience=QUICK)
    server.files["a.zip"] = newer = DATA[::-1]
    assert get(remote, tmp_path) == newer


def test_bytes_from_another_address_are_never_continued(server, remote, tmp_path):
    server.files["b.zip"] = other = DATA[::-1]
    server.moods = ["cut", "404"]
    with pytest.raises(CorpusError):
        download(remote, tmp_path, patience=QUICK)
    assert get(Remote(name="a.zip", urls=(server.url("b.zip"),)), tmp_path) == other


@pytest.mark.parametrize("mood", ["ignore range", "wrong range"])
def test_a_server_that_cannot_continue_sends_all_of_it(server, remote, tmp_path, mood):
    server.moods = ["cut", mood]
    assert get(remote, tmp_path) == DATA


def test_a_version_without_a_strong_name_is_not_continued(server, remote, tmp_path):
    server.moods = ["weak cut", "404"]
    with pytest.raises(CorpusError):
        download(remote, tmp_path, patience=QUICK)
    assert get(remote, tmp_path) == DATA
    assert server.seen[-1] == ("a.zip", None)


def test_a_file_that_became_shorter_is_fetched_anew(server, remote, tmp_path):
    server.moods = ["cut", "416"]
    assert get(remote, tmp_path) == DATA


@pytest.mark.parametrize("mood", ["stall", "trickle"])
def test_a_stalled_server_is_left_and_asked_again(server, remote, tmp_path, mood):
    server.moods = [mood]
    assert get(remote, tmp_path) == DATA
    assert server.seen[1][1] is not None  # it went on behind what the stalled one had sent


def test_a_trickle_is_not_enough(server, remote, tmp_path):
    server.moods = ["trickle"] * 30
    patience = Patience(tries=2, most_tries=2, stall_sec=0.2, stall_bytes=10_000, first_wait_sec=0.001)
    with pytest.raises(CorpusError, match=r"stalled: \d+ bytes in 0\.2 s"):
        download(remote, tmp_path, patience=patience)


def test_trying_again_has_an_end(server, remote, tmp_path):
    server.moods = ["503"] * 50
    with pytest.raises(CorpusError, match="HTTP 503"):
        download(remote, tmp_path, patience=QUICK)
    assert len(server.seen) == QUICK.tries


def test_a_server_that_never_gets_further_has_an_end_too(server, remote, tmp_path):
    server.moods = ["weak cut early"] * 100
    with pytest.raises(CorpusError, match="cut off after 10 of 100,000 bytes"):
        download(remote, tmp_path, patience=QUICK)
    assert len(server.seen) <= QUICK.most_tries


def test_what_is_not_there_is_not_asked_for_twice(server, remote, tmp_path):
    server.moods = ["404"]
    with pytest.raises(CorpusError, match="HTTP 404"):
        download(remote, tmp_path, patience=QUICK)
    assert len(server.seen) == 1


def test_the_next_address_is_tried(server, remote, tmp_path):
    path, url = download(Remote(name="a.zip", urls=(server.url("gone.zip"), *remote.urls)), tmp_path, patience=QUICK)
    assert path.read_bytes() == DATA
    assert url == remote.urls[0]


def test_what_one_address_gave_outlives_another_that_gives_nothing(server, remote, tmp_path):
    server.moods = ["cut", "404", "404"]
    both = Remote(name="a.zip", urls=(*remote.urls, server.url("gone.zip")))
    with pytest.raises(CorpusError):
        download(both, tmp_path, patience=QUICK)
    download(both, tmp_path, patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert server.seen[-1] == ("a.zip", "bytes=50000-")


def test_a_redirect_from_an_encrypted_address_to_an_open_one_is_not_followed():
    request = urllib.request.Request("https://a.example/a.zip")
    with pytest.raises(urllib.error.HTTPError, match="not encrypted") as caught:
        _SafeRedirects().redirect_request(request, None, 302, "Found", {}, "http://a.example/a.zip")
    caught.value.close()
    assert _SafeRedirects().redirect_request(request, None, 302, "Found", {}, "https://b.example/a.zip") is not None


def test_redirects_are_followed(server, remote, tmp_path):
    server.files["old.zip"] = b""
    server.moods = [f"redirect {server.url('a.zip')}"]
    assert get(Remote(name="a.zip", urls=(server.url("old.zip"),)), tmp_path) == DATA


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(server, remote, tmp_path):
    server.moods = ["redirect file:///etc/passwd"]
    with pytest.raises(CorpusError, match="cannot be downloaded"):
        download(remote, tmp_path, patience=QUICK)


def test_a_web_page_in_place_of_an_archive_is_refused(server, remote, tmp_path):
    server.moods = ["web page"]
    with pytest.raises(CorpusError, match="it is a web page, not a file; the server may want somebody to log in"):
        download(remote, tmp_path, patience=QUICK)


def test_a_file_of_unknown_length_and_an_empty_one_arrive(server, remote, tmp_path):
    server.moods = ["no length"]
    assert get(remote, tmp_path / "one") == DATA
    server.files["empty.csv"] = b""
    assert get(Remote(name="empty.csv", urls=(server.url("empty.csv"),)), tmp_path / "two") == b""


def test_nobody_answering_is_one_line(tmp_path):
    with pytest.raises(CorpusError, match="refused") as caught:
        download(Remote(name="a.zip", urls=("http://127.0.0.1:9/a.zip",)), tmp_path, patience=QUICK)
    assert "\n" not in str(caught.value)


def test_a_disk_without_room_is_said_before_anything_is_written(server, remote, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(CorpusError, match=r"a\.zip needs 0 MB and 0 MB are free; make room"):
        download(remote, tmp_path, patience=QUICK)
    assert not (tmp_path / "a.zip").exists()
