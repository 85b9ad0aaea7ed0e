"""Tables of labels are joined by path; what does not fit is said in one line."""

import pytest

from etude.data.labels import read_labels
from etude.errors import CorpusError

PATHS = ["a.mid", "deep/b.mid", "deep/c.MID", "d,e.mid"]


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        file = tmp_path / "labels.csv"
        file.write_bytes(text.encode(encoding))
        return file

    return write


def test_columns_become_labels_and_four_have_a_meaning_of_their_own(table):
    file = table("path,composer,group,split,licence,source\na.mid,Bach,one,train,CC0 1.0,archive\n")
    labels = read_labels(file, PATHS)
    said = labels.of["a.mid"]
    assert labels.names == ("composer",)
    assert said.labels == {"composer": "Bach"}
    assert (said.group, said.split, said.licence, said.source) == ("one", "train", "CC0 1.0", "archive")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(table, delimiter):
    rows = [["file", "title", "year"], ["a.mid", '"One; two, three"', "1890"]]
    labels = read_labels(table("\n".join(delimiter.join(row) for row in rows)), PATHS)
    assert labels.of["a.mid"].labels == {"title": "One; two, three", "year": "1890"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_usual_encodings_of_spreadsheets_are_read(table, encoding):
    assert read_labels(table("Path,who\r\na.mid,Dvořák\r\n", encoding), PATHS).of["a.mid"].labels == {"who": "Dvořák"}


@pytest.mark.parametrize("spelling", ["deep/b.mid", "./deep/b.mid", "deep\\b.mid", " deep//b.mid "])
def test_a_path_may_be_spelt_in_the_usual_ways(table, spelling):
    assert "deep/b.mid" in read_labels(table(f"path,x\n{spelling},1\n"), PATHS).of


def test_composed_and_decomposed_letters_are_the_same_path(table):
    assert "Dvořák.mid" in read_labels(table("path,x\nDvořák.mid,1\n"), ["Dvořák.mid"]).of


def test_empty_cells_are_no_labels(table):
    assert read_labels(table("path,x,group\na.mid, ,\n"), PATHS).of["a.mid"].labels == {"x": None}


def test_rows_of_files_that_are_not_there_are_listed(table):
    labels = read_labels(table("path,x\na.mid,1\ngone.mid,2\n\nalso/gone.mid,3\n"), PATHS)
    assert labels.unmatched == ["gone.mid", "also/gone.mid"]


@pytest.mark.parametrize(
    ("said", "meant"), [("validation", "valid"), ("VAL", "valid"), ("Test", "test"), ("dev", "valid")]
)
def test_the_usual_names_of_splits_are_understood(table, said, meant):
    assert read_labels(table(f"path,split\na.mid,{said}\n"), PATHS).of["a.mid"].split == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected a header with a column 'path'"),
        (
            "name,composer\na.mid,Bach\n",
            "no column 'path' or 'file' to join by; the columns are name, composer",
        ),
        ("path,x\na.mid,1\nb.mid,2\n./a.mid,3\n", "line 4: 'a.mid' is on line 2 too; keep one row a file"),
        ("path,x\na.mid\n", "line 2: 1 cells, expected 2 as in the header"),
        ("path,x\nd,e.mid,1\n", "line 2: 3 cells, expected 2 as in the header"),
        (
            "path,x\nelsewhere/a.mid,1\n",
            "'path' matches none of 4 files; it says 'elsewhere/a.mid', a file is 'a.mid'",
        ),
        ("path,x\n", "matches none of 4 files"),
        ("path,split\na.mid,trian\n", "line 2: split = 'trian': did you mean 'train'?"),
        (
            "path,group,split\na.mid,g,train\ndeep/b.mid,g,test\n",
            "line 3: group 'g' is in test here and in train on line 2",
        ),
        ("path,x,x\na.mid,1,2\n", "column 'x' stands twice"),
        ("path,licence,license\na.mid,1,2\n", "column 'licence' stands twice"),
        ("path,,x\na.mid,1,2\n", "has no name"),
        ('path,x\na.mid,"1\n', "line 2: unexpected end of data"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_file_and_line(table, text, message):
    with pytest.raises(CorpusError) as error:
        read_labels(table(text), PATHS)
    assert message in str(error.value)
    assert "labels.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_table_in_another_encoding_is_refused(table):
    with pytest.raises(CorpusError, match="byte 12 is not UTF-8"):
        read_labels(table("path,x\na.mid,é\n".replace("a.mid", "abcd"), "latin-1"), PATHS)


def test_a_table_that_is_missing_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.csv: cannot be read: No such file"):
        read_labels(tmp_path / "none.csv", PATHS)
