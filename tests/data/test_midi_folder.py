"""A folder of MIDI becomes a corpus once, and anew when it has changed."""

import pytest
from small_runs import tune

from etude.data.midi_folder import corpus_of
from etude.errors import CorpusError
from etude.music.midi import write_midi


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        (tmp_path / "mine").mkdir(exist_ok=True)
        write_midi(tune(number), tmp_path / "mine" / f"{number}.mid")
    return tmp_path / "mine"


def test_a_fifth_is_held_out_and_nothing_is_kept_for_a_test(folder, tmp_path):
    corpus = corpus_of(folder, tmp_path / "made")
    assert corpus.path.parent == tmp_path / "made"
    assert corpus.path.name.startswith("mine-")
    assert corpus.info["splits"] == {"train": 5, "valid": 1, "test": 0}


def test_the_same_folder_is_not_read_again_and_a_changed_one_is(folder, tmp_path):
    first = corpus_of(folder, tmp_path / "made")
    seen: list[int] = []
    again = corpus_of(folder, tmp_path / "made", progress=lambda done, total: seen.append(done))
    assert (again.path, seen) == (first.path, [])
    write_midi(tune(9), folder / "9.mid")
    more = corpus_of(folder, tmp_path / "made")
    assert more.path != first.path
    assert len(more) == 7


def test_a_corpus_is_opened_as_it_is(folder, tmp_path):
    made = corpus_of(folder, tmp_path / "made")
    assert corpus_of(made.path, tmp_path / "elsewhere").path == made.path
    assert not (tmp_path / "elsewhere").exists()


def test_one_piece_is_too_few_to_hold_any_out(folder, tmp_path):
    for file in list(folder.iterdir())[1:]:
        file.unlink()
    with pytest.raises(CorpusError, match="1 pieces in 1 groups of variants, of 1 files: expected two groups or more"):
        corpus_of(folder, tmp_path / "made")
