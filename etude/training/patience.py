"""Early stopping: a run ends when the validation loss has not fallen for a while.

What counts is in the run's own records, so a run that goes on after an interruption decides as if it had never
stopped. The best model is kept anyway; patience only saves the time after it.
"""

from etude.runs.records import read_records
from etude.runs.run import Run


def has_stalled(run: Run, patience: int | None) -> bool:
    """Tell whether the newest ``patience`` evaluations of a run brought no lower validation loss.

    Args:
        run: whose records are read.
        patience: evaluations, 1 or more; None never stops.
    """
    if patience is None:
        return False
    losses = [record["nats_per_token"] for record in read_records(run.path / "metrics.jsonl", kind="valid")]
    return evaluations_since_best(losses) >= patience


def evaluations_since_best(losses: list[float]) -> int:
    """Return how many evaluations came after the one of the lowest loss; the first of equal ones counts.

    Example:
        >>> evaluations_since_best([3.0, 2.0, 2.5, 2.0])
        2
    """
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0
