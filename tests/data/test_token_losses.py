"""What a tokenizer loses of a corpus: sums of what it loses of each piece, in memory that does not grow.

covers: star-20
"""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.tally import Tally
from etude.data.token_losses import corpus_losses, examples
from etude.music.midi import write_midi
from etude.music.score import Controls, KeySignatures, Score, Tempos, TimeSignatures, Track
from etude.tokens import build_tokenizer


def piece(number):
    """Return a piece whose notes are drums in parts, begin late, have a pedal, or are one and the same."""
    rng = np.random.default_rng(number)
    count = 40
    pedal = {"tick": [0, 4000], "track": [0, 0], "number": [64, 64], "value": [127, 0]} if number % 2 else None
    return Score.of(
        np.sort(rng.integers(0, 9600, count)) + 480 * number,
        rng.integers(20, 700, count),
        rng.integers(40, 60, count),
        rng.integers(1, 128, count),
        rng.integers(0, 2, count),
        ppq=480,
        tracks=[Track(0), Track(5, is_drum=number == 3)],
        tempos=Tempos.of(tick=[0, 2000], us_per_quarter=[500_000 + 1000 * number, 400_000]),
        time_signatures=TimeSignatures.of(tick=[0], numerator=[3 + number % 2], denominator=[4]),
        key_signatures=KeySignatures.of(tick=[0], sharps=[number], is_minor=[0]),
        **({"controls": Controls.of(**pedal)} if pedal else {}),
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("losses")
    (folder / "midi").mkdir()
    for number in range(6):
        write_midi(piece(number), folder / "midi" / f"{number}.mid")
    prepare(folder / "midi", folder / "out", workers=1)
    return Corpus.open(folder / "out")


@pytest.fixture(scope="module", params=["performance", "remi"])
def measured(corpus, request):
    tokenizer = build_tokenizer(request.param)
    return tokenizer, corpus_losses(corpus, tokenizer)


def test_the_numbers_of_a_corpus_are_those_of_its_pieces(corpus, measured):
    tokenizer, losses = measured
    reports = [tokenizer.report(piece.score) for piece in corpus.pieces()]
    assert losses["notes"] == {
        name: sum(getattr(lost.notes, name) for lost in reports) for name in reports[0].notes._fields
    }
    for name, row in losses["tables"].items():
        kept = [lost.tables[name] for lost in reports]
        assert [row["before"], row["kept"], row["after"]] == np.sum(kept, axis=0).tolist()
        assert row["pieces"] == sum(one.before > 0 for one in kept)
    assert losses["ids"] == sum(lost.num_ids for lost in reports)
    assert losses["clock"] == {reports[0].clock.kind: 6}
    errors = np.concatenate([lost.errors.onset_sec for lost in reports]) * 1000
    assert losses["onset_ms"]["count"] == len(errors)
    assert losses["onset_ms"]["mean"] == pytest.approx(errors.mean(), abs=1e-5)
    assert losses["onset_ms"]["size"]["max"] == pytest.approx(np.abs(errors).max(), abs=1e-5)
    assert losses["tempo_error"]["mean"] == pytest.approx(np.mean([lost.tempo_error for lost in reports]))


def test_the_document_is_json_and_says_what_it_is_about(corpus, measured):
    tokenizer, losses = measured
    assert json.loads(json.dumps(losses, allow_nan=False)) == losses
    assert (losses["schema"], losses["version"]) == ("etude-token-losses", 1)
    assert (losses["tokenizer"], losses["hash"]) == (tokenizer.kind, tokenizer.hash)
    assert losses["loses"] == list(tokenizer.loses)
    assert (losses["digest"], losses["measured"]) == (corpus.digest, {"pieces": 6, "of": 6})


def test_the_piece_of_which_most_is_lost_comes_first(measured):
    tokenizer, losses = measured
    shares = [row["lost_share"] for row in losses["worst"]]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 6
    if tokenizer.kind == "performance":  # it leaves drums out
        assert losses["worst"][0]["path"] == "3.mid"
        assert {"row": 3, "why": "the largest share of notes lost", "path": "3.mid"} in losses["examples"]


def test_examples_show_one_stretch_of_time_before_and_after(corpus, measured):
    tokenizer, losses = measured
    shown = list(examples(corpus, tokenizer, losses))
    assert [one["path"] for one in shown] == [one["path"] for one in losses["examples"]]
    assert len(shown) >= 2
    for one in shown:
        assert 0 <= one["before"].onset_sec[0] < 0.2
        assert one["before"].duration_sec <= 15.1
        if not one["notes"]["lost_drums"]:
            assert abs(one["after"].onset_sec[0] - one["before"].onset_sec[0]) < 0.1
        assert set(one["after"].notes.pitch.tolist()) <= set(one["before"].notes.pitch.tolist())


def test_a_sample_is_spread_over_the_corpus_and_said_to_be_one(corpus):
    calls = []
    losses = corpus_losses(
        corpus, build_tokenizer("performance"), most=3, progress=lambda done, total: calls.append((done, total))
    )
    assert losses["measured"] == {"pieces": 3, "of": 6}
    assert sorted(row["row"] for row in losses["worst"]) == [1, 3, 5]
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_piece_that_the_tokenizer_refuses_is_named_and_the_others_are_measured(tmp_path):
    (tmp_path / "midi").mkdir()
    slow = Tempos.of(tick=[0], us_per_quarter=[16_000_000])
    long = Score.of([0, 6000 * 480], [480, 480], [60, 62], tempos=slow)
    write_midi(long, tmp_path / "midi" / "long.mid")
    write_midi(piece(0), tmp_path / "midi" / "short.mid")
    prepare(tmp_path / "midi", tmp_path / "out", workers=1, filters={"max_hours": 100})
    losses = corpus_losses(Corpus.open(tmp_path / "out"), build_tokenizer("performance"))
    assert losses["refused"]["pieces"] == 1
    (refused,) = losses["refused"]["examples"]
    assert refused["path"] == "long.mid"
    assert "26.7 hours long" in refused["reason"]
    assert losses["notes"]["before"] == 40


def test_a_corpus_of_nothing_has_losses_of_nothing(tmp_path):
    (tmp_path / "x.mid").write_bytes(b"")
    corpus = Corpus.open(prepare(tmp_path, tmp_path / "out", workers=1)["corpus"])
    losses = corpus_losses(corpus, build_tokenizer("performance"))
    assert losses["notes"]["before"] == losses["onset_ms"]["count"] == losses["tempo_error"]["count"] == 0
    assert (losses["examples"], losses["worst"], list(examples(corpus, None, losses))) == ([], [], [])


@given(
    values=st.lists(st.integers(-300, 300), min_size=1, max_size=60), parts=st.integers(1, 4), unit=st.integers(1, 3)
)
def test_a_tally_knows_what_sorting_would_tell(values, parts, unit):
    values = np.array(values) * unit
    tally = Tally(unit=unit, limit=200 * unit)
    for part in np.array_split(values, parts):
        tally.add(part)
    found = tally.distribution()
    clipped = np.sort(np.abs(np.clip(values, -200 * unit, 200 * unit)))
    assert (found["min"], found["max"], found["count"]) == (values.min(), values.max(), len(values))
    assert found["mean"] == pytest.approx(values.mean(), abs=1e-6)
    assert found["size"]["max"] == np.abs(values).max()
    assert found["size"]["p95"] == clipped[int(np.ceil(0.95 * len(values))) - 1]
    assert found["size"]["median"] == clipped[int(np.ceil(0.5 * len(values))) - 1]
    edges, counts = (np.array(found["histogram"][name]) for name in ("edges", "counts"))
    assert counts.sum() + found["histogram"]["beyond"] == len(values)
    assert found["histogram"]["beyond"] <= 0.02 * len(values) + 1e-9
    assert counts.tolist() == np.histogram(np.clip(values, -200 * unit, 200 * unit), edges)[0].tolist()
    assert np.allclose(edges, -edges[::-1])


def test_a_tally_of_nothing_is_nothing():
    tally = Tally(unit=1, limit=3)
    tally.add(np.zeros(0))
    assert tally.distribution() == {"count": 0}
