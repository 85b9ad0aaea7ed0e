"""Ids varied without their Score: pitch, velocity, tempo, the order of chords, and pieces that stay apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_scores import any_score, fixed_piece

from etude.music.augment import AugmentSettings
from etude.music.edit import transpose
from etude.music.score import Score
from etude.tokens import build_tokenizer
from etude.tokens.absolute_layout import END, IS_DRUM, IS_NOTE, LEVELS, NEAR_END, PAD, UNKNOWN
from etude.tokens.augment import (
    augment_ids,
    augment_packed,
    can_augment_ids,
    events_in_order,
    ids_of,
    mix_chords,
    moved_pitches,
    moved_velocities,
    rewritten,
)

FORMS = [("absolute", {}), ("relative", {}), ("absolute", {"pedal": "tokens", "instruments": ["piano"]})]
EVERYTHING = AugmentSettings(transpose_semitones=5, tempo_percent=20.0, velocity_steps=1, mix_chords=True)


@pytest.fixture(params=FORMS, ids=["absolute", "relative", "pedal"], scope="module")
def tokenizer(request):
    kind, settings = request.param
    return build_tokenizer(kind, **settings)


def piece_of(tokenizer, score=None):
    return np.append(tokenizer.encode(fixed_piece() if score is None else score), END)


def notes_of(tokenizer, ids):
    """Return step and first id of each event, in the order of the ids."""
    events = events_in_order(ids, tokenizer.layout)
    return events.step, events.first


@given(score=any_score(), factor=st.sampled_from([1.0, 0.8, 1.2, 0.5]))
def test_taken_apart_and_written_again_ids_are_the_same_and_another_tempo_is_legal(tokenizer, score, factor):
    ids = piece_of(tokenizer, score)
    assert ids_of(events_in_order(ids, tokenizer.layout), tokenizer.layout).tolist() == ids.tolist()
    varied = rewritten(ids, tokenizer.layout, factor, seed=3)
    assert tokenizer.grammar.first_illegal(varied) is None
    assert varied[-1] == END


def test_another_tempo_keeps_the_number_of_notes_and_the_order_of_onsets(tokenizer):
    """covers: AP-11"""
    ids = piece_of(tokenizer)
    step, first = notes_of(tokenizer, ids)
    for factor in (0.8, 0.93, 1.2):
        varied_step, varied_first = notes_of(tokenizer, rewritten(ids, tokenizer.layout, factor))
        assert (varied_first == first).all()
        assert (varied_step == np.floor(step * factor + 0.5)).all()
    # durations as well, within what there is
    events = [events_in_order(one, tokenizer.layout) for one in (ids, rewritten(ids, tokenizer.layout, 1.2))]
    assert (np.abs(events[1].duration - np.minimum(events[0].duration * 1.2, 500)) <= 0.5).all()


def test_mixing_leaves_each_chord_its_notes(tokenizer):
    """covers: AP-11"""
    chords = Score.of(np.repeat(np.arange(40) * 700, 4), [300] * 160, np.tile([60, 64, 67, 72], 40) + 1)
    ids = piece_of(tokenizer, chords)
    mixed = mix_chords(tokenizer, ids, seed=1)
    assert mixed.tolist() != ids.tolist()
    assert tokenizer.decode(mixed) == tokenizer.decode(ids)
    step, first = notes_of(tokenizer, mixed)
    assert (step == notes_of(tokenizer, ids)[0]).all()
    orders = {tuple(chord) for chord in first.reshape(40, 4).tolist()}
    assert len(orders) > 10
    assert {tuple(sorted(chord)) for chord in orders} == {tuple(notes_of(tokenizer, ids)[1][:4].tolist())}
    assert mix_chords(tokenizer, ids, seed=1).tolist() == mixed.tolist()
    assert mix_chords(tokenizer, ids, seed=2).tolist() != mixed.tolist()


@pytest.mark.parametrize("semitones", [-5, 1, 5])
def test_transposing_moves_every_note_or_makes_it_unknown(tokenizer, semitones):
    """covers: AP-11"""
    layout, ids = tokenizer.layout, piece_of(tokenizer)
    assert moved_pitches(ids, layout, semitones)[:-1].tolist() == (
        tokenizer.encode(transpose(fixed_piece(), semitones)).tolist()
    )
    edges = piece_of(tokenizer, Score.of([0, 100, 200], [90] * 3, [0, 60, 127]))
    moved = moved_pitches(edges, layout, semitones)
    is_note = layout.kinds[edges] == IS_NOTE
    gone = 0 if semitones < 0 else 2
    assert [one == UNKNOWN for one in moved[is_note]] == [k == gone for k in range(3)]
    kept = moved[is_note] != UNKNOWN
    assert ((moved - edges)[is_note][kept] == LEVELS * semitones).all()
    assert (moved[~is_note] == edges[~is_note]).all()
    # what is unknown is no note
    assert len(tokenizer.decode(moved).notes) == 2


def test_velocities_move_by_whole_steps_within_10_and_120(tokenizer):
    """covers: AP-11"""
    layout, ids = tokenizer.layout, piece_of(tokenizer)
    is_note = layout.kinds[ids] == IS_NOTE
    level = (ids[is_note] - layout.note) % LEVELS
    for levels in (-1, 1, 12):
        moved = moved_velocities(ids, layout, levels)
        assert ((moved[is_note] - layout.note) % LEVELS == np.clip(level + levels, 1, 12)).all()
        assert (moved[~is_note] == ids[~is_note]).all()


def test_drums_keep_their_keys_and_have_no_velocity():
    tokenizer = build_tokenizer("absolute")
    ids = piece_of(tokenizer)
    is_drum = tokenizer.layout.kinds[ids] == IS_DRUM
    assert is_drum.any()
    for varied in (moved_pitches(ids, tokenizer.layout, 3), moved_velocities(ids, tokenizer.layout, 1)):
        assert (varied[is_drum] == ids[is_drum]).all()


def test_pieces_of_a_row_stay_apart_and_are_varied_each_by_itself(tokenizer):
    """covers: AP-11"""
    # as shards hold them
    ids = piece_of(tokenizer).astype(np.uint16)
    row = np.concatenate([ids, ids, ids])
    varied = augment_ids(tokenizer, row, EVERYTHING, seed=5, index=(7,))
    pieces = np.split(varied, np.flatnonzero(varied == END) + 1)[:-1]
    assert len(pieces) == 3
    assert len({tuple(piece) for piece in pieces}) == 3
    for piece in pieces:
        assert len(notes_of(tokenizer, piece)[0]) + np.count_nonzero(piece == UNKNOWN) == len(
            notes_of(tokenizer, ids)[0]
        )
    # the first piece is varied as if it stood alone
    alone = augment_ids(tokenizer, ids, EVERYTHING, seed=5, index=(7,))
    assert pieces[0].tolist() == alone.tolist()


@pytest.mark.parametrize("first", [0, 1, 2, 5, 100, 211])
def test_a_packed_row_keeps_its_length_and_drops_what_is_no_whole_event(tokenizer, first):
    """covers: AP-11"""
    ids = piece_of(tokenizer)
    row = np.concatenate([ids[first:], ids, ids])[: len(ids) + 301]
    varied = augment_packed(tokenizer, row, EVERYTHING, seed=2, index=(first,))
    assert varied.shape == row.shape
    ends = np.flatnonzero(varied == END)
    assert len(ends) in (1, 2)
    assert (varied[np.flatnonzero(varied == PAD)[0] :] == PAD).all() if (varied == PAD).any() else True
    body = varied[ends[0] + 1 : ends[1] + 1] if len(ends) == 2 else varied[ends[0] + 1 :]
    body = body[(body != PAD) & (body != UNKNOWN)]
    assert len(notes_of(tokenizer, body)[0]) > 20


def test_marks_stay_behind_the_event_that_they_followed():
    tokenizer = build_tokenizer("absolute", delimiter=True)
    layout, ids = tokenizer.layout, piece_of(build_tokenizer("absolute", delimiter=True))
    notes = np.flatnonzero(np.isin(layout.kinds[ids], (IS_NOTE, IS_DRUM)))
    places = notes[[0, 5, 5, 60]]
    marked = np.insert(ids, places, [layout.delimiter, NEAR_END, layout.delimiter, layout.delimiter])
    events = events_in_order(marked, layout)
    assert events.marks.tolist() == [layout.delimiter, NEAR_END, layout.delimiter, layout.delimiter]
    assert events.after.tolist() == [0, 5, 5, 60]
    assert ids_of(events, layout).tolist() == marked.tolist()
    varied = events_in_order(rewritten(marked, layout, 1.2), layout)
    assert (varied.after.tolist(), varied.marks.tolist()) == (events.after.tolist(), events.marks.tolist())


def test_a_row_without_notes_stays_as_it_is(tokenizer):
    for row in ([END], [PAD, PAD], [6, 0], []):
        ids = np.array(row, np.int32)
        assert augment_ids(tokenizer, ids, EVERYTHING, seed=1).tolist() == row


def test_only_absolute_and_relative_are_known():
    assert can_augment_ids(build_tokenizer("absolute"))
    assert not can_augment_ids(build_tokenizer("performance"))


@given(data=st.data())
def test_any_ids_can_be_varied(tokenizer, data):
    first = np.array([0, 4, 5, 6, END, PAD, UNKNOWN, tokenizer.layout.note + 7, tokenizer.layout.duration, 17])
    one = st.one_of(st.integers(0, tokenizer.vocab_size - 1), st.sampled_from(first.tolist()))
    ids = np.array(data.draw(st.lists(one, max_size=80)), np.int32)
    varied = augment_packed(tokenizer, ids, EVERYTHING, seed=1)
    assert varied.shape == ids.shape
    assert ((varied >= 0) & (varied < tokenizer.vocab_size)).all()
    assert np.count_nonzero(augment_ids(tokenizer, ids, EVERYTHING, seed=1) == END) == np.count_nonzero(ids == END)
