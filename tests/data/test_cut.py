"""A corpus of segments: nothing lost, nothing torn from its piece, honest splits."""

import json

import numpy as np
import pytest
from corpus_for_tests import make_corpus

from etude.cli.__main__ import main
from etude.data.corpus import Corpus
from etude.data.cut import cut
from etude.data.doctor import check_corpus
from etude.data.prepare import prepare
from etude.data.resplit import resplit
from etude.data.tokenize import tokenize
from etude.errors import CorpusError
from etude.music.columns import TimeSignatures
from etude.music.edit import transpose
from etude.music.midi import write_midi
from etude.music.score import Score
from etude.music.segments import segments
from etude.tokens import build_tokenizer


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("cut"), fractions=[0.5, 0.25, 0.25], group_by=["composer"])


def parents(corpus):
    rows = {row["path"]: row for row in corpus.splits.to_pylist()}
    return {piece.path: (piece, rows[piece.path]) for piece in corpus.pieces()}


@pytest.mark.parametrize("how", [{"bars": 8}, {"bars": 3}, {"bars": 4, "at_random": 3, "seed": 2}])
def test_segments_keep_what_is_known_of_their_piece(prepared, tmp_path, how):
    """covers: MT-20 (partly)"""
    made = cut(prepared, tmp_path / "out", **how)
    known, corpus = parents(Corpus.open(prepared)), Corpus.open(tmp_path / "out")
    assert made["segments"] == len(corpus) > len(known)
    paths = set()
    for piece, row in zip(corpus.pieces(), corpus.splits.to_pylist(), strict=True):
        path, _, bars = piece.path.partition("#bars=")
        parent, parent_row = known[path]
        first, last = (int(number) for number in bars.split("-"))
        asked = how | {"index": (parent.id,)}
        found = {(part.first_bar + 1, part.end_bar): part.score for part in segments(parent.score, **asked)}
        assert piece.score == found[first, last]
        assert (piece.labels, piece.licence, piece.source) == (parent.labels, parent.licence, parent.source)
        assert (row["group"], row["split"]) == (parent_row["group"], parent_row["split"])
        paths.add(piece.path)
    every = [
        f"{path}#bars={part.first_bar + 1}-{part.end_bar}"
        for path, (parent, _) in known.items()
        for part in segments(parent.score, **how, index=(parent.id,))
    ]
    # what is missing repeats an earlier segment
    assert len(paths) + made["duplicates"] == len(every)
    assert paths <= set(every)


def test_no_group_is_in_two_splits_and_the_corpus_is_sound(prepared, tmp_path):
    """covers: MT-20 (partly)"""
    cut(prepared, tmp_path / "out", bars=4)
    found = check_corpus(tmp_path / "out")
    assert [check for check in found["checks"] if check["problems"]] == []
    corpus = Corpus.open(tmp_path / "out")
    assert corpus.info["cut_from"] == {
        "digest": Corpus.open(prepared).digest,
        "bars": 4,
        "at_random": None,
        "seed": 0,
    }
    again = cut(prepared, tmp_path / "again", bars=4)
    assert Corpus.open(again["corpus"]).digest == corpus.digest


def test_a_corpus_of_segments_can_be_split_anew_and_tokenized(prepared, tmp_path):
    cut(prepared, tmp_path / "out", bars=4)
    resplit(tmp_path / "out", given_splits="ignore", seed=5, fractions=[0.4, 0.3, 0.3])
    corpus = Corpus.open(tmp_path / "out")
    split_of = {}
    for row in corpus.splits.to_pylist():
        assert split_of.setdefault(row["path"].partition("#")[0], row["split"]) == row["split"]
    assert len(tokenize(corpus, build_tokenizer("performance"))) == len(corpus)


def test_the_command_prints_json_or_lines(prepared, tmp_path, capsys):
    assert main(["corpus", "cut", str(prepared), str(tmp_path / "out"), "--bars", "4", "--random", "2", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {
        *("corpus", "pieces", "segments", "duplicates", "notes", "hours", "groups", "splits", "seconds"),
    }
    assert Corpus.open(made["corpus"]).info["cut_from"]["at_random"] == 2
    assert main(["corpus", "cut", str(prepared), str(tmp_path / "out"), "--bars", "4"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["corpus", "cut", str(prepared), str(tmp_path / "out"), "--bars", "4", "--force"]) == 0
    assert "segments of 10 pieces" in capsys.readouterr().out


def test_what_is_no_corpus_is_neither_cut_nor_overwritten(prepared, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CorpusError, match="exists and is not a corpus"):
        cut(prepared, tmp_path, force=True)
    with pytest.raises(CorpusError, match="not a corpus"):
        cut(tmp_path, tmp_path / "out")


def tune_in(key, *, bars, seed):
    """Return a melody over the chords of C major or A minor, a chord a bar."""
    draw = np.random.default_rng(seed)
    chords = (
        [[0, 4, 7], [5, 9, 0], [7, 11, 2], [0, 4, 7]] if key == "c" else [[9, 0, 4], [2, 5, 9], [4, 8, 11], [9, 0, 4]]
    )
    tones = np.array(chords)[np.arange(bars) % 4]
    held, melody = 48 + tones, 72 + draw.permuted(np.c_[tones, tones[:, :1]], axis=1)
    bar = np.arange(bars)[:, None] * 1920
    return Score.of(
        np.r_[np.broadcast_to(bar, held.shape).ravel(), (bar + [0, 480, 960, 1440]).ravel()],
        np.r_[np.full(held.size, 1920), np.full(melody.size, 480)],
        np.r_[held.ravel(), melody.ravel()],
        time_signatures=TimeSignatures.of(tick=[0], numerator=[4], denominator=[4]),
        ppq=480,
    )


def test_sixteen_bars_in_c_or_a_minor_with_no_file_in_two_splits(tmp_path):
    """covers: MT-20"""
    for number in range(9):
        tune = tune_in(["c", "a"][number % 2], bars=40, seed=number)
        for name, semitones in (("low", 0), ("high", 1)):
            midi = tmp_path / f"midi-{name}" / f"{number}.mid"
            midi.parent.mkdir(exist_ok=True)
            write_midi(transpose(tune, semitones), midi)
    remi, ids = build_tokenizer("remi", normalise_key=True), {}
    for name in ("low", "high"):
        prepare(tmp_path / f"midi-{name}", tmp_path / name, fractions=(0.5, 0.25, 0.25), seed=3)
        cut(tmp_path / name, tmp_path / f"{name}-cut", bars=16)
        corpus = Corpus.open(tmp_path / f"{name}-cut")
        split_of = {}
        for row in corpus.splits.to_pylist():
            assert split_of.setdefault(row["path"].partition("#")[0], row["split"]) == row["split"]
        assert set(split_of.values()) == {"train", "valid", "test"}
        ids[name] = {piece.path: remi.encode(piece.score).tolist() for piece in corpus.pieces()}
    assert len(ids["low"]) == 27
    assert ids["low"] == ids["high"]
    plain = build_tokenizer("remi")
    first = next(Corpus.open(tmp_path / "low-cut").pieces())
    higher = next(Corpus.open(tmp_path / "high-cut").pieces())
    assert plain.encode(first.score).tolist() != plain.encode(higher.score).tolist()
