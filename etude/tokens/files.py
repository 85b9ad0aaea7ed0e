"""Tokenizers kept in files of their own."""

import json
from pathlib import Path
from typing import Any

from etude.errors import SettingsError, TokenError
from etude.tokens import tokenizer_from_json
from etude.tokens.miditok_json import is_miditok, tokenizer_of_miditok


def tokenizer_of_file(path: Path) -> Any:
    """Return the tokenizer that a ``tokenizer.json`` describes, be it ours or MidiTok's.

    Raises:
        SettingsError: there is no such file, or a setting in it is unknown or has a wrong value.
        TokenError: it holds something else, or its ids mean something else now.
    """
    try:
        described = json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TokenError(f"{path}: not JSON ({error}); expected the tokenizer.json of a tokenizer") from None
    try:
        return tokenizer_of_miditok(described) if is_miditok(described) else tokenizer_from_json(described)
    except (SettingsError, TokenError) as error:
        raise type(error)(f"{path}: {error}") from None
