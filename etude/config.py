"""RunConfig: the root of every configuration, and all that decides what a run will be.

A run is its configuration, its corpus (by digest) and its tokenizer (by hash); ``etude.runs.identity``
makes an id of the three. Nothing here needs torch.
"""

from pathlib import Path

from pydantic import model_validator

from etude.data.settings import DataSettings
from etude.models import MODELS
from etude.optim_settings import OptimSettings
from etude.registry import chosen_by_kind
from etude.runs.definition import read_config
from etude.settings import Settings, setting
from etude.tasks import TASKS
from etude.training.settings import StartSettings, TrainSettings

Model = chosen_by_kind(MODELS, where="model", settings_in="etude.models.settings", default="decoder")
Task = chosen_by_kind(TASKS, where="task", settings_in="etude.tasks.settings", default="next_token")


class RunConfig(Settings):
    """Everything that can be set about a run."""

    label: str = setting("", text="tells apart runs that are otherwise the same; for repeating one on purpose")
    model: Model = setting(text="the network: kind and size")
    task: Task = setting("next_token", text="what is asked of the model")
    data: DataSettings = setting(DataSettings(), text="what it learns from")
    optim: OptimSettings = setting(OptimSettings(), text="optimiser and learning-rate schedule")
    train: TrainSettings = setting(TrainSettings(), text="budget, batch, seed, precision, cadence")
    start: StartSettings = setting(StartSettings(), text="weights that training starts from, and which of them change")

    @model_validator(mode="after")
    def _check_batch(self) -> "RunConfig":
        ctx_len = getattr(self.model, "ctx_len", 1)
        if self.train.batch_tokens % ctx_len:
            fits = ctx_len * max(1, round(self.train.batch_tokens / ctx_len))
            raise ValueError(
                f"train.batch_tokens = {self.train.batch_tokens}: not a multiple of "
                f"model.ctx_len = {ctx_len}; the nearest that fits is {fits}"
            )
        return self

    @model_validator(mode="after")
    def _check_conditions(self) -> "RunConfig":
        told = getattr(self.model, "conditions", None)
        if self.task.kind == "next_token" and told is not None and told.attributes:
            raise ValueError(
                "task.kind = 'next_token': the model has conditions, and this task tells it none; set task=controlled"
            )
        return self


def config_of_run(path: Path | str) -> RunConfig:
    """Return the configuration that a run was started with.

    Args:
        path: a run's folder.

    Raises:
        RunError: no run there, or a damaged one.
        SettingsError: the run has settings that this version does not know.
    """
    return RunConfig.parse(read_config(path).settings)
