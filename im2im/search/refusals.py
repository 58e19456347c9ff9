"""What a search refuses at once."""

from pathlib import Path

from omegaconf import DictConfig

from im2im.settings import check_places, check_short_keys, require_numbers

WHILE_TRAINING = ("median", "hyperband")  # pruners that compare scores of patches, which must be of one size
NUMBERS = (
    ("search.trials", int, 1),
    ("search.hours", float | int | None, 0.001),
    ("search.parallel", int, 1),
    ("search.max_failures", int, 1),
    ("search.folds", int | None, 2),
    ("search.rungs", int, 1),
    ("search.reduction", int, 2),
)


def refuse(cfg: DictConfig) -> None:
    """Refuse settings of a search that do not fit together, before torch and Optuna are loaded.

    Raises:
        ValueError: Naming the key.
    """
    require_numbers(cfg, *NUMBERS)
    check_short_keys(cfg)
    check_places(cfg)
    folder = Path(cfg.hydra.sweep.dir)
    if (folder / "best").exists():
        raise ValueError(f"the best run of an earlier command is there, got hydra.sweep.dir={folder}; choose another folder")
    pruner, parallel, launcher = cfg.search.pruner, cfg.search.parallel, str(cfg.hydra.launcher._target_)
    if cfg.search.speed and pruner != "none":
        raise ValueError(f"two objectives stop no trial early, got search.pruner={pruner} beside search.speed=true; set it to none")
    if cfg.search.folds and pruner in WHILE_TRAINING:
        raise ValueError(f"the trainings of several folds stop together, got search.pruner={pruner}; set search.pruner=halving")
    if cfg.search.speed and cfg.search.sampler == "cmaes":
        raise ValueError("cmaes has one objective, got search.sampler=cmaes beside search.speed=true; set search.sampler=nsga2")
    if parallel > 1 and launcher.endswith("BasicLauncher"):
        raise ValueError(f"Hydra's basic launcher trains one at a time, got search.parallel={parallel}; set hydra/launcher=joblib")
    if cfg.search.share_hours and cfg.search.hours is None:
        raise ValueError("there are no hours to share, got search.hours=null beside search.share_hours=true; give search.hours")
