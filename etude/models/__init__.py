"""Models: tensors in, tensors out.

``MODELS`` names each class as ``"module:Class"``; ``kind: "their.module:Class"`` in a configuration works as
well. A model is made from its settings and the size of the vocabulary, and annotates both.
"""

from typing import Any

from etude.registry import class_of_kind, parse_kind
from etude.settings import Settings

MODELS = {
    "decoder": "etude.models.decoder:Decoder",
    "linear": "etude.models.linear:LinearDecoder",
}


def model_settings(values: Any) -> Settings:
    """Validate the settings of a model, as a configuration or a model folder holds them.

    Raises:
        SettingsError: an unknown kind, or values that do not fit it.

    Example:
        >>> model_settings({"kind": "decoder", "num_layers": 2}).num_layers
        2
    """
    return parse_kind(values, MODELS, where="model", settings_in="etude.models.settings", default="decoder")


def build_model(settings: Any, vocab_size: int) -> Any:
    """Build the model that ``settings.kind`` names, freshly initialised from torch's own generator.

    Args:
        settings: the settings of one model.
        vocab_size: number of token ids.

    Raises:
        SettingsError: the kind is not known or cannot be imported.
    """
    return class_of_kind(settings.kind, MODELS, where="model")(settings, vocab_size)
