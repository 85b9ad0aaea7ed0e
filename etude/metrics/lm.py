"""Language-model numbers: sums over a split become losses per token, per note and per second of music.

Only the last two compare across tokenizers: another vocabulary cuts the same music into more or fewer
tokens. A loss per note or per second counts every token, time and end of piece included.
"""

import math

BITS_PER_NAT = 1 / math.log(2)


def validate(*, nats: float, tokens: int, notes: int, seconds: float, correct: int | None = None) -> None:
    """Refuse sums that cannot come from a split.

    Raises:
        ValueError: a sum is negative or not finite, or there are no tokens, or more right ones than all.
    """
    if not math.isfinite(nats) or nats < 0:
        raise ValueError(f"nats = {nats}: expected a finite sum, at least 0")
    if tokens < 1:
        raise ValueError(f"tokens = {tokens}: expected at least 1; is the split empty?")
    if notes < 0 or seconds < 0:
        raise ValueError(f"notes = {notes}, seconds = {seconds}: expected at least 0")
    if correct is not None and not 0 <= correct <= tokens:
        raise ValueError(f"correct = {correct}: expected 0 to {tokens}")


def ratio(total: float, count: float) -> float | None:
    """Return ``total / count``, or None where there is nothing to count.

    Example:
        >>> ratio(3.0, 2), ratio(3.0, 0)
        (1.5, None)
    """
    return total / count if count > 0 else None


def evaluate(
    *, nats: float, tokens: int, notes: int, seconds: float, correct: int | None = None
) -> dict[str, float | None]:
    """Turn the sums of a split into the numbers that ``etude train --json`` reports.

    Args:
        nats: sum of the losses of all targets, natural logarithm.
        tokens: number of targets, the end of each piece included.
        notes: notes in the split.
        seconds: seconds of music in the split.
        correct: targets whose likeliest id was the right one; None where that was not counted.

    Returns:
        ``nats_per_token, nats_per_note, nats_per_sec, accuracy``, the same three in bits, and ``perplexity``
        per token. A number whose count is zero or was not taken is None.

    Raises:
        ValueError: see ``validate``.

    Example:
        >>> scores = evaluate(nats=200.0, tokens=100, notes=40, seconds=8.0, correct=50)
        >>> scores["nats_per_token"], scores["nats_per_note"], scores["nats_per_sec"], scores["accuracy"]
        (2.0, 5.0, 25.0, 0.5)
    """
    validate(nats=nats, tokens=tokens, notes=notes, seconds=seconds, correct=correct)
    counts = {"token": tokens, "note": notes, "sec": seconds}
    scores = {f"nats_per_{unit}": ratio(nats, count) for unit, count in counts.items()}
    scores["accuracy"] = None if correct is None else correct / tokens
    scores |= {f"bits_per_{unit}": ratio(nats * BITS_PER_NAT, count) for unit, count in counts.items()}
    # exp overflows where the loss is absurd; infinity is not a JSON number
    mean = nats / tokens
    scores["perplexity"] = math.exp(mean) if mean < 700 else None
    return scores
