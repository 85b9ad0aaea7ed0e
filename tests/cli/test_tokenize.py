"""`etude tokenize`: shards are made once, sealed, and never taken for those of another tokenizer."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from etude.cli.__main__ import main
from etude.data.prepare import prepare
from etude.music.midi import write_midi
from etude.music.score import Score
from etude.tokens import build_tokenizer

KEYS = ["tokenizer", "hash", "vocab_size", "pieces", "tokens", "path", "seconds"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenize")
    (folder / "midi").mkdir()
    for k in range(3):
        write_midi(Score.of([0, 480, 960], [240, 240, 240], [60, 62, 64 + k]), folder / "midi" / f"{k}.mid")
    prepare(folder / "midi", folder / "out", workers=1)
    return folder / "out"


@pytest.fixture
def corpus(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "corpus")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refusal(capsys, *arguments):
    code, out, err = run(capsys, "tokenize", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("etude: ")
    assert err.count("\n") == 1
    return err


def test_json_is_one_document_with_the_keys_that_scripts_rely_on(capsys, corpus):
    code, out, err = run(capsys, "tokenize", corpus, "--tokenizer", "performance", "--json")
    made = json.loads(out)
    tokenizer = build_tokenizer("performance")
    said = f"tokenizing 3 pieces with performance {tokenizer.hash}, which leaves out tempo, metre, key, tracks, "
    assert (code, err) == (0, f"etude: {said}programs, drums, controls and texts\n")
    assert list(made) == KEYS
    assert (made["tokenizer"], made["hash"], made["vocab_size"]) == ("performance", tokenizer.hash, 390)
    assert made["path"] == str(corpus / "tokens" / tokenizer.hash)
    assert made["pieces"] == 3
    assert made["tokens"] == len(np.load(corpus / "tokens" / tokenizer.hash / "tokens-00000.npy"))


def test_shards_that_are_there_are_used_again(capsys, corpus):
    first = json.loads(run(capsys, "tokenize", corpus, "--json")[1])
    written = {file: file.stat().st_mtime_ns for file in (corpus / "tokens").rglob("*")}
    code, text, _ = run(capsys, "tokenize", corpus)
    assert code == 0
    assert f"{first['path']}  3 pieces, {first['tokens']:,} tokens" in text
    assert {file: file.stat().st_mtime_ns for file in (corpus / "tokens").rglob("*")} == written


def test_a_name_that_is_no_tokenizer_is_refused(capsys, corpus):
    assert "did you mean 'performance'?" in refusal(capsys, corpus, "--tokenizer", "preformance")


def test_a_folder_that_is_no_corpus_is_refused(capsys, tmp_path):
    assert "none: no such folder; make a corpus with `etude prepare" in refusal(capsys, tmp_path / "none")
    assert "not a corpus, has no corpus.json" in refusal(capsys, tmp_path)


def test_a_corpus_of_another_schema_version_is_refused(capsys, corpus):
    info = json.loads((corpus / "corpus.json").read_text())
    (corpus / "corpus.json").write_text(json.dumps(info | {"version": 7}))
    assert "schema and version are ('etude-corpus', 7), expected ('etude-corpus', 1)" in refusal(capsys, corpus)


def test_tokens_of_another_tokenizer_are_refused(capsys, corpus):
    made = json.loads(run(capsys, "tokenize", corpus, "--json")[1])
    seal = corpus / "tokens" / made["hash"] / "tokens.json"
    seal.write_text(json.dumps(json.loads(seal.read_text()) | {"hash": "0123456789abcdef"}))
    message = refusal(capsys, corpus)
    assert f"made by tokenizer performance 0123456789abcdef, not by performance {made['hash']}" in message


def test_a_full_disk_is_one_line_and_damages_nothing(corpus):
    limited = (
        "import resource, sys\n"
        "from etude.cli.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    before = sorted(path.name for path in corpus.iterdir())
    ended = subprocess.run([sys.executable, "-c", limited, "tokenize", corpus], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "cannot be written" in ended.stderr
    assert sorted(path.name for path in corpus.iterdir() if path.name != "tokens") == before
    assert not [file for file in corpus.rglob("*") if file.is_file() and "tokens" in file.parts]
