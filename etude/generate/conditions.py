"""What a piece is asked to be: values by name, for the prefix before its ids and for the conditions of the network.

Dimension key:  B takes   T tokens   C conditions
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from etude.conditions import NO_ROW, ConditionSettings
from etude.errors import SettingsError
from etude.models.decode import ExactCache
from etude.tokens.token_features import Follower, TokenFeatures

Asked = Mapping[str, str | float | None]
_BEFORE_NAME = re.compile(r",(?=[^,=]+=)")


def parse_attributes(text: str) -> dict[str, str]:
    """Read ``name=value,name=value``; a value may hold commas, but no equals sign after one.

    Raises:
        SettingsError: no equals sign, or a name twice.

    Example:
        >>> parse_attributes("composer=Bach, J. S.,note_density=<4")
        {'composer': 'Bach, J. S.', 'note_density': '<4'}
    """
    found: dict[str, str] = {}
    for part in _BEFORE_NAME.split(text):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not name or not value or name in found:
            raise SettingsError(f"attributes {text!r}: expected name=value,name=value with each name once")
        found[name] = value
    return found


def asked_of(tokenizer: Any, settings: Any, attributes: Asked) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the prefix that asks for attributes, and the attributes as they are told, numbers as numbers.

    Args:
        tokenizer: of the model.
        settings: of the network.
        attributes: values by name; a number stands for its bin, None and ``"NA"`` for nothing said.

    Raises:
        SettingsError: a name that the model cannot be asked for, or a value that it does not know.
        TokenError: a value that has no control token.
    """
    of_prefix = {one.name: one for one in tokenizer.settings.attributes} if tokenizer.kind == "control" else {}
    own = conditions_of(settings)
    known = of_prefix | {one.name: one for one in own.attributes if not one.is_of_tokens}
    for name in attributes:
        if name in known:
            continue
        if name in own.names:
            own.rows_of({name: attributes[name]})  # says why that cannot be asked for
        listed = f"there are: {', '.join(known)}" if known else "this model was trained without any"
        raise SettingsError(f"attribute {name!r}: the model has no such condition; {listed}")
    told = {name: _as_number(value, known[name]) for name, value in attributes.items()}
    own.rows_of({name: value for name, value in told.items() if name in own.names})
    if not of_prefix:
        return np.empty(0, np.int32), told
    return tokenizer.prefix({name: value for name, value in told.items() if name in of_prefix}), told


def conditions_of(settings: Any) -> ConditionSettings:
    """Return the conditions of a network by its settings; models of other packages may have none."""
    return getattr(settings, "conditions", None) or ConditionSettings()


def told(
    network: torch.nn.Module, tokenizer: Any, attributes: Asked, *, seconds: float | None, tokens: int | None
) -> Any:
    """Return the network as sampling calls it, told what is asked; the network itself where it has no conditions.

    Args:
        network: a decoder in evaluation mode.
        tokenizer: what it was trained with.
        attributes: values by name; those that are not conditions of the network are passed over.
        seconds: how long the whole will be, prompt and all, if that is known.
        tokens: how many ids it will have, if that is known.
    """
    own = conditions_of(network.settings)
    if not own.attributes:
        return network
    rows_C = own.rows_of({name: value for name, value in attributes.items() if name in own.names})
    sizes = {one.name: one.num_values for one in own.attributes if one.is_of_tokens}
    follower = TokenFeatures(tokenizer, sizes).follow(seconds=seconds, tokens=tokens) if sizes else None
    return ToldNetwork(network, rows_C, follower)


class ToldNetwork:
    """A network that is told the same of every take, and what changes by token as it is written.

    It has ``new_cache``, ``prefill`` and ``step`` of the network, and everything else is the network's own.

    Args:
        network: a decoder with conditions.
        rows_C: of its table, int64; NA for what changes by token.
        follower: of a piece not begun; None if nothing changes by token.
    """

    def __init__(self, network: torch.nn.Module, rows_C: np.ndarray, follower: Follower | None) -> None:
        self._network, self._rows_C, self._follower = network, rows_C, follower
        own = network.settings.conditions
        self._columns = [place for place, one in enumerate(own.attributes) if one.is_of_tokens]
        self._first = np.array(own.first_rows, np.int64)[self._columns]
        self._followers: list[Follower] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def prefill(self, ids_BT: torch.Tensor, cache: Any) -> torch.Tensor:
        """Read a prompt, END first, into an empty cache; return ``logits_BV`` of the id that follows."""
        # takes mostly begin alike
        is_alike = self._follower is None or bool((ids_BT == ids_BT[:1]).all())
        begun = [self._begin(row) for row in (ids_BT[:1] if is_alike else ids_BT).tolist()]
        if is_alike:
            begun *= len(ids_BT)
        self._followers = [follower.copy() for _, follower in begun if follower is not None]
        rows_BTC = np.stack([rows_TC for rows_TC, _ in begun])
        self._tell(cache, rows_BTC)
        return self._network.prefill(ids_BT, cache)

    def step(self, ids_B: torch.Tensor, cache: Any) -> torch.Tensor:
        """Append one id to each row; return ``logits_BV`` of the id that follows."""
        if self._follower is not None:
            for follower, token_id in zip(self._followers, ids_B.tolist(), strict=True):
                follower.read(token_id)
            self._tell(cache, np.stack([self._rows(follower)[None] for follower in self._followers]))
        return self._network.step(ids_B, cache)

    def _begin(self, ids: list[int]) -> tuple[np.ndarray, Follower | None]:
        """Return the rows of one prompt, of one token or of all, and what follows it."""
        if self._follower is None:
            return self._rows_C[None], None
        follower = self._follower.copy()
        rows = [self._rows(follower)]
        for token_id in ids[1:]:
            follower.read(token_id)
            rows.append(self._rows(follower))
        return np.stack(rows), follower

    def _rows(self, follower: Follower) -> np.ndarray:
        rows_C, values = self._rows_C.copy(), follower.values
        rows_C[self._columns] = np.where(values < 0, NO_ROW, self._first + values)
        return rows_C

    def _tell(self, cache: Any, rows_BTC: np.ndarray) -> None:
        rows = torch.from_numpy(rows_BTC).to(next(self._network.parameters()).device)
        if isinstance(cache, ExactCache):
            for place, own in enumerate(cache.rows):
                own.conditions_BTC = rows[place : place + 1]
        else:
            cache.conditions_BTC = rows


def _as_number(value: str | float | None, one: Any) -> str | float | None:
    """Return the number that a text is, where the attribute has bins and none of that name."""
    if not isinstance(value, str) or not one.thresholds or value in one.all_values:
        return value
    try:
        return float(value)
    except ValueError:
        return value
