"""The registry of tokenizers, names of ids, and the hash."""

import pytest

from etude.errors import SettingsError, TokenError
from etude.settings import Settings, setting
from etude.tokens import build_tokenizer, tokenizer_from_json
from etude.tokens.performance import PerformanceSettings, PerformanceTokenizer
from etude.tokens.vocab import Vocab, describe


class _Settings(Settings):
    kind: str = "mine"
    grid: int = setting(4, text="steps in a beat")
    verbose: bool = setting(False, text="say more", kind="machine")


class PianoSettings(PerformanceSettings):
    kind: str = f"{__name__}:PianoOnly"


class PianoOnly(PerformanceTokenizer):
    """A tokenizer of somebody else, found by module and class."""

    kind = f"{__name__}:PianoOnly"
    settings_class = PianoSettings
    revision = 7


def hash_of(*, kind="mine", names=("A", "B"), revision=1, **values):
    return describe(kind, _Settings.parse(values), Vocab(names), revision=revision)["hash"]


def test_the_hash_is_stable():
    assert hash_of() == "e6481eae1837440a"
    assert build_tokenizer("performance").hash == build_tokenizer("performance").hash


def test_the_hash_changes_with_whatever_changes_ids_and_with_nothing_else():
    hashes = [
        hash_of(),
        hash_of(kind="other"),
        hash_of(names=("B", "A")),
        hash_of(names=("A", "B", "C")),
        hash_of(revision=2),
        hash_of(grid=8),
    ]
    assert len(set(hashes)) == len(hashes)
    assert hash_of(verbose=True) == hash_of()
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in hashes)


def test_settings_that_change_what_is_heard_change_the_hash():
    kinds = [{}, {"pedal": "ignore"}, {"drums": "keep"}, {"pedal": "ignore", "drums": "keep"}]
    assert len({build_tokenizer("performance", **values).hash for values in kinds}) == len(kinds)


def test_somebody_elses_tokenizer_works_wherever_a_name_does():
    mine = build_tokenizer(PianoOnly.kind, drums="keep")
    assert isinstance(mine, PianoOnly)
    assert isinstance(tokenizer_from_json(mine.to_json()), PianoOnly)
    assert mine.hash != build_tokenizer("performance", drums="keep").hash


def test_an_unknown_tokenizer_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match="did you mean 'performance'"):
        build_tokenizer("perfomance")
    for target in ("no_such_module:Class", "etude.tokens.performance:NoSuchClass"):
        with pytest.raises(SettingsError, match="tokenizer.kind"):
            build_tokenizer(target)


def test_an_unknown_name_of_an_id_is_refused_with_the_nearest():
    with pytest.raises(TokenError, match="did you mean 'NOTE_ON_60'"):
        build_tokenizer("performance").vocab.id_of("NOTEON_60")


def test_two_ids_of_one_name_are_a_mistake():
    with pytest.raises(ValueError, match="same name"):
        Vocab(["A", "A"])
