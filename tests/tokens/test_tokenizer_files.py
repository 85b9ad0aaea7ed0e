"""Files that hold one tokenizer: ours, and MidiTok's."""

import json

import pytest

from etude.errors import SettingsError, TokenError
from etude.tokens import build_tokenizer
from etude.tokens.files import tokenizer_of_file
from etude.tokens.miditok_json import miditok_of


@pytest.mark.parametrize("kind", ["performance", "remi", "tsd"])
def test_a_tokenizer_comes_back_from_its_file(kind, tmp_path):
    tokenizer = build_tokenizer(kind)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer.to_json()))
    assert tokenizer_of_file(tmp_path / "tokenizer.json").hash == tokenizer.hash


def test_a_tokenizer_of_miditok_is_known_by_its_file(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(miditok_of(build_tokenizer("tsd"))))
    assert tokenizer_of_file(tmp_path / "tokenizer.json").kind == "tsd"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, SettingsError, "cannot be read"),
        ("{", TokenError, "not JSON"),
        ("[1]", TokenError, "schema None"),
        ('{"tokenization": "Odd", "config": {}}', TokenError, "tokenization 'Odd': not known here"),
    ],
)
def test_a_file_that_holds_none_is_named_with_what_is_wrong(text, error, message, tmp_path):
    path = tmp_path / "tokenizer.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=rf"tokenizer\.json: .*{message}"):
        tokenizer_of_file(path)
