"""The sweeper of ``-m search=…``: Hydra hands it the command line, it launches the trainings that the search asks for."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


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
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Search.

        Args:
            arguments: Of the command line, but for what is Hydra's own.
        """
        from im2im.search.conduct import conduct

        assert self.config is not None
        return conduct(self.config, arguments, self.train)

    def train(self, batch: Sequence[Sequence[str]]) -> list[JobReturn]:
        """Launch trainings together; gives what came of each, errors too."""
        started = self.jobs
        self.jobs += len(batch)
        return list(self.launcher.launch(batch, initial_job_idx=started))
