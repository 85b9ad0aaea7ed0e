"""MidiTok's tokenizer.json, and ids that are equal to MidiTok's where the scheme is the same.

MidiTok reads the bytes of a file, so it is compared on pieces as a file holds them; of its reader one fault is mended
before: the first pedal of every track but the first begins at 0 there. What else differs is tested by its name.
"""

import json
import warnings
from types import ModuleType

import numpy as np
import pytest
import symusic
from shift_scores import BANDS, random_piece, random_settings

from etude.errors import SettingsError, TokenError
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, TimeSignatures, Track
from etude.tokens import build_tokenizer, tokenizer_from_json
from etude.tokens.files import tokenizer_of_file
from etude.tokens.miditok_json import KINDS, miditok_of, write_miditok

THEIRS = {"PAD": "PAD_None", "END": "EOS_None"}


@pytest.fixture(scope="module")
def miditok() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("miditok", reason="miditok, of the extra `bench`, is what this compares with")


@pytest.fixture(autouse=True)
def _as_it_may_warn():
    """MidiTok warns of options that it changes by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def described(**options):
    """Return a file of MidiTok's with some options changed."""
    told = miditok_of(build_tokenizer("tsd"))
    return told | {"config": told["config"] | options}


def ids_of_miditok(theirs, data: bytes, score: Score) -> list[int]:
    """Return MidiTok's ids of a file whose score is given."""
    raw = symusic.Score.from_midi(data)
    with_notes = [track for track in raw.tracks if len(track.notes)]
    for track, index in zip(with_notes, np.unique(score.notes.track).tolist(), strict=True):
        moves = score.controls.take(score.controls.track == index)
        down = np.flatnonzero(np.diff(moves.value >= 64, prepend=False))
        begins, ends = moves.tick[down[0::2]].tolist(), moves.tick[down[1::2]].tolist()
        spans = [symusic.Pedal(begin, end - begin) for begin, end in zip(begins, ends, strict=False)]
        track.pedals = symusic.core.PedalTickList(spans)
    told = theirs.encode(raw)
    told = told if not isinstance(told, list) else told[0] if told else None
    return [] if told is None else told.ids


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_is_read_again_as_the_same_vocabulary(name, tmp_path):
    tokenizer = build_tokenizer(KINDS[name], use_programs=True, use_tempos=True, special_tokens=("BOS", "PAD", "EOS"))
    write_miditok(tokenizer, tmp_path / "tokenizer.json")
    again = tokenizer_of_file(tmp_path / "tokenizer.json")
    assert again.vocab.names == tokenizer.vocab.names
    assert again.settings == tokenizer.settings.replace(note_order="played")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_files_go_both_ways_with_equal_vocabularies(miditok, name, seed, tmp_path):
    tokenizer = build_tokenizer(KINDS[name], **random_settings(np.random.default_rng(seed)), use_programs=seed % 2 == 0)
    write_miditok(tokenizer, tmp_path / "ours.json")
    theirs = getattr(miditok, name)(params=tmp_path / "ours.json")
    assert list(theirs.vocab) == [THEIRS.get(word, word) for word in tokenizer.vocab.names]
    theirs.save(tmp_path / "theirs.json")
    assert tokenizer_of_file(tmp_path / "theirs.json").settings == tokenizer.settings.replace(note_order="played")
    keys = json.loads((tmp_path / "theirs.json").read_text())["config"].keys()
    assert keys == json.loads((tmp_path / "ours.json").read_text())["config"].keys()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", range(40))
def test_ids_are_those_of_miditok(miditok, name, seed, tmp_path):
    rng = np.random.default_rng(100 + seed)
    has_programs = seed % 2 == 0
    settings = random_settings(rng) | {"use_programs": has_programs, "note_order": "played"}
    tokenizer = build_tokenizer(KINDS[name], **settings)
    score = random_piece(rng, BANDS[rng.integers(len(BANDS))] if has_programs else (Track(0),))
    write_miditok(tokenizer, tmp_path / "tokenizer.json")
    theirs = getattr(miditok, name)(params=tmp_path / "tokenizer.json")
    assert tokenizer.encode(score).tolist() == ids_of_miditok(theirs, midi_bytes(score), score)


def test_files_have_the_ids_of_miditok_but_for_the_order_within_a_step(miditok, shared_data):
    equal = 0
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    theirs = miditok.TSD(miditok.TokenizerConfig(use_programs=True, use_tempos=True))
    ours = build_tokenizer("tsd", use_programs=True, use_tempos=True, note_order="played")
    for path in paths:
        told, read = theirs(path).ids, ours.encode(read_midi(path)).tolist()
        equal += told == read
        assert sorted(told) == sorted(read), path
    assert len(paths) == 38
    assert equal >= 31


def test_pitch_order_differs_from_miditok_only_within_a_step(miditok, shared_data):
    path = sorted((shared_data / "mini" / "jazz_pianists").rglob("*.mid"))[0]
    ours = build_tokenizer("tsd")
    told, read = miditok.TSD()(path)[0].ids, ours.encode(read_midi(path))
    is_shift = np.char.startswith(np.array(ours.vocab.names), "TimeShift")
    steps = [
        [sorted(part.tolist()) for part in np.split(np.array(ids), np.flatnonzero(is_shift[ids]))]
        for ids in (told, read)
    ]
    assert steps[0] == steps[1]


def test_the_named_differences_are_as_they_are_described(miditok):
    theirs, ours = miditok.TSD(), build_tokenizer("tsd", note_order="played")

    def both(score):
        told = ids_of_miditok(theirs, midi_bytes(score), score)
        return [ours.vocab.words(ids) for ids in (told, ours.encode(score))]

    # a signature that another takes the place of: the grid keeps to its steps there, and to those that are told here
    replaced = TimeSignatures.of(tick=[0, 0], numerator=[6, 4], denominator=[8, 4])
    told, read = both(Score.of([0, 90], [480, 480], [60, 62], time_signatures=replaced))
    assert told[4:] != read[4:]
    assert read[4] == "TimeShift_0.2.8"
    # nothing is told of a piece without notes
    assert both(Score.of([0], [480], [5])) == [["TimeSig_4/4"], []]
    # a note of no length lasts a step
    like = build_tokenizer("midilike", note_order="played")
    silent = Score.of([480], [0], [60])
    told = like.vocab.words(ids_of_miditok(miditok.MIDILike(), midi_bytes(silent), silent))
    assert (told[-1], like.vocab.words(like.encode(silent))[-2:]) == ("NoteOff_60", ["TimeShift_0.1.8", "NoteOff_60"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_chords": True}, r"config\.use_chords = True[^\n]*expected false"),
        ({"ac_polyphony_bar": True}, r"config\.ac_polyphony_bar"),
        ({"use_note_duration_programs": [0]}, r"config\.use_note_duration_programs"),
        ({"use_programs": True, "one_token_stream_for_programs": False}, r"config\.one_token_stream"),
        ({"new_option": 1}, r"config\.new_option[^\n]*not an option"),
    ],
)
def test_options_that_we_do_not_have_are_refused_by_name(options, message):
    with pytest.raises(TokenError, match=message):
        tokenizer_from_json(described(**options))


def test_other_schemes_releases_and_learned_merges_are_refused(tmp_path):
    told = described()
    for change, message in (
        ({"tokenization": "REMI"}, r"'REMI'[^\n]*TSD, MIDILike"),
        ({"miditok_version": "3.0.6"}, r"'3\.0\.6'"),
        ({"_model": "{}"}, "merges"),
    ):
        with pytest.raises(TokenError, match=message):
            tokenizer_from_json(told | change)
    with pytest.raises(SettingsError, match=r"num_velocities = 0"):
        tokenizer_from_json(described(num_velocities=0))
    with pytest.raises(TokenError, match="MidiTok has no such one"):
        write_miditok(build_tokenizer("performance"), tmp_path / "tokenizer.json")


def test_an_order_of_ids_that_miditok_cannot_have_is_refused():
    mixed = build_tokenizer("tsd", time_signature_range=((3, 4), (6, 8), (4, 4)))
    with pytest.raises(TokenError, match=r"tokenizer\.time_signature_range"):
        miditok_of(mixed)
    with pytest.raises(TokenError, match=r"tokenizer\.programs"):
        miditok_of(build_tokenizer("tsd", use_programs=True, programs=(-1, 5, 0)))


def test_the_command_takes_a_file_of_miditoks(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(described(use_tempos=True)))
    tokenizer = tokenizer_of_file(tmp_path / "tokenizer.json")
    assert (tokenizer.kind, tokenizer.settings.use_tempos, tokenizer.settings.note_order) == ("tsd", True, "played")
