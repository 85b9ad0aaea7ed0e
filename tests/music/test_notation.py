"""The order in which written bars are played, and what happens to ties, metres and tempos on the way."""

import pytest

from etude.errors import FormatError
from etude.music.notation import Bar, Written, order_of_bars, play, resolution


def bars(text):
    """Return bars of a short script: ``|:`` and ``:|`` around them, ``1`` a volta, letters for marks."""
    found = []
    for word in text.split():
        bar = Bar(length_tick=4, forward="|:" in word, plays=2 if ":|" in word else 0)
        bar.endings = frozenset(int(letter) for letter in word if letter.isdecimal())
        names = {"S": "segno", "C": "coda", "F": "fine", "T": "to_coda", "D": "da_capo", "G": "dal_segno"}
        for letter, name in names.items():
            setattr(bar, name, letter in word)
        found.append(bar)
    return found


@pytest.mark.parametrize(
    ("written", "played"),
    [
        ("- - -", "0 1 2"),
        ("- -:| -", "0 1 0 1 2"),
        ("- |:- -:| -", "0 1 2 1 2 3"),
        # a repeat without a beginning goes back to the end of the one before
        ("-:| - -:| -", "0 0 1 2 1 2 3"),
        ("- 1:| 2 -", "0 1 0 2 3"),
        ("|:- 1:| 2 |:- 1:| 2", "0 1 0 2 3 4 3 5"),
        ("|:- 12:| 3", "0 1 0 1 0 2"),
        ("|:- 1 1:| 2 2", "0 1 2 0 3 4"),
        # the second volta ends with a repeat too, which is spent
        ("|:- 1:| 2:| -", "0 1 0 2 3"),
        # after a volta a repeat goes back to what comes behind it
        ("- 1:| 2 - -:| -", "0 1 0 2 3 4 3 4 5"),
        ("- -F -D", "0 1 2 0 1"),
        ("- S -F -G", "0 1 2 3 1 2"),
        ("- T - D C", "0 1 2 3 0 1 4"),
        ("- ST - G C -", "0 1 2 3 1 4 5"),
        # after a da capo no repeat is played again, and of volte the last
        ("|:- 1:| 2F -D", "0 1 0 2 3 0 2"),
        ("- -:| - D", "0 1 0 1 2 3 0 1 2 3"),
        # there is no coda to go to
        ("- T - D", "0 1 2 3 0 1 2 3"),
    ],
)
def test_bars_are_played_in_the_order_that_the_signs_say(written, played):
    assert order_of_bars(bars(written)) == [int(place) for place in played.split()]


def test_a_count_of_repeats_is_kept_to():
    assert order_of_bars([Bar(plays=4)]) == [0] * 4


def test_repeats_without_an_end_in_sight_are_refused():
    with pytest.raises(FormatError, match="more than 100000 bars"):
        order_of_bars([Bar(plays=10**9)])


def test_sections_are_played_in_their_order_with_their_own_repeats():
    written = Written(4, bars("- -:| -"), sections=[range(2, 3), range(0, 2), range(2, 3)])
    written.tracks = [None]
    written.notes = [(bar, 0, 4, 60 + bar, 80, 0, 0, 0) for bar in range(3)]
    assert play(written).notes.pitch.tolist() == [62, 60, 61, 60, 61, 62]


def test_a_tie_into_a_repeat_ends_where_its_partner_is_not():
    written = Written(4, bars("- -:|"))
    # tied from the second bar to what comes after it: the first bar, which is not tied to
    written.notes = [(0, 0, 4, 60, 80, 0, 0, 0), (1, 0, 4, 60, 80, 0, 1, 0)]
    assert play(written).notes.duration_tick.tolist() == [4, 4, 4, 4]


def test_a_chain_of_ties_is_one_note():
    written = Written(4, bars("- " * 50))
    written.notes = [(bar, 0, 4, 60, 80, 0, bar < 49, bar > 0) for bar in range(50)]
    assert play(written).notes.duration_tick.tolist() == [200]


def test_nothing_is_a_piece_without_notes():
    assert len(play(Written(96)).notes) == 0


def test_a_resolution_holds_all_divisions_if_midi_can():
    assert resolution([1]) == 96
    assert resolution([480, 7]) == 3360
    assert resolution([10_007, 9]) == 10_080
    assert resolution([0]) == 10_080
