"""Which configuration comes next, and which training is not worth going on with: Optuna's samplers and pruners by name."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from im2im.search.space import Dimension

Kind = TypeVar("Kind")

POPULATION = 8  # of NSGA-II; trials before that are drawn at random
STEPS = 4  # of a grid along a continuous dimension
LISTED = 10  # values of a dimension that a grid has all of


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=8),
    "random": lambda seed: RandomSampler(seed=seed),
    "grid": lambda seed: RandomSampler(seed=seed),  # which is not asked, see combinations()
    "gp": lambda seed: GPSampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=POPULATION),
}
PRUNERS: dict[str, Callable[[int, int], BasePruner]] = {
    "none": lambda first, last: NopPruner(),
    "halving": lambda first, last: NopPruner(),  # trials stop between jobs and go on from their checkpoints
    "median": lambda first, last: MedianPruner(n_startup_trials=4, n_warmup_steps=first),
    "hyperband": lambda first, last: HyperbandPruner(min_resource=first, max_resource=last, reduction_factor=3),
}


def sampler(name: str, seed: int) -> BaseSampler:
    """Make a sampler.

    Args:
        name: One of :data:`SAMPLERS`.
        seed: Of the draws; two workers with one seed would draw the same.

    Raises:
        ValueError: If there is no such sampler.
    """
    return _chosen(SAMPLERS, "sampler", name)(seed)


def pruner(name: str, first: int, last: int) -> BasePruner:
    """Make a pruner.

    Args:
        name: One of :data:`PRUNERS`.
        first: Epochs that every trial is given.
        last: Epochs of a whole training.

    Raises:
        ValueError: If there is no such pruner.
    """
    return _chosen(PRUNERS, "pruner", name)(first, last)


def combinations(dimensions: Sequence[Dimension], seed: int) -> list[dict[str, Any]]:
    """List every combination of some values of each dimension, in a random order."""
    values = [[(one.name, value) for value in _values(one.distribution)] for one in dimensions]
    listed = [dict(combination) for combination in itertools.product(*values)]
    random.Random(seed).shuffle(listed)
    return listed


def _chosen(table: dict[str, Kind], key: str, name: str) -> Kind:
    if name not in table:
        raise ValueError(f"search.{key} is one of {', '.join(table)}, got {name}; set search.{key}={next(iter(table))}")
    return table[name]


def _values(distribution: optuna.distributions.BaseDistribution) -> list[Any]:
    """Give the values of a dimension, or some of many, evenly spread."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, optuna.distributions.IntDistribution | optuna.distributions.FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step and (high - low) / step < LISTED and not distribution.log:
        return [type(low)(round(low + step * place, 12)) for place in range(round((high - low) / step) + 1)]
    shares = [place / (STEPS - 1) for place in range(STEPS)]
    spread = [low * (high / low) ** share if distribution.log else low + (high - low) * share for share in shares]
    return [type(low)(round(low + step * round((one - low) / step), 12)) for one in spread] if step else spread
