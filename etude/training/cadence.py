"""When something that repeats is due, and how a batch is divided. The clock is the step."""

from etude.errors import SettingsError


def is_due(step: int, every_steps: int) -> bool:
    """Return whether ``step`` steps done is a multiple of ``every_steps``; 0 means never.

    Example:
        >>> [step for step in range(1, 11) if is_due(step, 4)]
        [4, 8]
    """
    return every_steps > 0 and step % every_steps == 0


def is_finished(step: int, seconds: float, num_steps: int, max_minutes: float | None) -> bool:
    """Return whether a budget of steps or of training time is used up.

    Example:
        >>> is_finished(10, 61.0, 100, 1.0)
        True
    """
    return step >= num_steps or (max_minutes is not None and seconds >= 60 * max_minutes)


def micro_rows(rows: int, ctx_len: int, micro_batch_tokens: int | None) -> int:
    """Return the rows of one micro-batch: the largest divisor of ``rows`` that fits.

    Args:
        rows: rows of the global batch.
        ctx_len: tokens a row.
        micro_batch_tokens: most tokens of one forward pass; None takes the whole batch at once.

    Example:
        >>> micro_rows(16, 512, 4096)
        8
    """
    if micro_batch_tokens is None:
        return rows
    limit = max(1, micro_batch_tokens // ctx_len)
    return max(size for size in range(1, min(rows, limit) + 1) if rows % size == 0)


def rows_of_rank(rows: int, rank: int, size: int) -> range:
    """Return the rows of the global batch that one of several ranks trains on.

    Args:
        rows: rows of the global batch.
        rank: counted from 0.
        size: how many ranks there are.

    Raises:
        SettingsError: the rows cannot be shared out evenly.

    Example:
        >>> [list(rows_of_rank(6, rank, 3)) for rank in range(3)]
        [[0, 1], [2, 3], [4, 5]]
    """
    if rows % size:
        fits = ", ".join(str(number) for number in range(1, rows + 1) if rows % number == 0)
        raise SettingsError(
            f"train.batch_tokens: {rows} rows of model.ctx_len tokens, which {size} devices cannot share evenly; "
            f"numbers of devices that can: {fits}"
        )
    own = rows // size
    return range(rank * own, (rank + 1) * own)
