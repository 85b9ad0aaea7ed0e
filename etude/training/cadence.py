"""When something that repeats is due. The clock is the step."""


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
