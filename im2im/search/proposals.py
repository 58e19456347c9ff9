"""From the fingerprint of the data to what is worth a try.

The first value of each dimension is the task's own default, the second the best guess at something better.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from im2im.planning.rules import VERY_FEW
from im2im.planning.sampling import BYTES
from im2im.planning.situation import FLAT, plane_distance
from im2im.search.refusals import WHILE_TRAINING
from im2im.search.space import dimension

Values = str | dict[str, list[str]]

OF_INTENSITIES = ("mse_correlation", "l1_ssim", "l1", "huber", "mse")  # criteria
OF_CLASSES = ("generalized_dice_focal", "dice_cross_entropy", "cross_entropy", "tversky")
NORMALIZATIONS = ("standard", "percentile", "center")
FRAMEWORKS = ("fcn", "pix2pix")  # of pairs
AUGMENTATIONS = ("intensity", "contrast", "flips", "strong")
FACTOR = 8  # of learning rates to both sides of the default
OBJECTS = 2  # widths of an object that a patch holds at least
TAIL = 10  # times as far above the median as others are below it: single bright pixels, which mean and deviation follow
VARIANTS = {
    "fnet": {"wide": ["network.channels=48"], "narrow": ["network.channels=16"], "shallow": ["network.depth=3"]},
    "unet": {
        "wide": ["network.channels=[48,96,192,384]"],
        "narrow": ["network.channels=[16,32,64,128]"],
        "shallow": ["network.channels=[32,64,128]", "network.strides=[2,2]"],
    },
    "branched_erfnet": {"wide": ["network.channels=24"], "narrow": ["network.channels=8"]},
}
NETWORKS = ("fnet", "unet", "attention_unet", "segresnet")


def propose(cfg: DictConfig, facts: Mapping[str, Any], chosen: Mapping[str, str], fixed: Collection[str], full: bool) -> dict[str, Values]:
    """Propose dimensions.

    Args:
        cfg: The default configuration of the task, composed with what the command line says.
        facts: Of the data, see :func:`im2im.planning.fingerprint.fingerprint`.
        chosen: Options by group, such as ``{"network": "fnet"}``.
        fixed: Settings that somebody gave, which are left as they are.
        full: Try other networks and frameworks too, and more of everything.
    """
    criterion, network = chosen.get("criterion", "") if "criterion" in cfg.task else "", chosen["network"]
    intensities = bool(criterion) and "classes" not in cfg.task
    space: dict[str, Values] = {
        "batch_size": _batches(cfg, (1, 0.5, 0.25, 2) if full else (1, 0.5, 0.25)),
        "criterion": _first(criterion, OF_INTENSITIES if intensities else OF_CLASSES) if criterion else "",
        "learning_rate": _around(float(cfg.learning_rate)),
        "network": {} if cfg.init else _networks(cfg, facts, network, full and network in NETWORKS and "network" not in fixed),
        "patches": {} if OmegaConf.select(cfg, "search.pruner") in WHILE_TRAINING else _patches(cfg, facts),
        "normalization": _first(chosen["normalization"], _normalizations(facts)),
        "augmentation": _first(chosen["augmentation"], _augmentations(facts)),
    }
    if full and intensities and chosen["framework"] in FRAMEWORKS:
        space["framework"] = _first(chosen["framework"], FRAMEWORKS)
    return {name: values for name, values in space.items() if values and not _given(fixed, dimension(name, values).keys)}


def starts(space: Mapping[str, Values], cfg: DictConfig) -> list[dict[str, Any]]:
    """Give the trials to begin with: the task's own default, then one change of it at a time, the first that each dimension offers."""
    rate = float(cfg.learning_rate)
    named = {name: [rate, 2 * rate] if name == "learning_rate" else _named(values) for name, values in space.items()}
    default = {name: values[0] for name, values in named.items()}
    return [default, *({**default, name: values[1]} for name, values in named.items())]


def _named(values: Values) -> list[str]:
    return list(values) if isinstance(values, dict) else _listed(values)


def _listed(sweep: str) -> list[str]:
    return list(getattr(dimension("any", sweep).distribution, "choices", [sweep]))


def _around(rate: float) -> str:
    return f"tag(log, interval({rate / FACTOR:g}, {rate * FACTOR:g}))"


def _first(default: str, others: Sequence[str]) -> str:
    """Write a choice that begins with the default, whether that is among the others or not; nothing where it is alone."""
    found = list(dict.fromkeys((default, *others)))
    return f"choice({','.join(found)})" if len(found) > 1 else ""


def _batches(cfg: DictConfig, factors: Sequence[float]) -> Values:
    """Multiply the batch; an epoch sees as many pixels with each."""
    sizes = list(dict.fromkeys(max(1, int(cfg.batch_size * factor)) for factor in factors))
    if cfg.data.steps_per_epoch is None or len(sizes) == 1:
        return _first(str(sizes[0]), [str(size) for size in sizes])
    return {str(size): [f"batch_size={size}", _steps(cfg)] if size != cfg.batch_size else [] for size in sizes}


def _steps(cfg: DictConfig) -> str:
    """Write how many steps an epoch has, so that it sees as many pixels as by default, whatever patches and batches a trial has."""
    pixels = cfg.data.steps_per_epoch * cfg.batch_size * math.prod(cfg.patch_size)
    return f"data.steps_per_epoch='${{steps_of:{pixels},${{batch_size}},${{patch_size}}}}'"


def _patches(cfg: DictConfig, facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """Halve and double the patch in the plane, as far as images, objects and memory allow; an epoch sees as many pixels with each."""
    planes, sides, count = list(cfg.patch_size)[:-2], list(cfg.patch_size)[-2:], cfg.data.patches_per_image
    least = max(32, OBJECTS * facts.get("objects", {}).get("width", 0))
    found: dict[str, list[str]] = {_text(sides): []}
    for factor in (0.5, 2):
        other = [int(side * factor) for side in sides]
        needed = BYTES * cfg.batch_size * math.prod([*planes, *other])
        within = needed < 1e9 * facts.get("memory", math.inf)
        if within and all(least <= side <= length for side, length in zip(other, facts["size"][-2:], strict=True)):
            listed = ",".join(map(str, [*planes, *other]))
            length = f"data.patches_per_image={max(1, round(count / factor**2))}" if cfg.data.steps_per_epoch is None else _steps(cfg)
            found[_text(other)] = [f"patch_size=[{listed}]", length]
    return found if len(found) > 1 else {}


def _text(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))


def _normalizations(facts: Mapping[str, Any]) -> Sequence[str]:
    """Begin with percentiles where a few pixels are far brighter than the rest; colours have a normalization of their own."""
    if facts["channels"][0] == 3:
        return ()
    if "source" not in facts:
        return NORMALIZATIONS
    low, middle, high = facts["source"]["percentiles"].values()
    return sorted(NORMALIZATIONS, key=lambda name: name != "percentile") if high - middle > TAIL * (middle - low) else NORMALIZATIONS


def _augmentations(facts: Mapping[str, Any]) -> Sequence[str]:
    """Begin with the strongest where there are few images."""
    return AUGMENTATIONS[::-1] if _few(facts) else AUGMENTATIONS


def _few(facts: Mapping[str, Any]) -> bool:
    return bool(facts.get("images", {}).get("train", VERY_FEW) < VERY_FEW)


def _networks(cfg: DictConfig, facts: Mapping[str, Any], chosen: str, others: bool) -> dict[str, list[str]]:
    """Name networks with their variants: the default first, then others where all is tried.

    Small variants are the best guess for few images, and where a processor has to train them in little time.
    """
    small = _few(facts) or (facts.get("device") == "cpu" and bool(OmegaConf.select(cfg, "search.share_hours")))
    flat = ("anisotropic_unet",) if cfg.spatial_dims == 3 and plane_distance(facts) > FLAT else ()
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys((chosen, *((*NETWORKS, *flat) if others else ()))):
        group = [f"network={name}"] if others else []
        variants = {**VARIANTS.get(name, {}), **(_scaled(cfg) if name == chosen else {})}
        order = sorted(variants, key=lambda variant: variant == "wide") if small else list(variants)
        found |= {name: group, **{f"{name}, {variant}": [*group, *variants[variant]] for variant in order}}
    return found if len(found) > 1 else {}


def _scaled(cfg: DictConfig) -> dict[str, list[str]]:
    """Vary the chosen network from the width and depth that it has; nothing where it has neither."""
    width, depth = OmegaConf.select(cfg, "network.channels"), OmegaConf.select(cfg, "network.depth")
    scaled: dict[str, list[str]] = {}
    if OmegaConf.is_list(width) and len(strides := OmegaConf.select(cfg, "network.strides") or ()) == len(width) - 1 > 1:
        scaled |= {
            "wide": [f"network.channels={[3 * level // 2 for level in width]}"],
            "narrow": [f"network.channels={[level // 2 for level in width]}"],
            "shallow": [f"network.channels={list(width[:-1])}", f"network.strides={list(strides[:-1])}"],
        }
    if isinstance(width, int) and width > 1:
        scaled |= {"wide": [f"network.channels={3 * width // 2}"], "narrow": [f"network.channels={width // 2}"]}
    if isinstance(depth, int) and depth > 1:
        scaled["shallow"] = [f"network.depth={depth - 1}"]
    return scaled


def _given(fixed: Collection[str], touched: Collection[str]) -> bool:
    """Tell whether somebody gave what a dimension changes, or a setting within it, which other choices may not have."""
    return any(key == one or key.startswith(f"{one}.") for key in fixed for one in touched)
