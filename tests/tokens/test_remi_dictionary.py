"""The 1,253 names of the remi tokenizer: the published order, new names in the place of unused ones, dict.txt."""

import json

import numpy as np
import pytest

from etude.errors import FormatError, SettingsError
from etude.music.score import Score
from etude.tokens import build_tokenizer, tokenizer_from_json
from etude.tokens.remi import RemiTokenizer

# first id, last id, the name of each by its number from the first
TABLE = [
    (4, 5, "b-{}"),
    (6, 133, "o-{}"),
    (134, 262, "i-{}"),
    (263, 518, "p-{}"),
    (519, 646, "d-{}"),
    (647, 678, "v-{}"),
    (679, 932, "s-{}"),
    (933, 981, "t-{}"),
    (982, 983, "e-{}"),
    (984, 984, "<sep>"),
    *((985 + 3 * kind, 987 + 3 * kind, f"I1s2_{kind}_{{}}") for kind in range(28)),
    (1069, 1097, "I4_{}"),
    (1098, 1102, "C1_{}"),
    (1103, 1105, "R1_{}"),
    (1106, 1109, "R3_{}"),
    (1110, 1127, "S2s1_{}"),
    *((1128 + 3 * genre, 1130 + 3 * genre, f"S4_{genre}_{{}}") for genre in range(22)),
    (1194, 1198, "B1s1_{}"),
    (1199, 1206, "TS1s1_{}"),
    (1207, 1209, "K1_{}"),
    (1210, 1213, "T1s1_{}"),
    (1214, 1226, "P4_{}"),
    (1227, 1241, "ST1_{}"),
    (1242, 1246, "EM1_{}"),
    (1247, 1252, "TM1_{}"),
]


@pytest.fixture(scope="module")
def remi():
    return build_tokenizer("remi")


def test_the_dictionary_equals_the_published_table(remi):
    """covers: MT-18"""
    expected = ["<s>", "PAD", "END", "<unk>"]
    for first, last, name in TABLE:
        assert first == len(expected)
        expected += [name.format(number) for number in range(last - first + 1)]
    assert list(remi.vocab.names) == expected
    assert len(expected) == remi.vocab_size == 1253
    assert (remi.pad_id, remi.end_id) == (1, 2)


def test_the_attributes_before_the_music_are_63_and_a_separator(remi):
    """covers: MT-18 (partly)"""
    attributes = {name.rpartition("_")[0] for name in remi.vocab.names[985:]}
    assert len(attributes) == 63
    assert remi.vocab.id_of("<sep>") == 984


def test_dict_txt_has_a_line_for_each_id_from_4(remi, tmp_path):
    """covers: MT-18 (partly)"""
    file = tmp_path / "dict.txt"
    remi.write_dict(file)
    lines = file.read_text().split("\n")
    assert len(lines) == 1250
    assert lines[-1] == ""
    assert (lines[0], lines[980], lines[1248]) == ("b-0 1", "<sep> 1", "TM1_5 1")
    assert RemiTokenizer.from_dict(file).hash == remi.hash


def test_a_new_name_keeps_the_size_and_every_old_id(remi, tmp_path):
    """covers: MT-22"""
    new = build_tokenizer("remi", replaced={"o-96": "PITCH", "e-1": "HIST", "TM1_5": "txt-0"})
    assert new.vocab_size == len(new.vocab) == remi.vocab_size
    changed = {old: name for old, name in zip(remi.vocab.names, new.vocab.names, strict=True) if old != name}
    assert changed == {"o-96": "PITCH", "e-1": "HIST", "TM1_5": "txt-0"}
    assert [new.vocab.id_of(name) for name in ("PITCH", "HIST", "txt-0")] == [102, 983, 1252]
    assert new.hash != remi.hash
    score = Score.of([0, 720], [480, 240], [60, 67])
    assert new.encode(score).tolist() == remi.encode(score).tolist()

    file = tmp_path / "dict.txt"
    new.write_dict(file)
    assert len(file.read_text().splitlines()) == 1249
    again = RemiTokenizer.from_dict(file)
    assert (again.hash, again.vocab.names) == (new.hash, new.vocab.names)
    assert tokenizer_from_json(json.loads(json.dumps(new.to_json()))).hash == new.hash


def test_a_new_name_means_nothing_in_music(remi):
    """covers: MT-22 (partly)"""
    new = build_tokenizer("remi", replaced={"d-100": "ask", "b-0": "answer"})
    ids = [*remi.encode(Score.of([0], [480], [60])).tolist()]
    ids[-3:-3] = [4]
    assert len(new.decode([*ids, 263, 619, 667]).notes) == 1
    assert len(remi.decode([*ids, 263, 619, 667]).notes) == 2


def test_names_that_are_used_stay(remi):
    """covers: MT-22 (partly)"""
    for old in ("b-1", "o-0", "o-95", "i-128", "p-255", "d-1", "d-95", "v-0", "s-0", "t-48", "<sep>", "END", "<s>"):
        with pytest.raises(SettingsError, match="is used"):
            build_tokenizer("remi", replaced={old: "new"})
    reduced = build_tokenizer("remi", form="reduced", replaced={"v-0": "new", "s-9": "other", "t-35": "third"})
    assert reduced.vocab.names[647] == "new"
    for old, new, told in (
        ("nothing", "new", "no such name"),
        ("b-0", "b-1", "there is such a name"),
        ("b-0", "two words", "without spaces"),
        ("b-0", "", "without spaces"),
    ):
        with pytest.raises(SettingsError, match=told):
            build_tokenizer("remi", replaced={old: new})
    with pytest.raises(SettingsError, match="there is such a name"):
        build_tokenizer("remi", replaced={"b-0": "new", "e-0": "new"})


def test_what_encoding_writes_can_never_be_replaced(remi):
    """covers: MT-22 (partly)"""
    from etude.tokens.remi_vocab import NAMES, free_names

    for form in ("remigen2", "remigen", "reduced"):
        grammar = build_tokenizer("remi", form=form).grammar
        legal = np.flatnonzero((grammar.need_low <= grammar.need_high).all(1))
        assert not {NAMES[id_] for id_ in legal} & free_names(is_reduced=form == "reduced")


def test_a_dictionary_that_is_none_is_refused_with_its_line(remi, tmp_path):
    """covers: MT-22 (partly)"""
    file = tmp_path / "dict.txt"
    remi.write_dict(file)
    lines = file.read_text().splitlines()
    for changed, message in (
        (lines[:-1], "1248 lines, expected 1249"),
        ([*lines, "more 1"], "1250 lines, expected 1249"),
        ([*lines[:4], "o-3", *lines[5:]], "line 5"),
        ([*lines[:4], "o-3 many", *lines[5:]], "line 5"),
        ([*lines[:4], "o 3 1", *lines[5:]], "line 5"),
    ):
        file.write_text("\n".join(changed))
        with pytest.raises(FormatError, match=message):
            RemiTokenizer.from_dict(file)
    file.write_text("\n".join([*lines[:4], "new 1", *lines[5:]]))
    with pytest.raises(SettingsError, match="is used"):
        RemiTokenizer.from_dict(file)
    with pytest.raises(FormatError, match="cannot be read"):
        RemiTokenizer.from_dict(tmp_path / "none.txt")


def test_facts_of_ids_agree_with_their_names(remi):
    facts = remi.id_facts
    for name, pitch, instrument in (
        ("p-60", 60, -1),
        ("p-164", 36, 128),
        ("i-40", -1, 40),
        ("i-128", -1, 128),
        ("d-12", -1, -1),
        ("P4_3", -1, -1),
    ):
        place = remi.vocab.id_of(name)
        assert (facts.pitch[place], facts.instrument[place]) == (pitch, instrument)
    score = Score.of([0, 0, 1920, 1920], [480] * 4, [60, 64, 60, 60])
    for form in ("remigen2", "remigen", "reduced"):
        tokenizer = build_tokenizer("remi", form=form)
        ids, facts = tokenizer.encode(score), tokenizer.id_facts
        assert np.count_nonzero(facts.starts_note[ids]) == len(score.notes)
        assert np.count_nonzero(facts.opens_bar[ids]) == 2
        assert {name[0] for name in tokenizer.vocab.words(ids[facts.moves_time[ids]])} == {"o", "b"}
        assert not facts.ends_note.any()
