"""`etude tokenize --report`: what is lost is said in numbers, in lines and on a page; what is left out, at build time.

covers: star-20
"""

import json

import pytest

from etude.cli.__main__ import main
from etude.data.prepare import prepare
from etude.music.midi import write_midi
from etude.music.score import Controls, KeySignatures, Score, Tempos, Texts, TimeSignatures, Track


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus of two pieces with tempo, metre, key, pedal, words and drums, between the steps of any grid."""
    folder = tmp_path_factory.mktemp("tokenize_report")
    (folder / "midi").mkdir()
    for k in range(2):
        score = Score.of(
            [3 + 241 * n for n in range(40)],
            [200 + n for n in range(40)],
            [40 + k + n % 30 for n in range(40)],
            [21 + 2 * n for n in range(40)],
            [n % 2 for n in range(40)],
            ppq=480,
            tracks=[Track(0), Track(0, is_drum=True)],
            tempos=Tempos.of(tick=[0], us_per_quarter=[700_000]),
            time_signatures=TimeSignatures.of(tick=[0], numerator=[3], denominator=[4]),
            key_signatures=KeySignatures.of(tick=[0], sharps=[2], is_minor=[0]),
            controls=Controls.of(tick=[0, 900], track=[0, 0], number=[64, 64], value=[127, 0]),
            texts=Texts.of(tick=[0], kind=["marker"], text=["Verse"], track=[-1]),
        )
        write_midi(score, folder / "midi" / f"{k}.mid")
    prepare(folder / "midi", folder / "out", workers=1, near_duplicates=False)
    return folder / "out"


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("tokenizer", ["performance", "remi"])
def test_losses_of_tempo_metre_pedal_drums_timing_and_velocity_are_stated(capsys, corpus, tokenizer):
    code, out, _ = run(capsys, "tokenize", corpus, "--tokenizer", tokenizer, "--report")
    told = {line[:15].strip(): line[15:].strip() for line in out.splitlines()[1:]}
    assert code == 0
    assert {"not in the ids", "notes", "onset", "duration", "velocity", "tempo", "metres", "pedal", "drums"} <= {*told}
    if tokenizer == "performance":
        assert told["not in the ids"].startswith("tempo, metre, key")
        assert told["notes"] == "50.0% come back, 40 of 80"
        assert told["lost"] == "drums 40"
        assert told["metres"] == "0% come back, 0 of 2"
        assert told["pedal"] == "0% come back, 0 of 2; in 2 pieces as lengths of notes"
        assert told["tempo"] == "40.0% off"
    else:
        assert told["notes"] == "100% come back, 80 of 80"
        assert told["metres"] == "100% come back, 2 of 2"


def test_json_has_the_keys_of_tokenize_and_the_losses_besides(capsys, corpus, tmp_path):
    page = tmp_path / "losses.html"
    code, out, _ = run(capsys, "tokenize", corpus, "--report", "--out", page, "--json", "--most", 1)
    made = json.loads(out)
    assert code == 0
    assert list(made) == [
        "tokenizer", "hash", "vocab_size", "pieces", "tokens", "path", "seconds", "losses", "page",
    ]  # fmt: skip
    assert made["pieces"] == 2
    assert made["losses"]["corpus"] == "out"
    assert made["losses"]["measured"] == {"pieces": 1, "of": 2}
    assert made["page"] == str(page)
    assert "<title>performance on out</title>" in page.read_text()


def test_a_page_that_is_asked_for_is_a_report_that_is_asked_for(capsys, corpus, tmp_path):
    code, out, _ = run(capsys, "tokenize", corpus, "--tokenizer", "remi", "--out", tmp_path / "x.html")
    assert (code, out.splitlines()[-1]) == (0, f"page: {tmp_path / 'x.html'}")
    assert (tmp_path / "x.html").is_file()


def test_what_is_left_out_is_said_once_when_tokens_are_made(capsys, corpus):
    name = "absolute"
    assert run(capsys, "tokenize", corpus, "--tokenizer", name)[2].endswith(
        ", which leaves out tempo, metre, key, tracks, programs, controls and texts\n"
    )
    assert run(capsys, "tokenize", corpus, "--tokenizer", name)[2] == ""
