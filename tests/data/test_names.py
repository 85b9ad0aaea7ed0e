"""Labels from names of files, and labels given by hand."""

import csv

import pytest

from etude.data.known_names import COMPOSERS, EVERYDAY, FORMS
from etude.data.names import KNOWN, check_label, labels_of_name
from etude.errors import EtudeError, SettingsError


@pytest.mark.parametrize(
    ("path", "composer", "form"),
    [
        ("Chopin_Nocturne.mid", "Chopin", "nocturne"),
        ("chopin-nocturne.mid", "Chopin", "nocturne"),
        ("CHOPIN/op9/Nocturne2.MID", "Chopin", "nocturne"),
        ("Dvořák - Walzer.mid", "Dvořák", "waltz"),
        ("Dvor\u030ca\u0301k.mid", "Dvořák", None),
        ("Bach/Fugue/bwv_846/Shi05M.mid", "Bach", "fugue"),
        ("schoenberg.mid", "Schoenberg", None),
        ("Schönberg.mid", "Schoenberg", None),
        ("Saint-Saëns/cygne.mid", "Saint-Saëns", None),
        ("Vincent d’Indy.mid", "d'Indy", None),
        ("Beethoven,_Ludwig_van/String_Quartet_No.1/sq1.mid", "Beethoven", "string quartet"),
        ("Études.mid", None, "etude"),
    ],
)
def test_composer_and_form_are_read_from_bounded_words_of_a_path(path, composer, form):
    """covers: AP-7 (partly)"""
    assert labels_of_name(path) == {k: v for k, v in (("composer", composer), ("form", form)) if v}


@pytest.mark.parametrize(
    "path", ["Chopiniana.mid", "OffenBach.mid", "Liszts.mid", "presonata.mid", "chopin\u0435.mid", ""]
)
def test_a_name_inside_a_word_does_not_count(path):
    assert labels_of_name(path) == {}


@pytest.mark.parametrize("path", ["Bach-Busoni.mid", "Prelude_and_Fugue.mid", "Liszt/Schubert_Erlkoenig.mid"])
def test_where_two_names_match_there_is_no_label(path):
    found = labels_of_name(path)
    assert not found


def test_one_name_twice_is_one_name():
    assert labels_of_name("Bach/js_bach_prelude_1.mid") == {"composer": "Bach", "form": "prelude"}


@pytest.mark.parametrize(
    ("path", "composer"),
    [
        ("Schumann,_Clara/Lieder.mid", "Clara Schumann"),
        ("Clara Schumann/Lieder.mid", "Clara Schumann"),
        ("Schumann,_Robert/Lieder.mid", "Schumann"),
        ("CPE Bach/solfeggietto.mid", "C. P. E. Bach"),
        ("C.P.E.Bach.mid", "C. P. E. Bach"),
        ("Mendelssohn/Fanny_Hensel/1.mid", "Fanny Hensel"),
        ("Fanny (Mendelssohn) Hensel/1.mid", "Fanny Hensel"),
        ("scarlatti_a_minor.mid", "Scarlatti"),
        ("waltz_in_c_schumann.mid", "Schumann"),
    ],
)
def test_longer_names_win_over_their_parts(path, composer):
    assert labels_of_name(path).get("composer") == composer


def test_everyday_words_need_the_first_name():
    for path in ("strawberry_field.mid", "London Bridge.mid", "part 1.mid", "Peter_and_the_Wolf.mid"):
        assert labels_of_name(path) == {}
    assert labels_of_name("Field, John/nocturne.mid")["composer"] == "Field"
    assert EVERYDAY - {"Indy"} <= set(COMPOSERS)
    for name in EVERYDAY:
        assert "composer" not in labels_of_name(f"{name}.mid")
        assert check_label("composer", name) in COMPOSERS


def test_only_labels_that_were_asked_for_are_read_and_others_are_refused():
    assert labels_of_name("Chopin_Nocturne.mid", ["form"]) == {"form": "nocturne"}
    assert labels_of_name("Chopin_Nocturne.mid", []) == {}
    with pytest.raises(SettingsError, match="names = 'compser': did you mean 'composer'"):
        labels_of_name("a.mid", ["compser"])


@pytest.mark.parametrize("key", KNOWN)
def test_every_known_value_is_its_own_spelling_and_so_are_the_others(key):
    for value, others in KNOWN[key].items():
        for spelling in (value, value.upper(), *others):
            assert check_label(key, spelling) == value


def test_every_composer_and_form_is_found_in_a_path_by_its_longest_name():
    for key, known in (("composer", COMPOSERS), ("form", FORMS)):
        for value, others in known.items():
            longest = max((value, *others), key=lambda name: len(name.split()))
            assert labels_of_name(f"x/{longest}_1.mid", [key]) == {key: value}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("composer", "Chopn", "label composer = 'Chopn': not a known composer; did you mean 'Chopin'?"),
        ("form", "noctune", "label form = 'noctune': not a known form; did you mean 'nocturne'?"),
        ("genre", "clasical", "label genre = 'clasical': not a known genre; did you mean 'classical'?"),
        (
            "composer",
            "Bach Beethoven Brahms",
            "label composer = 'Bach Beethoven Brahms': not a known composer; there are ",
        ),
        ("composer", "", "label composer = '': not a known composer; there are "),
    ],
)
def test_an_unknown_label_is_refused_with_the_nearest_that_is_known(key, value, message):
    """covers: AP-7 (partly)"""
    with pytest.raises(EtudeError, match="not a known") as refused:
        check_label(key, value)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_labels_of_other_kinds_may_be_anything():
    assert check_label("performer", "whoever 7") == "whoever 7"


def test_names_of_asap_are_those_of_its_table(shared_data):
    """Composers are never wrong; those of works on another's theme are left out."""
    with (shared_data / "asap" / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    pairs = [(labels_of_name(row["file"]).get("composer"), row["composer"]) for row in rows]
    assert all(found in (None, said) for found, said in pairs)
    assert sum(found == said for found, said in pairs) == 790
