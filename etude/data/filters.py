"""What a piece must be to enter a corpus; a file that breaks a rule is in the ledger with the measured value."""

MIN_NOTES = 1
MAX_HOURS = 24.0
"""A slip in a file, such as one wait of 200 million ticks, makes hours of silence; tokenizers go no further."""


def broken_rule(num_notes: int, duration_sec: float) -> tuple[str, float] | None:
    """Return the first rule that a piece breaks and what was measured, or None if it keeps all.

    Example:
        >>> broken_rule(0, 0.0)
        ('min_notes', 0.0)
        >>> broken_rule(2, 360_000.0)
        ('max_hours', 100.0)
        >>> broken_rule(200, 95.5)
    """
    if num_notes < MIN_NOTES:
        return "min_notes", float(num_notes)
    if duration_sec > MAX_HOURS * 3600:
        return "max_hours", duration_sec / 3600
    return None
