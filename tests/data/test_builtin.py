"""The built-in corpus is prepared once, in the user's cache; any other name is a folder."""

import threading

import pytest

import etude.data.builtin
from etude.data.builtin import open_corpus
from etude.data.prepare import prepare
from etude.errors import CorpusError


def test_sampler_is_made_once_even_when_several_ask_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made, opened = [], []

    def counted(*arguments):
        made.append(prepare(*arguments))

    monkeypatch.setattr(etude.data.builtin, "prepare", counted)
    threads = [threading.Thread(target=lambda: opened.append(open_corpus("sampler"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.append(open_corpus("sampler"))
    assert len(made) == 1
    assert {corpus.digest for corpus in opened} == {opened[0].digest}
    assert len(opened) == 4
    assert tmp_path in opened[0].path.parents


def test_a_folder_that_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="not a corpus"):
        open_corpus(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        open_corpus(tmp_path / "none")
