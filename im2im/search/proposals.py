"""From the fingerprint of the data to what is worth a try. The first value of each dimension is the task's own default."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from im2im.search.space import dimension

Values = str | dict[str, list[str]]

LOSSES = {
    "Regression": ("mse", "l1", "huber", "mse_correlation", "l1_ssim"),
    "Semantic": ("generalized_dice_focal", "dice_cross_entropy", "cross_entropy", "tversky"),
}
NORMALIZATIONS = ("center", "percentile", "standard")
AUGMENTATIONS = ("flips", "contrast", "intensity", "rotations")
WIDTHS = {
    "fnet": {"": "32", ", narrow": "16", ", wide": "48"},
    "unet": {"": "[32,64,128,256]", ", narrow": "[16,32,64,128]", ", wide": "[48,96,192,384]"},
}
OTHERS = {"Regression": ("fnet", "unet", "attention_unet", "segresnet"), "Semantic": ("unet", "fnet", "attention_unet", "segresnet")}


def propose(cfg: DictConfig, facts: Mapping[str, Any], chosen: Mapping[str, str], fixed: Collection[str], full: bool) -> dict[str, Values]:
    """Propose dimensions.

    Args:
        cfg: The default configuration of the task, composed with what the command line says.
        facts: Of the data, see :func:`im2im.search.fingerprint.fingerprint`.
        chosen: Options by group, such as ``{"network": "fnet"}``.
        fixed: Settings that somebody gave, which are left as they are.
        full: Try other networks and frameworks too, and more of everything.
    """
    task = str(cfg.task._target_).rpartition(".")[2]
    space: dict[str, Values] = {
        "learning_rate": _around(float(cfg.learning_rate), 10 if full else 5),
        "network": _networks(task, chosen["network"], "network" in fixed, full),
        "criterion": _first(chosen.get("criterion", ""), LOSSES.get(task, ())),
        "normalization": _first(chosen["normalization"], NORMALIZATIONS if facts["channels"][0] != 3 else ()),
        "augmentation": _first(chosen["augmentation"], AUGMENTATIONS if full else AUGMENTATIONS[:3]),
        "patch_size": _patches(cfg, facts),
        "batch_size": _numbers((cfg.batch_size, max(1, cfg.batch_size // 2), *([2 * cfg.batch_size] if full else []))),
    }
    if full and task == "Regression":
        space["framework"] = _first(chosen["framework"], ("fcn", "pix2pix"))
    return {name: values for name, values in space.items() if values and not set(fixed) & _touched(name, values)}


def defaults(space: Mapping[str, Values], cfg: DictConfig) -> dict[str, Any]:
    """Give the values of all dimensions that are the task's own defaults, for the first trial."""
    return {name: float(cfg.learning_rate) if name == "learning_rate" else _named(values)[0] for name, values in space.items()}


def _named(values: Values) -> list[str]:
    return list(values) if isinstance(values, dict) else _listed(values)


def _listed(sweep: str) -> list[str]:
    return list(getattr(dimension("any", sweep).distribution, "choices", [sweep]))


def _around(rate: float, factor: float) -> str:
    return f"tag(log, interval({rate / factor:g}, {rate * factor:g}))"


def _first(default: str, others: Sequence[str]) -> str:
    """Write a choice that begins with the default; nothing where that is not among the others, or alone."""
    return f"choice({','.join(dict.fromkeys((default, *others)))})" if default in others and len(others) > 1 else ""


def _numbers(values: Sequence[int]) -> str:
    found = list(dict.fromkeys(values))
    return f"choice({','.join(map(str, found))})" if len(found) > 1 else ""


def _patches(cfg: DictConfig, facts: Mapping[str, Any]) -> str:
    """Halve and double the patch in the plane, as far as images are large enough."""
    patch, size = list(cfg.patch_size), facts["size"]
    planes = patch[:-2]
    lateral = [[side // 2 for side in patch[-2:]], [2 * side for side in patch[-2:]]]
    fitting = [sides for sides in lateral if all(32 <= side <= length for side, length in zip(sides, size[-2:], strict=True))]
    texts = [f"[{','.join(map(str, [*planes, *sides]))}]" for sides in (patch[-2:], *fitting)]
    return f"choice({','.join(texts)})" if len(texts) > 1 else ""


def _networks(task: str, chosen: str, fixed: bool, full: bool) -> dict[str, list[str]]:
    """Name networks with their widths; the default one first, others where all is tried."""
    names = dict.fromkeys((chosen, *(OTHERS.get(task, ()) if full and not fixed else ())))
    found: dict[str, list[str]] = {}
    for name in names:
        group = [] if fixed else [f"network={name}"]
        for suffix, channels in WIDTHS.get(name, {"": ""}).items():
            found[f"{name}{suffix}"] = [*group, f"network.channels={channels}"] if suffix else group
    return found if len(found) > 1 else {}


def _touched(name: str, values: Values) -> set[str]:
    settings = [setting for listed in values.values() for setting in listed] if isinstance(values, dict) else [f"{name}="]
    return {setting.partition("=")[0] for setting in settings}
