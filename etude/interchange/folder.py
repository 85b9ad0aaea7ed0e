"""The model folder of a run, by itself: what ``etude.load`` needs, and nothing of where it was trained."""

from pathlib import Path
from typing import Any

from etude.interchange.card import card_of_import
from etude.model_folder import save_model

_WRITTEN_ANEW = {"schema", "version", "etude", "model", "vocab_size", "tokenizer_hash"}


def write(model: Any, out: Path | str) -> Path:
    """Write the model folder of a model that ``etude.load`` returned; of a run that is its best.

    Args:
        model: what ``etude.load`` returned.
        out: the folder; what stood there is replaced.
    """
    facts = {name: value for name, value in model.config.items() if name not in _WRITTEN_ANEW}
    origin = facts.get("imported")
    card = card_of_import(origin, model.network, model.tokenizer) if origin else None
    return save_model(out, model.network, model.tokenizer, facts, card=card)
