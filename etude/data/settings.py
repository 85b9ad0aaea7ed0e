"""Settings of the data of a run: which corpus, said in which tokens, varied how."""

from etude.music.augment import VariationSettings
from etude.registry import chosen_by_kind
from etude.settings import Settings, setting
from etude.tokens import TOKENIZERS

Tokenizer = chosen_by_kind(TOKENIZERS, where="data.tokenizer", default="performance")


class DataSettings(Settings):
    """What the model learns from.

    The corpus counts for a run's identity by the digest of its content, not by its path.
    """

    corpus: str = setting(
        "sampler",
        kind="machine",
        min_length=1,
        text="folder of a prepared corpus, or sampler for the built-in one",
    )
    tokenizer: Tokenizer = setting("performance", text="kind and settings of the tokenizer")
    transpose_semitones: int = setting(
        0, ge=0, le=24, unit="semitones", text="pieces are transposed in training by up to this, up or down"
    )
    separate_pieces: bool = setting(
        False, text="attention does not reach from one piece into another that lies in the same window"
    )
    augment: VariationSettings = setting(VariationSettings(), text="how else pieces are varied in training")
