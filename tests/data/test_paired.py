"""Paired text: ids, what is refused and where, and the same bytes back."""

import pyarrow.parquet as pq
import pytest

from etude.data.paired import DICT_LINES, export_pairs, import_pairs, iter_pairs, read_dictionary
from etude.errors import CorpusError, FormatError

TOKENS = ["b-0", "b-1", "o-0", "i-0", "p-60", "d-12", "<sep>", "ключ"]
LINES = len(TOKENS)


@pytest.fixture
def texts(tmp_path):
    """Two splits of pairs and their dictionary."""
    folder = tmp_path / "texts"
    folder.mkdir()
    write(folder / "dict.txt", *(f"{token} {count}" for count, token in enumerate(TOKENS)))
    write(folder / "train_input.txt", "i-0 <sep>", "", "ключ")
    write(folder / "train.txt", "o-0 i-0 p-60 d-12 b-1", "b-1", "b-1 b-1")
    write(folder / "valid_input.txt", "<sep>")
    write(folder / "valid.txt", "b-0")
    return folder


def write(file, *lines):
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")


def imported(texts):
    out = texts.parent / "pairs"
    return out, import_pairs(texts, out, dict_lines=LINES)


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def refusal(texts, **options):
    with pytest.raises(FormatError) as caught:
        import_pairs(texts, texts.parent / "pairs", **{"dict_lines": LINES} | options)
    assert not (texts.parent / "pairs").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_line_of_each_file_is_a_pair_of_ids(texts):
    """covers: MT-21 (partly)"""
    out, made = imported(texts)
    assert made["splits"] == {"train": 3, "valid": 1}
    assert made["tokens"] == 13
    table = pq.read_table(out / "pairs-train.parquet")
    assert table["source_ids"].to_pylist() == [[7, 10], [], [11]]
    assert table["target_ids"].to_pylist() == [[6, 7, 8, 9, 5], [5], [5, 5]]
    assert table["source_text"].null_count == table["target_text"].null_count == 3
    assert [pair[1].ids for pair in iter_pairs(out, "valid")] == [[4]]


def test_the_same_bytes_are_written_back(texts):
    (texts / "train_input.txt").write_bytes("i-0  <sep> \r\n\ni-0\u2003<sep>".encode())
    (texts / "valid.txt").write_bytes(b"\tb-0")
    out, _ = imported(texts)
    export_pairs(out, texts.parent / "back")
    assert bytes_of(texts.parent / "back") == bytes_of(texts)


@pytest.mark.parametrize(
    ("source", "target", "shorter", "first"), [(3, 5, "train_input", 4), (5, 3, "train", 4), (4, 0, "train", 1)]
)
def test_unequal_counts_are_refused_with_file_and_line(texts, source, target, shorter, first):
    """covers: MT-21"""
    write(texts / "train_input.txt", *["i-0"] * source)
    write(texts / "train.txt", *["b-1"] * target)
    message = refusal(texts)
    longer = "train_input.txt" if source > target else "train.txt"
    assert f"{texts / longer}, line {first}: no line {first} in {shorter}.txt" in message
    assert f"it has {min(source, target)} lines and {longer} {max(source, target)}" in message


def test_a_dictionary_of_another_length_is_refused(texts):
    """covers: MT-21 (partly)"""
    message = refusal(texts, dict_lines=DICT_LINES)
    assert message.startswith(f"{texts / 'dict.txt'}: 8 lines, expected 1249; ")


def test_a_token_that_the_dictionary_lacks_is_refused_with_its_place(texts):
    """covers: MT-21 (partly)"""
    write(texts / "train.txt", "b-1", "b-1", "b-1 o-0  p-61 b-1")
    assert refusal(texts) == f"{texts / 'train.txt'}, line 3, token 3: 'p-61' is not in dict.txt"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b-0 7", "line 9: token 'b-0' is on line 1 too; keep one"),
        ("alone", "line 9: 'alone', expected a token, a space and a count"),
        ("a b 3", "line 9: 'a b 3', expected a token, a space and a count"),
        ("a many", "line 9: 'a many', expected a token, a space and a count"),
        ("", "line 9: '', expected a token, a space and a count"),
    ],
)
def test_a_dictionary_must_be_one(texts, line, message):
    with (texts / "dict.txt").open("a") as file:
        file.write(f"{line}\n")
    assert message in refusal(texts)


def test_other_things_that_are_wrong_are_named(texts):
    (texts / "test_input.txt").write_bytes(b"i-0\n")
    assert "test.txt: no such file; test_input.txt needs it" in refusal(texts)
    (texts / "test.txt").write_bytes(b"b-\xff\n")
    assert f"{texts / 'test.txt'}, line 1: byte 3 is not UTF-8" in refusal(texts)
    write(texts / "test.txt", "  ")
    assert f"{texts / 'test.txt'}, line 1: empty; expected tokens" in refusal(texts)
    assert "dict.txt: cannot be read: No such file" in refusal(texts, dictionary=texts / "none" / "dict.txt")
    for file in texts.glob("*_input.txt"):
        file.unlink()
    assert "no file named <split>_input.txt" in refusal(texts)
    assert "no file named <split>_input.txt" in refusal(texts / "none")


def test_ids_follow_from_the_line_of_a_token(tmp_path):
    write(tmp_path / "dict.txt", *(f"t{number} 1" for number in range(DICT_LINES)))
    ids = read_dictionary(tmp_path / "dict.txt")
    assert (ids["t0"], ids["t1248"], len(ids)) == (4, 1252, 1249)


def test_many_pairs_are_written_in_portions(texts):
    write(texts / "train_input.txt", *["i-0"] * 1100)
    write(texts / "train.txt", *["b-1 " * (number % 3 + 1) for number in range(1100)])
    out, made = imported(texts)
    assert made["splits"]["train"] == 1100
    export_pairs(out, texts.parent / "back")
    assert bytes_of(texts.parent / "back") == bytes_of(texts)


def test_nothing_is_overwritten_and_damage_is_named(texts):
    out, _ = imported(texts)
    with pytest.raises(CorpusError, match="pairs: is there already; choose another folder"):
        import_pairs(texts, out, dict_lines=LINES)
    with pytest.raises(CorpusError, match="is there already"):
        export_pairs(out, texts)
    with pytest.raises(CorpusError, match="no folder of pairs; make one with `etude corpus import paired`"):
        export_pairs(texts, texts.parent / "back")
    (out / "pairs-train.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match="pairs-train.parquet: damaged"):
        export_pairs(out, texts.parent / "back")
    (out / "pairs.json").write_text('{"schema": "etude-pairs", "version": 2}')
    with pytest.raises(CorpusError, match=r"schema and version are \('etude-pairs', 2\)"):
        export_pairs(out, texts.parent / "back")
    (out / "pairs.json").write_text("{")
    with pytest.raises(CorpusError, match="pairs.json: unreadable"):
        export_pairs(out, texts.parent / "back")
    assert not (texts.parent / "back").exists()
