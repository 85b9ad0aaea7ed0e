"""Control tokens in shards and in training: what a piece is stands before it."""

import pytest
from corpus_for_tests import make_corpus

from etude.cli.__main__ import main
from etude.data.corpus import Corpus
from etude.data.tokenize import tokenize
from etude.errors import TokenError
from etude.tokens import build_tokenizer

COMPOSER = {"name": "composer", "values": ["Bach", "Haydn"]}
DENSITY = {"name": "note_density", "thresholds": [4, 8]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus.open(make_corpus(tmp_path_factory.mktemp("control")))


@pytest.mark.parametrize("base", ["performance", "remi"])
def test_labels_and_measures_of_each_piece_stand_before_it(corpus, base):
    """covers: star-21 (partly)"""
    tokenizer = build_tokenizer("control", base=base, attributes=[COMPOSER, DENSITY])
    shards = tokenize(corpus, tokenizer)
    told = []
    for row, piece in enumerate(corpus.pieces()):
        ids = shards.ids(row)
        composer = piece.labels.get("composer")
        expected = {"composer": composer} if composer in COMPOSER["values"] else {}
        expected["note_density"] = tokenizer.settings.attributes[1].value_of({}, piece.score)
        assert tokenizer.conditions_of(ids) == expected
        assert ids[3:-1].tolist() == tokenizer.base.encode(piece.score).tolist()
        assert tokenizer.grammar.first_illegal(ids) is None
        told.append(tuple(expected))
    assert len(set(told)) == 2


def test_a_label_that_the_corpus_does_not_have_is_refused(corpus):
    tokenizer = build_tokenizer("control", attributes=[{"name": "compser", "values": ["Bach"]}])
    with pytest.raises(TokenError, match="'compser' of tokenizer control: no such label; did you mean 'composer'"):
        tokenize(corpus, tokenizer)


def test_a_model_trains_with_control_tokens_and_variations_from_the_command_line(corpus, capsys):
    """covers: star-21 (partly)"""
    words = [
        f"data.corpus={corpus.path}",
        "data.tokenizer=control",
        "data.tokenizer.base=absolute",
        "data.tokenizer.base.drums=skip",
        'data.tokenizer.attributes=[{name: composer, values: ["Bach", "Haydn"]}]',
        "data.augment.tempo_percent=10",
        "data.augment.drop_conditions=0.2",
        "data.augment.mix_chords=true",
        "model.num_layers=1",
        "model.model_dim=32",
        "model.num_heads=2",
        "model.ctx_len=32",
        "train.batch_tokens=64",
        "train.num_steps=2",
        "train.sample_takes=0",
        "train.device=cpu",
    ]
    assert main(["train", "llama-tiny", *words, "--json"]) == 0
    assert '"step": 2' in capsys.readouterr().out
