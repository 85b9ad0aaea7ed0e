"""Tasks: what is asked of a model, what is right, and how it is scored.

``TASKS`` names each class as ``"module:Class"``; ``kind: "their.module:Class"`` in a configuration works
as well. A task has ``train_batch(step, rows)``, ``loss(model, batch)``, ``evaluate(model)``, ``state_dict()``
and ``load_state_dict(values)``. Several processes that train together each ask for some rows of a batch, and
evaluate with ``rank``, ``num_ranks`` and ``add_up``; see ``NextToken``. A task of ids may have ``probe()``: a few rows
of validation music, which alarms look at the model with. ``train_batch`` is called ahead of the step, in a thread.
"""

from collections.abc import Callable
from typing import Any

from etude.registry import class_of_kind

TASKS = {
    "controlled": "etude.tasks.controlled:Controlled",
    "next_token": "etude.tasks.next_token:NextToken",
}


def build_task(config: Any, corpus: Any, tokenizer: Any, *, say: Callable[[str], None]) -> Any:
    """Build the task that ``config.task.kind`` names.

    Args:
        config: the run's configuration.
        corpus: the open corpus.
        tokenizer: what turns its pieces into ids.
        say: called with a line of text when something takes long.

    Raises:
        SettingsError: there is no such task.
    """
    return class_of_kind(config.task.kind, TASKS, where="task")(config, corpus, tokenizer, say=say)
