"""`etude tokenize --bpe`: learned merges, shards made with them, and a file that training takes."""

import json

import numpy as np
import pytest

from etude.cli.__main__ import main
from etude.config import RunConfig
from etude.data.prepare import prepare
from etude.music.midi import write_midi
from etude.music.score import Score
from etude.recipes.resolve import override


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "midi").mkdir()
    for k in range(4):
        tick = np.arange(60) * 120
        score = Score.of(tick, np.full(60, 100), 60 + np.arange(60) * (k + 1) % 7, np.full(60, 80), ppq=480)
        write_midi(score, folder / "midi" / f"{k}.mid")
    prepare(folder / "midi", folder / "corpus", workers=1)
    return folder / "corpus"


def tokenized(capsys, *arguments):
    assert main(["tokenize", *(str(argument) for argument in arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_merges_are_learned_and_shards_made_with_them(capsys, corpus):
    plain = tokenized(capsys, corpus)
    made = tokenized(capsys, corpus, "--tokenizer", "performance", "--bpe", 410)
    assert list(made)[:7] == list(plain)
    assert (made["tokenizer"], made["vocab_size"]) == ("bpe", 410)
    assert made["tokens"] < plain["tokens"]
    assert json.loads((corpus / "tokens" / made["hash"] / "tokens.json").read_text())["hash"] == made["hash"]


def test_the_file_names_the_same_tokenizer_to_tokenize_and_to_train(capsys, corpus):
    made = tokenized(capsys, corpus, "--bpe", 410)
    again = tokenized(capsys, corpus, "--tokenizer", made["file"])
    assert (again["hash"], again["tokens"]) == (made["hash"], made["tokens"])
    typed = ["data.tokenizer=bpe", f"data.tokenizer.file={made['file']}"]
    config = override(RunConfig.parse({"model": {"kind": "decoder"}}), typed, presets={})
    assert len(config.data.tokenizer.merges) == 20
    assert config.data.tokenizer.file == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bpe", "100"], "bpe = 100: performance has 390 ids without any merge"),
        (["--bpe", "500", "--within", "bar"], "tokenizer.within = 'bar': no id of the base begins a bar"),
        (["--tokenizer", "none.json"], "none.json: cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(capsys, corpus, arguments, message):
    assert main(["tokenize", str(corpus), *arguments]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
