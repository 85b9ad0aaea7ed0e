"""Settings of the tasks, one class each, told apart by ``kind``."""

from typing import Literal

from etude.settings import Settings, setting


class NextTokenSettings(Settings):
    """Say which token comes next."""

    kind: Literal["next_token"] = setting("next_token", text="what is asked of the model")


class ControlledSettings(Settings):
    """Say which token comes next, of pieces of which is told what they are."""

    kind: Literal["controlled"] = setting("controlled", text="what is asked of the model")
    loss: Literal["music", "everything"] = setting(
        "music", text="targets that count: those of the music alone, or those of a prefix as well"
    )
    drop_each: float = setting(
        0.1, ge=0, le=1, text="probability that nothing is said of a condition in a row of a batch, each on its own"
    )
    drop_all: float = setting(0.1, ge=0, le=1, text="probability that nothing is said of any condition in it")
