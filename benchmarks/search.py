"""Row 18: the search against random search at equal epochs, on learning curves that cost nothing to compute.

The quality of a training is that of its configuration, reached the later the wider its network, with some noise.
"""

import logging
import math
import statistics
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import optuna

from benchmarks.measure import Result, report
from im2im.search.halving import Rungs, spaced
from im2im.search.samplers import sampler
from im2im.search.search import Job, Outcome, Search, TooManyFailuresError
from im2im.search.trials import Trials

SEEDS, EPOCHS, WHOLE = 20, 27, 16  # of the budget: so many whole trainings
SPACE = {
    "learning_rate": "tag(log, interval(1e-5, 1e-1))",
    "width": "choice(16,32,48)",
    "loss": "choice(mse,l1,huber)",
    "normalization": "choice(center,percentile,standard)",
    "augmentation": "choice(flips,intensity,strong)",
}
GAINS = {"16": -0.04, "32": 0.0, "48": 0.01, "mse": 0.0, "l1": -0.02, "huber": 0.01, "center": 0.0, "percentile": -0.03, "standard": -0.01}
GAINS |= {"flips": 0.0, "intensity": 0.02, "strong": -0.05}


class Surrogate:
    """Trains nothing, and counts the epochs that it would have trained.

    Args:
        seed: Of the best learning rate and of the noise.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.best_rate = self.rng.uniform(-3.8, -2.4)
        self.epochs, self.budget = 0, WHOLE * EPOCHS
        self.done: dict[int, int] = {}
        self.reached = -math.inf

    def quality(self, settings: Sequence[str]) -> float:
        """Give what a configuration reaches in the end, without noise."""
        chosen = dict(setting.split("=") for setting in settings)
        miss = math.log10(float(chosen.pop("learning_rate"))) - self.best_rate
        return 0.8 + sum(GAINS[value] for value in chosen.values()) - 0.12 * miss**2

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Train up to the epochs of each job, from where its trial stopped; the true quality of the best whole training is kept."""
        return [self._train(job) for job in jobs]

    def _train(self, job: Job) -> Outcome:
        self.epochs += job.epochs - self.done.get(job.trial, 0)
        self.done[job.trial] = job.epochs
        if self.epochs > self.budget:
            return Outcome(reason="the budget is spent")
        wide = "width=48" in job.settings
        shown = self.quality(job.settings) - 0.3 * math.exp(-job.epochs / (5 if wide else 3)) + self.rng.normal(0, 0.005)
        return Outcome((shown,), facts={"epochs": job.epochs, "true": self.quality(job.settings), "folder": ""})


def found(seed: int, name: str, plan: Rungs) -> float:
    """Search until the budget is spent; gives the true quality of the configuration that it chose."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    trials, surrogate = Trials(study, SPACE, 10_000), Surrogate(seed)
    study.sampler = sampler(name, seed)
    with suppress(TooManyFailuresError):  # the budget is spent
        Search(trials, plan, 1, math.inf, max_failures=1)(surrogate)
    best = trials.best()
    return float(best.user_attrs["true"]) if best is not None else 0.0


def main() -> list[Result]:
    """Compare the regret, the distance from the best configuration there is, over seeds."""
    logging.disable(logging.WARNING)  # of trials that the budget ends
    best = 0.8 + 0.01 + 0.01 + 0.02
    ours = [best - found(seed, "tpe", spaced(3, EPOCHS, 3)) for seed in range(SEEDS)]
    random = [best - found(seed, "random", Rungs((EPOCHS,), 3)) for seed in range(SEEDS)]
    better = sum(one < other for one, other in zip(ours, random, strict=True))
    path = f"search, regret after {WHOLE} whole trainings, {SEEDS} seeds, better in {better}"
    middle, peer = statistics.median(ours), statistics.median(random)
    mean, peers_mean = statistics.fmean(ours), statistics.fmean(random)
    return [
        Result(18, f"{path}, median", "random search", middle, peer, "", middle / peer, 1.0),
        Result(18, f"{path}, mean", "random search", mean, peers_mean, "", mean / peers_mean, 1.0),
    ]


if __name__ == "__main__":
    report(main())
