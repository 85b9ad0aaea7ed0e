"""Licences: one spelling of each, nothing allowed that was not asked for, and read from where sets keep them."""

import pytest

from etude.data.licence_names import conditions_of, hub_name, normal_licence
from etude.data.licences import LicenceDigest, allowed, source_files

SPELLINGS = {
    "CC BY-NC-SA 4.0": [
        "CC BY-NC-SA 4.0",
        "cc-by-nc-sa-4.0",
        "CC_BY_NC_SA_4.0",
        "cc by nc sa v4",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International (CC BY-NC-SA 4.0), "
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "Creative Commons Attribution Non Commercial Share Alike 4.0",
    ],
    "CC BY-SA 3.0 DE": [
        "cc-by-sa-3.0-de",
        "Creative Commons Attribution-ShareAlike 3.0 Germany (CC BY-SA 3.0 DE)",
        "creativecommons.org/licenses/by-sa/3.0/de/",
    ],
    "CC BY-ND": ["CC BY-ND", "Creative Commons Attribution-NoDerivs"],
    "CC BY 4.0": ["Creative Commons Attribution 4.0 International", "CC BY 4.0 is what it says"],
    "CC0 1.0": ["cc0", "CC0 1.0 Universal, public domain dedication", "Creative Commons Zero v1.0 Universal"],
    "Public domain": ["public domain", "Public Domain Mark 1.0"],
    "MIT": ["mit", "The MIT License (MIT)", "Expat license"],
    "BSD 3-Clause": ["BSD-3-Clause", "3-clause BSD licence", "BSD 3-clause (text in LICENSE)"],
    "GPL 3.0": ["GPLv3", "GNU General Public License version 3 (text in LICENSE)", "GPL-3.0-only"],
    "GPL 3.0 or later": ["GPL-3.0-or-later", "GPL 3+"],
    "AGPL 3.0": ["GNU Affero General Public License v3", "AGPL-3.0"],
    "LGPL 2.1": ["LGPL 2.1", "GNU Lesser General Public License, version 2.1"],
    "Apache 2.0": ["Apache-2.0", "Apache License, Version 2.0"],
    "MIT AND CC BY-NC 3.0": ["MIT, as released; the clips of the second set are CC BY-NC 3.0"],
    "CC BY 4.0 AND non-commercial": ["CC BY 4.0, for non-commercial use"],
    "MIT OR Apache 2.0": ["MIT OR Apache-2.0"],
    "ask the band": ["ask the band"],
    "not in the public domain": ["not in the public domain"],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_a_licence_becomes_one(name):
    assert {normal_licence(text) for text in [*SPELLINGS[name], name]} == {name}


@pytest.mark.parametrize("text", [None, "", " ", "unknown", "?", "n/a", "none", "different for each file, some CC BY"])
def test_what_says_nothing_is_not_known(text):
    assert normal_licence(text) is None


def test_a_pattern_admits_its_licence_in_every_version_and_no_other_licence():
    known = [
        "CC BY 3.0",
        "CC BY 4.0",
        "CC BY-SA 4.0",
        "CC BY-NC 4.0",
        "CC0 1.0",
        "MIT",
        "GPL 3.0",
        "LGPL 3.0",
        "Public domain",
    ]

    def admitted(*patterns):
        return [licence for licence in known if allowed(licence, patterns)]

    assert admitted("cc by") == ["CC BY 3.0", "CC BY 4.0"]
    assert admitted("CC-BY-4.0", "mit") == ["CC BY 4.0", "MIT"]
    assert admitted("CC BY*") == known[:4]
    assert admitted("GPL") == ["GPL 3.0"]
    assert admitted("Creative Commons") == []
    assert admitted("*") == known
    assert admitted() == []


def test_what_nobody_knows_is_never_allowed():
    assert not allowed(None, ["*"])
    assert not allowed("unknown", ["unknown", "*"])


def test_of_several_licences_all_must_be_allowed_and_of_a_choice_one():
    assert not allowed("MIT; some clips CC BY-NC 3.0", ["MIT"])
    assert allowed("MIT; some clips CC BY-NC 3.0", ["MIT", "CC BY-NC"])
    assert allowed("GPL-2.0 OR MIT", ["MIT"])
    assert not allowed("CC BY 4.0, research use only", ["CC BY"])


def test_the_nearest_source_file_speaks_for_a_file(tmp_path):
    (tmp_path / "set" / "own" / "deep").mkdir(parents=True)
    (tmp_path / "SOURCE.md").write_text(
        "# A set\n\n- Set: `set`\n- Licence: MIT (text in LICENSE)\n- Repository: host/of/it\n"
    )
    (tmp_path / "set" / "own" / "SOURCE").write_bytes("\ufeffSource: a friend é\r\n**License:** cc-by-4.0\r\n".encode())
    found = source_files(tmp_path, ["a.mid", "set/b.mid", "set/own/c.mid", "set/own/deep/d.mid", "caf\\xe9/e.mid"])
    assert found["a.mid"] == found["set/b.mid"] == found["caf\\xe9/e.mid"] == ("MIT", "host/of/it")
    assert found["set/own/c.mid"] == found["set/own/deep/d.mid"] == ("CC BY 4.0", "a friend é")


def test_without_a_source_file_nothing_is_claimed(tmp_path):
    (tmp_path / "SOURCE").write_text("Licence: MIT\n")
    (tmp_path / "inner").mkdir()
    assert source_files(tmp_path / "inner", ["a.mid"]) == {}, "what lies above the folder is somebody else's"


def test_a_source_file_that_names_no_licence_does_not_inherit_one(tmp_path):
    (tmp_path / "SOURCE").write_text("Licence: MIT\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "SOURCE").write_text("Notes: found on a disk\n")
    assert source_files(tmp_path, ["inner/a.mid"]) == {"inner/a.mid": (None, None)}


def test_the_licences_of_the_shared_sets_are_understood(shared_data):
    """covers: star-9 (partly)"""
    of = {
        name: source_files(shared_data / name, ["midi/a.mid"]).get("midi/a.mid", (None, None))[0]
        for name in (
            "asap",
            "emopia",
            "freedoom",
            "groove",
            "jazz_pianists",
            "lieder",
            "nottingham",
            "openmsx",
            "piano_midi_de",
            "pop909",
            "audio",
        )
    }
    assert of == {
        "asap": "CC BY-NC-SA 4.0",
        "emopia": "CC BY-NC-SA 4.0",
        "freedoom": "BSD 3-Clause",
        "groove": "CC BY 4.0",
        "jazz_pianists": "MIT AND CC BY-NC 3.0",
        "lieder": "CC0 1.0",
        "nottingham": "GPL 3.0",
        "openmsx": "GPL 2.0",
        "piano_midi_de": "CC BY-SA 3.0 DE",
        "pop909": "MIT",
        "audio": None,
    }  # fmt: skip


def licence_digest(rows):
    digest = LicenceDigest()
    for row in rows:
        digest.add(*row)
    return digest.hexdigest()


def test_a_digest_of_licences_changes_with_any_of_them():
    rows = [("a", "MIT", "x"), ("b", None, None)]
    digests = {
        licence_digest(some)
        for some in (rows, rows[:1], rows[::-1], [("a", "MIT", "y"), rows[1]], [rows[0], ("b", "MIT", None)])
    }
    assert len(digests) == 5
    assert licence_digest(rows) in digests


def test_a_licence_says_what_it_asks_for():
    assert conditions_of("CC BY-NC-SA 4.0") == ("attribution", "non-commercial", "share-alike")
    assert conditions_of("CC0") == ()
    assert conditions_of("GPL 3.0") == ("attribution", "share-alike")
    assert conditions_of(None) == conditions_of("all rights reserved") == ("permission",)


def test_hubs_call_licences_by_names_of_their_own():
    names = ["CC BY-NC-SA 4.0", "CC BY-SA 3.0 DE", "GPL 3.0 or later", "BSD 3-Clause", "CC0", "ask the band", None]
    assert [hub_name(name) for name in names] == [
        "cc-by-nc-sa-4.0", "cc-by-sa-3.0", "gpl-3.0", "bsd-3-clause", "cc0-1.0", "other", "unknown",
    ]  # fmt: skip
