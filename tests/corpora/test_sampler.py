"""The built-in sampler: its size, its balance, its notes, and facts about pieces that anyone can look up."""

import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from etude.corpora import sampler
from etude.errors import CorpusError
from etude.files import sha256_of_file
from etude.music.check import check_score

SCRIPTS = Path(__file__).parents[2] / "scripts"
AFRESH = ("bach/bwv66.6.mxl", "monteverdi/madrigal.4.3.mxl", "ryansMammoth/GarryOwenJig.abc")


@pytest.fixture(scope="module")
def pieces():
    return list(sampler.iter_pieces())


@pytest.fixture(scope="module")
def by_path(pieces):
    return {piece.path: piece for piece in pieces}


def part(piece, name):
    """Return (onset, duration) in quarters and the pitches of one track."""
    track = [track.name for track in piece.score.tracks].index(name)
    notes = piece.score.notes.take(piece.score.notes.track == track)
    return notes.onset_tick / piece.score.ppq, notes.duration_tick / piece.score.ppq, notes.pitch.tolist()


def test_the_file_is_small_and_is_the_one_that_the_code_names():
    assert sampler.sampler_path().stat().st_size <= 3_000_000
    assert sha256_of_file(sampler.sampler_path()) == sampler.CHECKSUM


def test_the_file_says_what_made_it():
    metadata = pq.read_schema(sampler.sampler_path()).metadata
    assert metadata[b"schema"] == b"etude-sampler"
    assert metadata[b"version"] == b"1"
    assert metadata[b"music21"][:1].isdigit()


def test_there_are_some_hundreds_of_pieces_by_several_composers_in_several_genres(pieces):
    composers = Counter(piece.composer for piece in pieces)
    genres = Counter(piece.genre for piece in pieces)
    assert 500 <= len(pieces) <= 900
    assert composers["Johann Sebastian Bach"] >= 300
    named = set(composers) - {"Anonymous", "Traditional"}
    assert sum(composers[name] >= 10 for name in named) >= 5
    assert sum(count >= 20 for count in genres.values()) >= 9


def test_every_genre_of_ten_pieces_or_more_is_split_80_10_10(pieces):
    genres = Counter(piece.genre for piece in pieces)
    for genre, count in genres.items():
        parts = Counter(piece.split for piece in pieces if piece.genre == genre)
        if count >= 10:
            assert parts["valid"] >= 1, genre
            assert parts["test"] >= 1, genre
            assert 0.6 <= parts["train"] / count <= 0.85, genre
    everything = Counter(piece.split for piece in pieces)
    assert 0.77 <= everything["train"] / len(pieces) <= 0.83


def test_every_score_is_valid_and_none_is_long_or_empty(pieces):
    for piece in pieces:
        assert check_score(piece.score) == [], piece.path
        assert piece.score.ppq == 48, piece.path
        assert len(piece.score.notes) >= 24, piece.path
        assert 5 < piece.score.duration_sec <= 360, piece.path
        assert piece.score.notes.duration_tick.min() > 0, piece.path


def test_no_track_strikes_a_pitch_that_it_still_sounds(pieces):
    for piece in pieces:
        notes = piece.score.notes
        order = np.lexsort((notes.onset_tick, notes.pitch, notes.track))
        onset, end = notes.onset_tick[order], (notes.onset_tick + notes.duration_tick)[order]
        same = (np.diff(notes.pitch[order]) == 0) & (np.diff(notes.track[order]) == 0)
        assert (end[:-1][same] <= onset[1:][same]).all(), piece.path


def test_no_two_pieces_have_the_same_notes(pieces):
    assert [piece.id for piece in pieces] == [piece.score.content_digest() for piece in pieces]
    bare = Counter()
    for piece in pieces:
        notes = piece.score.notes
        rows = np.stack([notes.onset_tick, notes.pitch, notes.duration_tick])
        bare[rows[:, np.lexsort(rows)].tobytes()] += 1
    assert max(bare.values()) == 1


def test_every_piece_is_in_the_public_domain_and_says_where_it_is_from(pieces):
    for piece in pieces:
        assert piece.licence == "public domain"
        assert "music21" in piece.provenance or "CC0" in piece.provenance
        assert not piece.path.startswith(("palestrina/", "essenFolksong/", "josquin/", "airdsAirs/")), piece.path
        assert not piece.path.endswith(".krn") or piece.path.startswith("chopin/"), piece.path


def test_a_list_is_the_pieces_without_their_scores(pieces):
    listed = sampler.list_pieces()
    assert [piece.id for piece in listed] == [piece.id for piece in pieces]
    assert listed[0].labels == {"title": pieces[0].title, "composer": pieces[0].composer, "genre": pieces[0].genre}
    assert listed[0].source == pieces[0].provenance


def test_pieces_can_be_asked_for_by_split_and_genre(pieces):
    chosen = [piece.id for piece in sampler.iter_pieces("test", genres=["jig", "reel"])]
    assert chosen == [p.id for p in pieces if p.split == "test" and p.genre in ("jig", "reel")]
    with pytest.raises(CorpusError, match="split = 'dev': expected one of train, valid, test"):
        sampler.iter_pieces("dev")
    with pytest.raises(CorpusError, match="genre = 'polka': expected some of chorale"):
        sampler.iter_pieces(genres=["polka"])


def test_bach_bwv_66_6_is_as_printed(by_path):
    piece = by_path["bach/bwv66.6.mxl"]
    onset, duration, soprano = part(piece, "Soprano")
    assert [track.name for track in piece.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert soprano[:9] == [73, 71, 69, 71, 73, 76, 73, 71, 69]  # c#'' b' a' b' c#'' e'' c#'' b' a'
    assert onset[:9].tolist() == [0, 0.5, 1, 2, 3, 4, 5, 6, 7]
    assert duration[:9].tolist() == [0.5, 0.5, 1, 1, 1, 1, 1, 1, 1]
    assert piece.score.key_signatures.sharps.tolist() == [3]
    metres = piece.score.time_signatures
    assert list(zip(metres.tick.tolist(), metres.numerator.tolist(), metres.denominator.tolist(), strict=True)) == [
        (0, 1, 4),
        (48, 4, 4),
    ]


def test_five_voices_of_a_madrigal_end_together(by_path):
    """The encoding writes the rests of empty bars too long; bars are laid side by side again."""
    piece = by_path["monteverdi/madrigal.4.3.mxl"]
    ends = [max(onset + duration) for onset, duration, _ in (part(piece, t.name) for t in piece.score.tracks)]
    assert len(ends) == 5
    assert len(set(ends)) == 1


def test_a_triplet_is_exact_and_ties_are_one_note(by_path):
    mazurka = by_path["chopin/mazurka06-2.krn"].score
    assert 16 in mazurka.notes.duration_tick  # a third of a quarter
    onset, duration, soprano = part(by_path["bach/bwv10.7.mxl"], "Soprano")
    assert (onset[-1], duration[-1], soprano[-1]) == (72, 16, 67)  # the last note is held for four bars of 4/4


def test_music21_reads_three_pieces_afresh_as_they_are_stored(by_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        music21 = pytest.importorskip("music21", reason="music21 is not installed: pip install etude[scores]")
        made_with = pq.read_schema(sampler.sampler_path()).metadata[b"music21"].decode()
        if music21.__version__ != made_with:
            pytest.skip(f"the sampler was made with music21 {made_with}, here is {music21.__version__}")
        monkeypatch.syspath_prepend(str(SCRIPTS))
        import make_sampler

        works = {piece.path: piece for piece in make_sampler.works() + make_sampler.tunes(make_sampler.corpus_folder())}
        for path in AFRESH:
            (found,) = make_sampler.read(works[path])
            stored = by_path[path]
            assert found.score == stored.score
            assert (found.title, found.composer, found.genre) == (stored.title, stored.composer, stored.genre)
    for name in ("make_sampler", "sampler_scores", "sampler_families"):
        sys.modules.pop(name, None)
