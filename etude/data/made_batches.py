"""Batches that cost nothing to give, to see what the loader costs; ``train.made_data`` asks for them.

Dimension key:  B batch   T tokens
"""

import numpy as np

from etude.randomness import generator


class MadeBatches:
    """Batches of random ids that cost nothing to give: what remains of a step is not the loader's.

    Args:
        vocab_size: ids are below it.
        ctx_len: targets T of a window.
        batch_size: windows B of a batch.
        seed: of the ids.
        tokens_per_epoch: what an epoch of the data that it stands for has.
    """

    _DIFFERENT = 4

    def __init__(self, vocab_size: int, *, ctx_len: int, batch_size: int, seed: int, tokens_per_epoch: int) -> None:
        shape = (self._DIFFERENT, batch_size, ctx_len + 1)
        self._batches = generator(seed, "made").integers(vocab_size, size=shape, dtype=np.int64)
        self.tokens_per_epoch = tokens_per_epoch

    def at(self, step: int, rows: range | None = None) -> np.ndarray:
        """Return the batch of a step, or some rows of it, int64 (B, ctx_len + 1); they come again after a few."""
        batch = self._batches[step % self._DIFFERENT]
        return batch if rows is None else batch[rows.start : rows.stop]
