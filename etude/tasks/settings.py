"""Settings of the tasks, one class each, told apart by ``kind``."""

from typing import Literal

from etude.settings import Settings, setting


class NextTokenSettings(Settings):
    """Say which token comes next."""

    kind: Literal["next_token"] = setting("next_token", text="what is asked of the model")
