"""The sweeper of ``-m search=…``: Hydra hands it the command line, it launches the trainings that the search asks for."""

import copy
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, flag_override

from im2im.search.refusals import refuse
from im2im.settings import announce


class SearchSweeper(Sweeper):
    """Trains what a search asks for, by the launcher that was chosen."""

    __module__ = "hydra_plugins.im2im"  # where Hydra takes plugins from

    def __init__(self) -> None:
        self.config: DictConfig | None = None
        self.launcher: Any = None
        self.jobs = 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take over from Hydra."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=_without_storage(config)
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Search.

        Args:
            arguments: Of the command line, but for what is Hydra's own.
        """
        assert self.config is not None
        refuse(self.config)  # before the seconds that torch and Optuna take to load
        announce(self.config, mode="search")
        from im2im.search.conduct import conduct

        return conduct(self.config, [one for one in arguments if not _names_storage(one)], self.train, self.composed)

    def train(self, batch: Sequence[Sequence[str]]) -> list[JobReturn]:
        """Launch trainings together; gives what came of each: errors, settings that do not compose and jobs that were killed too."""
        from im2im.search.trainings import LostJobError

        errors = [self._error_of(arguments) for arguments in batch]
        fine = [list(arguments) for arguments, error in zip(batch, errors, strict=True) if error is None]
        started = self.jobs
        self.jobs += len(fine)
        try:
            returns = iter(self.launcher.launch(fine, initial_job_idx=started) if fine else [])
        except Exception as error:  # noqa: BLE001, each launcher has errors of its own: a worker was killed, or none could be started
            returns = iter([_failed(LostJobError(f"the launcher lost it: {type(error).__name__}: {error}")) for _ in fine])
        return [next(returns) if error is None else _failed(error) for error in errors]

    def composed(self, arguments: Sequence[str]) -> DictConfig:
        """Compose the configuration of a job, with Hydra's own settings in it."""
        assert self.hydra_context is not None
        assert self.config is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(arguments))

    def _error_of(self, arguments: Sequence[str]) -> Exception | None:
        """Compose a job, which launchers do outside of what they catch; gives what is wrong with it."""
        try:
            self.composed(arguments)
        except HydraException as error:
            return error
        return None


def _without_storage(config: DictConfig) -> DictConfig:
    """Copy what launchers hand to jobs and keep on disk: the password of a database is none of it."""
    str(config.hydra.sweep.dir)  # the time in it is that of the copy too
    copied = copy.deepcopy(config)
    with flag_override(copied, ["readonly", "struct"], [False, False]):
        copied.search.storage = None
        copied.hydra.job.override_dirname = ""  # each job has its own
        copied.hydra.overrides.task = [one for one in copied.hydra.overrides.task if not _names_storage(one)]
    return copied


def _names_storage(argument: str) -> bool:
    return argument.lstrip("+").startswith("search.storage=")


def _failed(error: Exception) -> JobReturn:
    returned = JobReturn()
    returned.status, returned.return_value = JobStatus.FAILED, error
    return returned
