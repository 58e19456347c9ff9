"""Several processes that train together: started on this machine, or found started by srun or torchrun."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

log = logging.getLogger(__name__)

PATIENCE = timedelta(hours=2)  # with another process that opens its images or is busy; one that failed is noticed at once
FAREWELL = 5.0  # seconds for a process to end, or to say why it does
VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "LOCAL_RANK")
FOLLOW = "from im2im.app import follow; follow()"


class Together(DDPStrategy):
    """Processes with a copy of the framework each, which averages its gradients itself just before a step: nothing is wrapped.

    Args:
        configuration: Resolved; what further processes on this machine run.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        alone = os.environ.get("SLURM_NTASKS", "1") == "1" and "SLURM_NTASKS" in os.environ  # a job of one task starts its own
        super().__init__(timeout=PATIENCE, cluster_environment=LightningEnvironment() if alone else None)
        self.configuration = configuration

    def configure_ddp(self) -> None:
        """Leave the framework as it is; it moves its own gradients."""


@contextmanager
def together(trainer: pl.Trainer) -> Iterator[None]:
    """Start the further processes of this machine for what happens inside, unless something else started them, and end them with it.

    Raises:
        ValueError: With the reason, if one of them failed.
    """
    strategy, before = trainer.strategy, {name: os.environ.get(name) for name in VARIABLES}
    environment = getattr(strategy, "cluster_environment", None)
    try:
        if not isinstance(strategy, Together) or environment is None or environment.creates_processes_externally:
            yield
            return
        addresses = {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
        world = {"WORLD_SIZE": str(trainer.world_size), "NODE_RANK": str(environment.node_rank()), "LOCAL_RANK": "0"}
        os.environ.update(addresses | world)
        with Others(strategy.num_processes - 1, strategy.configuration):
            yield
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


class Others:
    """Further processes on this machine, each of which is handed the configuration and ends when this one does.

    Args:
        count: How many.
        configuration: What they run.
    """

    def __init__(self, count: int, configuration: Mapping[str, Any]) -> None:
        self.reason: str | None = None  # why one of them failed
        self._ending, self._ended = False, Event()
        self._processes = [self._start(number, json.dumps(configuration)) for number in range(1, count + 1)]
        self._watchers = [Thread(target=self._watch, args=each, daemon=True) for each in enumerate(self._processes, start=2)]
        for watcher in self._watchers:
            watcher.start()

    def __enter__(self) -> None:
        """Nothing is left to do: they run."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        """Wait for them, or end them after an error, which often only tells that one of them has gone.

        Raises:
            ValueError: With the reason, if one of them failed.
        """
        if error is None or isinstance(error, RuntimeError):
            until = time.monotonic() + (FAREWELL if error else 12 * FAREWELL)
            while self.reason is None and time.monotonic() < until and any(watcher.is_alive() for watcher in self._watchers):
                time.sleep(0.02)
        self._ended.set()
        self._end()
        if self.reason is not None:
            raise ValueError(self.reason) from error

    def _start(self, local_rank: int, configuration: str) -> subprocess.Popen:
        """Start one in a session of its own, so that an interruption from the keyboard reaches it through this one alone."""
        variables = {**os.environ, "LOCAL_RANK": str(local_rank), "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", FOLLOW],
            env=variables,
            stdin=subprocess.PIPE,  # stays open: its end tells the other that this process is gone
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        process.stdin.write(configuration + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        return process

    def _watch(self, number: int, process: subprocess.Popen) -> None:
        """Wait for one; if it fails, end all, this process too where it waits for a message that will not come."""
        said = process.stdout.read()  # type: ignore[union-attr]
        code = process.wait()
        if code and not self._ending:
            last = said.strip().splitlines()[-1:] or [f"ended with code {code}"]
            self.reason = f"process {number} of {len(self._processes) + 1}: {last[0]}"
            self._end()
            if not self._ended.wait(FAREWELL):
                log.error("%s", self.reason)
                os._exit(1)

    def _end(self) -> None:
        """Kill those that still run."""
        self._ending = True
        for process in self._processes:
            process.kill()
