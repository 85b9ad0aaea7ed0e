"""The remi tokenizer's decoder, which reads anything, and its grammar, under which nothing needs mending."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Track
from etude.tokens import build_tokenizer

FORMS = ("remigen2", "remigen", "reduced")
NOTE = "p-60 d-12 v-20"
HEAD = "s-9 t-35 o-0 i-0"


@pytest.fixture(scope="module")
def remi():
    return build_tokenizer("remi")


def ids_of(tokenizer, text):
    return [tokenizer.vocab.id_of(name) for name in text.split()]


def heard(tokenizer, text):
    """Return (onset, duration) in positions, pitch, velocity and program or "drums" of what words tell."""
    score = tokenizer.decode(ids_of(tokenizer, text))
    assert read_midi(midi_bytes(score)).notes == score.notes
    kinds = ["drums" if track.is_drum else track.program for track in score.tracks]
    rows = zip(*(column.tolist() for column in score.notes.columns().values()), strict=True)
    return [
        (onset / 40, duration / 40, pitch, velocity, kinds[track]) for onset, duration, pitch, velocity, track in rows
    ]


ONE = (0, 12, 60, 82, 0)


@pytest.mark.parametrize(
    ("text", "notes", "mended"),
    [
        (f"{HEAD} {NOTE} b-1 END", [ONE], {}),
        (f"{HEAD} {NOTE}", [ONE], {}),
        (NOTE, [ONE], {}),
        (f"{HEAD} {NOTE} b-1 END {HEAD} {NOTE} b-1", [ONE], {}),
        (f"END I1s2_0_0 <sep> {HEAD} {NOTE} b-1 END", [ONE], {}),
        (f"p-3 d-3 v-3 R1_0 <sep> {HEAD} {NOTE} b-1 END", [ONE], {}),
        (f"{HEAD} p-60 PAD d-12 <unk> v-20 b-0 e-1 <s> b-1", [ONE], {"without_meaning": 5}),
        (f"{HEAD} p-60 d-12 b-1", [(0, 12, 60, 98, 0)], {"without_velocity": 1}),
        (f"{HEAD} p-60 v-3 {NOTE} b-1", [ONE], {"stray": 2}),
        (f"{HEAD} {NOTE} d-3 v-3 v-4 b-1", [ONE], {"stray": 3}),
        (f"{HEAD} p-60 p-61 b-1 d-12", [], {"stray": 3}),
        ("s-9 t-35 o-0 i-7 p-188 d-12 v-20 b-1", [(0, 12, 60, 82, 7)], {"wrong_kind": 1}),
        ("s-9 t-35 o-0 i-128 p-60 d-12 v-20 b-1", [(0, 12, 60, 82, "drums")], {"wrong_kind": 1}),
        (f"s-8 t-35 o-36 i-0 {NOTE} b-1", [(36, 12, 60, 82, 0)], {"outside_bar": 1}),
        (f"{HEAD} p-60 d-0 v-20 b-1", [(0, 1, 60, 82, 0)], {}),
        (f"{HEAD} p-60 d-127 v-20 b-1", [(0, 2932, 60, 82, 0)], {}),
        (f"b-1 b-1 {NOTE}", [(96, 12, 60, 82, 0)], {}),
        (f"s-8 b-1 b-1 s-9 o-4 i-9 b-1 {NOTE}", [(120, 12, 60, 82, 9)], {}),
        (f"o-24 b-1 {NOTE} o-12 {NOTE}", [(48, 12, 60, 82, 0), (60, 12, 60, 82, 0)], {}),
        (f"s-9 s-6 b-1 {NOTE}", [(12, 12, 60, 82, 0)], {}),
        ("", [], {}),
        ("END", [], {}),
        ("b-1 t-3 s-4 o-9 i-3", [], {}),
    ],
)
def test_the_decoder_reads_anything_and_says_what_it_mended(remi, text, notes, mended):
    """covers: MT-5 (partly), MT-18 (partly)"""
    assert heard(remi, text) == notes
    repairs = remi.repairs(ids_of(remi, text))
    assert {name: count for name, count in repairs.items() if count} == mended


@pytest.mark.parametrize("form", FORMS)
def test_one_decoder_reads_every_form(form):
    """covers: MT-18 (partly)"""
    tokenizer = build_tokenizer("remi", form=form)
    two = [ONE, (24, 12, 60, 82, 0)]
    assert heard(tokenizer, f"s-9 t-35 o-0 i-0 {NOTE} o-24 i-0 {NOTE} b-1") == two
    assert heard(tokenizer, f"s-9 o-0 t-35 i-0 {NOTE} o-24 t-35 i-0 {NOTE} b-1") == two
    reduced = "o-0 i-0 p-60 d-12 o-24 i-0 p-60 d-12 b-1"
    assert [row[:3] for row in heard(tokenizer, reduced)] == [row[:3] for row in two]


def test_the_tempo_told_first_holds_from_the_start(remi):
    score = remi.decode(ids_of(remi, f"s-9 b-1 s-9 o-0 t-23 i-0 {NOTE} o-12 t-23 o-24 t-47 {NOTE} b-1"))
    assert score.tempos.tick.tolist() == [0, 2880]
    assert score.tempos.us_per_quarter.tolist() == pytest.approx([1e6, 250_000], rel=0.01)


def test_a_note_inside_a_longer_one_of_its_key_goes_to_a_track_of_its_own(remi):
    ids = ids_of(
        remi,
        "s-9 t-35 o-0 i-3 p-60 d-40 v-20 o-1 i-3 p-60 d-30 v-21 p-59 d-3 v-20 "
        "o-2 i-3 p-60 d-12 v-22 o-20 i-3 p-60 d-6 v-1 b-1",
    )
    score = remi.decode(ids)
    assert score.tracks == (Track(3),) * 3
    tracks = dict(zip(score.notes.velocity.tolist(), score.notes.track.tolist(), strict=True))
    assert (tracks[82], tracks[86], tracks[90], tracks[6]) == (0, 1, 2, 2)
    assert read_midi(midi_bytes(score)).notes == score.notes
    assert remi.encode(score).tolist() == ids
    # one that ends with the other, or later, is no trouble
    for last in ("d-23", "d-22"):
        ids = ids_of(remi, f"s-9 t-35 o-0 i-3 p-60 d-24 v-20 o-2 i-3 p-60 {last} v-20 b-1")
        assert len(remi.decode(ids).tracks) == 1 + (last < "d-23")


def test_what_begins_after_a_million_quarters_means_nothing(remi):
    ids = np.array(ids_of(remi, "s-253 b-1") * 125_100 + ids_of(remi, f"{HEAD} {NOTE} b-1"))
    ids[::2] = remi.vocab.id_of("s-1")
    score = remi.decode(ids)
    assert check_score(score) == []
    assert len(score.notes) == 0
    early = remi.decode(np.concatenate([ids_of(remi, NOTE), ids]))
    assert len(early.notes) == 1
    assert remi.measure(np.concatenate([ids_of(remi, NOTE), ids]))[0] == 1


@settings(max_examples=60)
@given(data=st.data())
def test_sequences_of_music_ids_in_any_order_decode_to_valid_scores(data):
    """covers: MT-5 (partly)"""
    tokenizer = build_tokenizer("remi", form=data.draw(st.sampled_from(FORMS)))
    single = "b-1,o-0,o-3,o-95,o-127,i-0,i-128,p-60,p-188,d-3,d-90,v-3,s-9,s-252,s-191,t-3,t-48"
    notes = "p-60 d-90 v-9,p-60 d-90 v-9,p-60 d-3 v-9,p-188 d-9 v-9"
    ids = ids_of(tokenizer, " ".join(data.draw(st.lists(st.sampled_from(f"{single},{notes}".split(",")), max_size=80))))
    score = tokenizer.decode(ids)
    assert check_score(score) == []
    assert read_midi(midi_bytes(score)).notes == score.notes
    again = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(again)).tolist() == again.tolist()
    assert tokenizer.measure(ids) == (len(score.notes), pytest.approx(score.duration_sec))


@pytest.mark.parametrize("form", FORMS)
def test_a_legal_piece_that_has_ended_needs_no_mending_and_encodes_to_itself(form):
    tokenizer = build_tokenizer("remi", form=form)
    grammar, rng = tokenizer.grammar, np.random.default_rng(5)
    # ids of one kind weigh as much as those of another, or nearly all would be metres and attributes
    kind = np.unique([name[0] for name in tokenizer.vocab.names], return_inverse=True)[1]
    for length in (0, 5, 30, 200, 200):
        state, ids = grammar.start(), []
        while not ids or ids[-1] != tokenizer.end_id:
            legal = np.flatnonzero(grammar.legal(state))
            assert len(legal)
            weight = 1 / np.bincount(kind[legal])[kind[legal]]
            weight *= np.where(legal == tokenizer.end_id, len(ids) >= length, 1)
            weight *= np.where(legal == 5, 1 + 20 * (len(ids) >= length), 1)
            ids.append(int(rng.choice(legal, p=weight / weight.sum())))
            state = grammar.advance(state, ids[-1])
        assert set(tokenizer.repairs(ids).values()) == {0}
        again = tokenizer.encode(tokenizer.decode(ids)).tolist()
        told = len(again)
        # bars without notes at the end are legal and are not written, and what is free in the order is put in order
        assert sorted(again) == sorted(ids[:told])


@pytest.mark.parametrize(
    ("form", "text", "place"),
    [
        ("remigen2", f"{HEAD} {NOTE} b-1 END", None),
        ("remigen2", "s-9 t-35 b-1 END", None),
        ("remigen2", "END END", 1),
        ("remigen2", "t-35", 0),
        ("remigen2", "s-9 o-0", 1),
        ("remigen2", "b-1", 0),
        ("remigen2", "s-9 t-35 o-0 t-35", 3),
        ("remigen2", "s-8 t-35 o-36", 2),
        ("remigen2", "s-126 t-35 o-1", 2),
        ("remigen2", f"{HEAD} {NOTE} o-0", 7),
        ("remigen2", f"{HEAD} {NOTE} i-0", 7),
        ("remigen2", f"{HEAD} {NOTE} p-61", 7),
        ("remigen2", f"{HEAD} {NOTE} p-60", None),
        ("remigen2", f"{HEAD} {NOTE} i-1 p-127", None),
        ("remigen2", f"{HEAD} {NOTE} b-1 s-9 t-3 o-0 i-0", None),
        ("remigen2", f"{HEAD} p-128", 4),
        ("remigen2", "s-9 t-35 o-0 i-128 p-60", 4),
        ("remigen2", "s-9 t-35 o-0 i-128 p-164", None),
        ("remigen2", f"{HEAD} p-60 d-0", 5),
        ("remigen2", f"{HEAD} p-60 d-96", 5),
        ("remigen2", f"{HEAD} {NOTE} END", 7),
        ("remigen2", f"{HEAD} b-1", 4),
        ("remigen2", "<sep>", 0),
        ("remigen2", "PAD", 0),
        ("remigen", "s-9 o-0 t-35 i-0 p-60", None),
        ("remigen", "s-9 t-35", 1),
        ("remigen", "s-9 o-0 i-0", 2),
        ("reduced", "o-0 i-0 p-60 d-12 i-0 p-62 d-12 b-1 b-1 END", None),
        ("reduced", "i-0", 0),
        ("reduced", "o-48", 0),
        ("reduced", "o-0 i-3 p-60 d-12 i-2", 4),
        ("reduced", "o-0 i-3 p-60 d-12 p-2", 4),
        ("reduced", "o-0 i-3 p-60 d-12 END", 4),
        ("reduced", "s-9", 0),
    ],
)
def test_the_grammar_knows_what_may_come(form, text, place):
    """covers: MT-18 (partly)"""
    tokenizer = build_tokenizer("remi", form=form)
    assert tokenizer.grammar.first_illegal(ids_of(tokenizer, text)) == place
