"""Written rules from what the data and the machine are like to settings; docs/planning.md gives the source or measurement of each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from im2im.planning.sampling import length, passes, patches, validation
from im2im.planning.situation import RARE, Part, Situation

FEW = 30  # images, below which augmentation is strong
VERY_FEW = 10  # images, below which intensities are turned by any angle as well
OFTEN = 100  # times that a training sees each pixel, from which on it overfits
COLOURS = 3  # channels of a stained slide
WORTH, LABELS_WORTH, GAN_WORTH = 3500, 1000, 700  # steps below which a narrower network is better; of labels for objects and classes in 3D
PATIENT = 1200.0  # seconds in which a training without max_time should make that many steps
WIDTHS = (8, 16, 32)  # channels of the first level
WIDEST = 256  # channels of any level of a U-Net
LEVELS = (4, 6)  # of a U-Net, at least and at most
COARSE = 8  # pixels that an object is long at most at the coarsest level
RISE = 1.4  # by how much a step of twice the width takes longer, at least
PASSES = {"fcn": 1, "embedseg": 1, "pix2pix": 2, "pix2pixhd": 2, "cyclegan": 6}  # of networks of the generator's size in a step


def network(at: Situation) -> Part | None:
    """Choose a network that this machine can train in the time, and its width by measured steps."""
    chosen, why = _option(at)
    touched = {key for key in at.given if key.partition(".")[0] == "network"}
    if at.has_weights or chosen is None or (touched and at.network != chosen):
        return None
    settings: dict[str, Any] = {"network": chosen}
    levels = 0
    if chosen == "unet":
        if touched & {"network.channels", "network.strides"}:  # which fit each other
            return None
        levels = _levels(at)
        settings["network.strides"] = [2] * (levels - 1)
    else:
        settings["network.upsampling"] = "linear"
    if chosen == "fnet" and (at.dims == 3 or at.framework == "cyclegan"):
        settings["network.depth"] = 3 if at.dims == 3 else 2
    if at.framework == "cyclegan":
        settings["network.norm_layer"] = {"_target_": f"torch.nn.InstanceNorm{at.dims}d", "_partial_": True, "affine": True}
    if at.alike:
        settings["network.residual"], source = _residual(at.facts["smoothing"]["sigma"])
        why += f"; learns the difference from {source}, which correlates with the target (r {at.facts['smoothing']['similarity']:.2f})"
    width, seconds = _width(at, settings, levels)
    settings["network.channels"] = _channels(width, levels)
    return Part("network", settings, f"{why}; {width} channels: {seconds:.2g} s a step here" if seconds else why, seconds or None)


def _option(at: Situation) -> tuple[str | None, str]:
    """Choose the network, and say why; None where it stays as it is."""
    if at.flat and at.framework in ("fcn", "embedseg") and at.network in ("unet", "fnet", "branched_erfnet", "anisotropic_unet"):
        return "anisotropic_unet", f"planes lie {at.plane_distance:.0f} pixels apart"
    if at.framework == "cyclegan":
        return "fnet", "a path at full resolution"
    if at.kind == "objects":
        return "fnet", "four to eight times as fast as branched_erfnet"
    if at.network == "unet" and at.kind == "classes":
        return "unet", f"{_levels(at)} levels for objects of {at.facts['objects'].get('length', 0):.0f} pixels"
    return ("fnet", "no checkerboard") if at.network == "fnet" else (None, "")


def _levels(at: Situation) -> int:
    """Give the levels of a U-Net: objects are short at the coarsest, and patches can be halved so often; the fewest in 3D."""
    least, most = LEVELS
    length = max(at.facts["objects"].get("length", 0), COARSE)
    levels = least if at.dims == 3 else min(max(1 + math.ceil(math.log2(length / COARSE)), least), most)
    while levels > least and any(side % 2 ** (levels - 1) for side in at.settings["patch_size"]):
        levels -= 1
    return levels


def _residual(sigma: Sequence[float]) -> tuple[bool | float | list[float], str]:
    """Give ``network.residual`` for the Gaussian filter of a source, (Z)YX in pixels, and what the network adds to."""
    if not any(sigma):
        return True, "the source"
    return sigma[0] if len(set(sigma)) == 1 else list(sigma), "the source after a Gaussian filter"


def _channels(width: int, levels: int) -> int | list[int]:
    """Give the channels of each level where a network takes them so."""
    return [min(width * 2**level, WIDEST) for level in range(levels)] or width


def _width(at: Situation, settings: Mapping[str, Any], levels: int) -> tuple[int, float]:
    """Give the largest width with which enough steps fit into the time, and the seconds of such a step."""
    if at.measure is None:
        return 16, 0.0
    seconds_of = at.measure({**at.settings, **settings})
    networks = PASSES.get(at.framework, 1)
    steps = WORTH
    if at.adversarial:
        steps = GAN_WORTH
    elif at.kind == "objects" or (at.kind == "classes" and at.dims == 3):
        steps = LABELS_WORTH
    longest = (at.seconds or PATIENT) / (steps * at.settings.get("framework.optimization.accumulate", 1))
    width, seconds = WIDTHS[0], networks * seconds_of(_channels(WIDTHS[0], levels))
    for wider in WIDTHS[1:]:
        if RISE * seconds > longest:
            break
        needed = networks * seconds_of(_channels(wider, levels))
        if needed > longest:
            break
        width, seconds = wider, needed
    return width, seconds


def loss(at: Situation) -> Part | None:
    """Choose the criterion."""
    if at.alike:
        return Part("loss", {"criterion": "mse"}, "keeps the scale of a target that is much like the source")
    if at.framework != "fcn":
        return None
    if at.kind == "intensities":
        return Part("loss", {"criterion": "mse_correlation"}, "squared error and correlation")
    settings: dict[str, Any] = {"criterion": "dice_cross_entropy"}
    if at.rarest() < RARE:
        settings["criterion.criteria.dice.whole_batch"] = True
        return Part("loss", settings, f"Dice over whole batches: the rarest class has {at.rarest():.1%} of the pixels")
    return Part("loss", settings, "Dice and cross entropy")


def augmentation(at: Situation) -> Part | None:
    """Choose augmentation by the number of images and their kind."""
    if at.kind == "classes" and at.facts["channels"][0] == COLOURS and at.paired:
        return Part("augmentation", {"augmentation": "stains"}, "stains differ between slides")
    if at.dims == 3 or (at.adversarial and not at.alike):
        return None
    if at.kind == "intensities" and not at.adversarial and at.images >= VERY_FEW:
        return None if at.alike else _of_recordings(at)
    if at.images < FEW:
        chosen = "strong" if at.kind == "classes" else "rotations"
        return Part("augmentation", {"augmentation": chosen}, f"{at.images} training image" + "s" * (at.images > 1))
    return None


def _of_recordings(at: Situation) -> Part:
    """Choose augmentation of images that differ between recordings, by how often a training sees them."""
    if (often := passes(at)) < OFTEN:
        return Part("augmentation", {"augmentation": "contrast"}, "contrast differs between recordings")
    return Part("augmentation", {"augmentation": "strong"}, f"the training sees each pixel {often:.0f} times")


def optimization(at: Situation) -> Part:
    """Choose optimizer and learning rate."""
    if at.adversarial:
        return Part("optimization", {"learning_rate": 5.0e-4}, "a short training")
    if at.kind == "objects":
        return Part("optimization", {"optimizer": "adam", "learning_rate": 1.0e-3, "scheduler.warm_up": 0.05}, "a short training")
    rate = 2.0e-3 if at.flat or (at.kind == "intensities" and not at.alike) else 1.0e-3
    return Part(
        "optimization",
        {"optimizer": "adamw", "learning_rate": rate, "scheduler.warm_up": 0.05, "optimizer.weight_decay": 0.01},
        "a short training with warm-up",
    )


def discriminator(at: Situation) -> Part | None:
    """Choose the discriminators of a small generator."""
    if at.framework == "cyclegan":
        keys = "framework.judges.target.discriminator.discriminator"
        settings: dict[str, Any] = {f"{keys}.channels": 32, f"{keys}.layers": 2}
        if at.kind == "classes" and at.classes == 2:
            settings |= {"task.single": True, "normalization.out_min": -1.0}
        return Part("discriminators", settings, "narrow ones, which see 34 pixels, for a short training")
    if at.adversarial:
        return Part("discriminators", {"framework.discriminator.discriminator.channels": 32}, "a narrow one for a short training")
    return None


def objects(at: Situation) -> Part | None:
    """Choose the scale of offsets and the first reach of EmbedSeg by the size of objects."""
    found = at.facts.get("objects", {})
    if at.framework != "embedseg" or at.has_weights or "length" not in found:
        return None
    extent = float(at.settings.get("framework.criterion.extent", max(64, 2 ** math.ceil(math.log2(found["length"])))))
    reach = 0.4 * found["width"]
    sigma = round(math.log(math.log(2) * (extent / reach) ** 2) / 10, 2)
    settings = {
        "framework.criterion.extent": extent,
        "framework.start_sigma": sigma,
        "framework.clustering.min_size": int(max(16, found["small"] / 3)),
    }
    return Part(
        "objects", settings, f"{found['length']:.0f} pixels long, {found['width']:.0f} wide, the small ones {found['small']:.0f} large"
    )


RULES: tuple[Callable[[Situation], Part | None], ...] = (
    patches,
    network,
    loss,
    augmentation,
    optimization,
    discriminator,
    objects,
    validation,
    length,
)
