"""The vectors of conditions, and how they meet those of tokens.

Dimension key:  B batch   T tokens   C conditions   E features of conditions   D model width

Row 0 of the table is NA. It is zero and stays zero, so that a condition of which nothing is said adds nothing: a
model that is told nothing is the model without conditions. No other row than 0 stands for padding.

Source:
    The genre, author and local features of the Music Transformer family: one table each, their vectors summed, and
    the sum concatenated to a narrower token embedding; here the sum may as well be added to one of full width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.conditions import NO_ROW, ConditionSettings


class ConditionEmbedding(nn.Module):
    """The table of all values of all conditions.

    Args:
        settings: which there are.
        model_dim: width D of the model.

    Example:
        >>> from etude.conditions import Condition
        >>> genre = Condition(name="genre", values=("jazz", "pop"))
        >>> told = ConditionEmbedding(ConditionSettings(attributes=(genre,)), 8)
        >>> told.table.weight.shape
        torch.Size([3, 8])
    """

    def __init__(self, settings: ConditionSettings, model_dim: int):
        super().__init__()
        self.concatenates = settings.join == "concatenate"
        width = settings.width if self.concatenates else model_dim
        # given weights, the module draws none: what else a model draws is what it draws without conditions
        self.table = nn.Embedding(
            settings.num_rows, width, padding_idx=NO_ROW, _weight=torch.zeros(settings.num_rows, width)
        )

    @torch.no_grad()
    def reset_parameters(self, std: float) -> None:
        """Draw all rows but that of NA anew, with the deviation of the tokens' vectors."""
        nn.init.normal_(self.table.weight, std=std)
        self.table.weight[NO_ROW].zero_()

    def forward(self, x: Tensor, rows: Tensor | None) -> Tensor:
        """Return the vectors of tokens (..., D or D - E) and of conditions in one, (..., D).

        Args:
            x: of the tokens.
            rows: of the table, (..., C), broadcast over ``x``; None where nothing is said.
        """
        if rows is None:
            return F.pad(x, (0, self.table.embedding_dim)) if self.concatenates else x
        told = self.table(rows).sum(-2).to(x.dtype)
        if not self.concatenates:
            return x + told
        return torch.cat([x, told.expand(*x.shape[:-1], -1)], dim=-1)


def build_conditions(settings: ConditionSettings, model_dim: int) -> ConditionEmbedding | None:
    """Return the table of a model; None for one without conditions."""
    return ConditionEmbedding(settings, model_dim) if settings.attributes else None
