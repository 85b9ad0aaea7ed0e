"""`etude corpus export` and `etude corpus import`: one JSON document or lines, and what a user must mend."""

import json

import pytest

from etude.cli.__main__ import main
from etude.data.corpus import Corpus
from etude.music.midi import write_midi
from etude.music.score import Score

ABC = "X:1\nL:1/4\nK:C\nCDE|\nX:2\nL:1/4\nK:C\nEDC|\n"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("made")
    (tmp_path / "midi").mkdir()
    for k in range(3):
        write_midi(Score.of([0, 480, 960 + k], [240, 240, 240], [60, 62, 64 + k]), tmp_path / "midi" / f"{k}.mid")
    main(["prepare", str(tmp_path / "midi"), str(tmp_path / "corpus"), "--workers", "1", "--json"])
    return tmp_path / "corpus"


def run(capsys, *arguments):
    capsys.readouterr()
    code = main([str(argument) for argument in ("corpus", *arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def made(capsys, *arguments):
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def refusal(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("etude: ")
    assert err.count("\n") == 1
    return err


def test_midi_goes_out_and_comes_in(capsys, corpus, tmp_path):
    assert made(capsys, "export", corpus, tmp_path / "out")["pieces"] == 3
    again = made(capsys, "import", "midi", tmp_path / "out", tmp_path / "again", "--workers", 1)
    assert (again["accepted"], again["seen"]) == (3, 3)
    assert Corpus.open(tmp_path / "again").content == Corpus.open(corpus).content


def test_midi_dict_goes_out_and_comes_in(capsys, corpus, tmp_path):
    out = tmp_path / "x.jsonl"
    assert made(capsys, "export", corpus, out, "--format", "midi-dict")["files"] == {str(out): 3}
    again = made(capsys, "import", "midi-dict", out, tmp_path / "again", "--licence", "CC0 1.0", "--workers", 1)
    assert again["accepted"] == 3
    assert Corpus.open(tmp_path / "again").info["licences"] == {"CC0 1.0": 3}
    files = made(capsys, "export", corpus, out, "--format", "midi-dict", "--by-split")["files"]
    assert sum(files.values()) == 3
    assert "--force" in refusal(capsys, "export", corpus, out, "--format", "midi-dict")
    assert made(capsys, "export", corpus, out, "--format", "midi-dict", "--force")["files"] == {str(out): 3}


def test_prepare_reads_a_file_of_lines_as_well(capsys, corpus, tmp_path):
    made(capsys, "export", corpus, tmp_path / "in" / "x.jsonl", "--format", "midi-dict")
    main(["prepare", str(tmp_path / "in" / "x.jsonl"), str(tmp_path / "one"), "--workers", "1"])
    main(["prepare", str(tmp_path / "in"), str(tmp_path / "two"), "--workers", "1", "--formats", "midi_dict"])
    ids = [Corpus.open(tmp_path / name).splits["id"].to_pylist() for name in ("one", "two")]
    assert ids[0] == ids[1]
    assert sorted(ids[0]) == sorted(Corpus.open(corpus).splits["id"].to_pylist())


def test_tunes_and_scores_come_in(capsys, tmp_path):
    (tmp_path / "a.abc").write_text(ABC)
    assert made(capsys, "import", "abc", tmp_path, tmp_path / "tunes", "--workers", 1)["accepted"] == 2
    assert "no file named .musicxml, .mxl or .xml" in refusal(capsys, "import", "musicxml", tmp_path, tmp_path / "out")


def test_paired_text_comes_in_and_goes_out(capsys, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "dict.txt").write_text("a 1\nb 1\n")
    (folder / "train_input.txt").write_text("a\nb a\n")
    (folder / "train.txt").write_text("b\na\n")
    arguments = ("import", "paired", folder, tmp_path / "pairs")
    assert "2 lines, expected 1249" in refusal(capsys, *arguments)
    answer = made(capsys, *arguments, "--dict-lines", 2)
    assert answer == {"path": str(tmp_path / "pairs"), "splits": {"train": 2}, "tokens": 5}
    assert made(capsys, "export", tmp_path / "pairs", tmp_path / "back", "--format", "paired")["splits"] == {"train": 2}
    assert {file.name: file.read_bytes() for file in (tmp_path / "back").iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    code, out, _ = run(capsys, "export", tmp_path / "pairs", tmp_path / "more", "--format", "paired")
    assert (code, out) == (0, f"{tmp_path / 'more'}  pairs: 2 train\n")


def test_a_person_reads_what_was_written(capsys, corpus, tmp_path):
    code, out, err = run(capsys, "export", corpus, tmp_path / "out")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'out'}  3 MIDI files, labels.csv, SOURCE.md\n"
    code, out, _ = run(capsys, "export", corpus, tmp_path / "x.jsonl", "--format", "midi-dict")
    assert (code, out) == (0, f"{tmp_path / 'x.jsonl'}  3 pieces\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "none", "out"], "none: no such folder; make a corpus with `etude prepare MIDI_DIR none`"),
        (["export", "none", "out", "--format", "midi_dict"], "'midi_dict' is not one of"),
        (["export", "none", "out", "--by-split"], "--by-split and --force are for --format midi-dict"),
        (["export", "none", "out", "--format", "paired", "--split", "train"], "written with all its splits"),
        (["import", "xml", "in", "out"], "'xml' is not one of"),
        (["import", "abc", "in", "out", "--dict-lines", "3"], "--dict and --dict-lines are for paired text"),
        (["import", "paired", "in", "out"], "no file named <split>_input.txt"),
    ],
)
def test_what_a_user_must_mend_is_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, *arguments)
