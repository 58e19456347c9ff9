"""Written rules from what the data and the machine are like to settings; docs/planning.md gives the source or measurement of each."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from im2im.planning.situation import PASSES, STEPS, Part, Situation

FEW = 30  # images, below which augmentation is strong
VERY_FEW = 10  # images, below which intensities are turned by any angle as well
OFTEN = 100  # times that a training sees each pixel, from which on it learns them by heart
BLOCKS = 6  # images, below which a whole one is too much to hold out
RARE = 0.05  # share of the pixels below which a class is rare
SPARSE = 0.15  # share of the pixels below which objects have patches around them
WHOLE_EPOCHS = {"data.foreground", "data.fraction_per_epoch"}  # keys that exclude patches around objects
COLOURS = 3  # channels of a stained slide
PATCH, LARGE_PATCH, GENERATED_PATCH = 128, 256, 256  # pixels along Y and X
BESIDE_BLOCK = 0.625  # half of an image, in that of which a block of a fifth was left out
OBJECT_LENGTHS = 4  # in a patch
AREA = {"intensities": 131_072, "classes": 262_144, "objects": 262_144}  # pixels of a batch
VOLUME = 262_144  # voxels of a batch
BATCHES = (2, 16)  # smallest and largest batch
VALIDATED = {2: 64, 3: 16}  # patches of one validation
EPOCH = {2: 100, 3: 25}  # fewest steps of an epoch
FORWARD = 1 / 3  # cost of a validated patch in that of a trained one
SHARE = 0.1  # of the time that validation may take
GAN_STEPS = 6000
WORTH = {"intensities": 3500, "classes": 1000, "objects": 1000}  # steps below which a narrower network is better than fewer steps
GAN_WORTH = 700
PATIENT = 1200.0  # seconds in which a training without max_time should make that many steps
WIDTHS = (8, 16, 32)  # channels of the first level
RISE = 1.4  # times as long takes a step of twice the width, at least


def patches(at: Situation) -> Part:
    """Choose the size and number of patches, and where they lie."""
    size, why = _size(at)
    pixels = math.prod(size)
    wanted = VOLUME if at.dims == 3 else AREA["intensities" if at.adversarial else at.kind]
    batch = round(wanted / pixels)
    settings: dict[str, Any] = {"patch_size": size, "batch_size": min(max(batch, BATCHES[0]), BATCHES[1])}
    if at.framework == "cyclegan":
        settings["batch_size"] = min(settings["batch_size"], 4)  # four networks learn at a time
    if at.kind == "objects" and at.facts["foreground"] < SPARSE and at.paired and not WHOLE_EPOCHS & set(at.given):
        settings["data.places._target_"] = "im2im.data.objects.AroundObjects"
        why += f", around objects: they cover {at.facts['foreground']:.0%} of the image"
    if at.paired and 0 < (rare := at.rarest(foreground=True)) < RARE:
        settings["data.foreground"] = 0.5
        why += f", half of them around each class as often: the rarest covers {rare:.1%} of the image"
    return Part("patches", settings, why)


def _size(at: Situation) -> tuple[list[int], str]:
    """Give the size of a patch, (Z)YX, and why."""
    *depth, height, width = at.facts["smallest"]
    if "patch_size" in at.settings:
        return list(at.settings["patch_size"]), "as given"
    if at.images == 1:  # a block of it, no smaller than a patch, is left for validation
        share = BESIDE_BLOCK if at.facts["images"].get("val") else 0.5
        height, width = int(share * height), int(share * width)
    planes: list[int] = []
    if at.flat:
        planes, side, why = [min(8, *depth)], 160, "thin, for planes lie far apart"
    elif at.dims == 3:
        voxel = at.facts["voxel_size"]
        wanted = 16 if at.kind == "intensities" else 2 ** round(math.log2(45 * voxel[-1] / voxel[0]))  # 64 pixels are about as long
        planes, side, why = [_within(min(wanted, 32), depth[0], 8)], 64, "cubes that fit into memory"
    else:
        side, why = _side(at, min(height, width))
    return [*planes, _within(side, height), _within(side, width)], why


def _side(at: Situation, smallest: int) -> tuple[int, str]:
    """Give the side of a patch in 2D, and why."""
    if at.kind == "intensities" and at.adversarial:
        side = GENERATED_PATCH if smallest >= 1.5 * GENERATED_PATCH else PATCH
        return side, "as large as a discriminator needs to see the arrangement of objects"
    if at.kind == "intensities" or at.framework == "cyclegan":
        return PATCH, "larger ones gained nothing"
    if (length := at.facts["objects"].get("length")) is None:
        return PATCH, "no object was seen"
    return min(max(32 * math.ceil(OBJECT_LENGTHS * length / 32), PATCH), LARGE_PATCH), f"objects are {length:.0f} pixels long"


def _within(wanted: int, pixels: int, multiple: int = 16) -> int:
    """Give the wanted side of a patch, or the largest multiple that an image has."""
    return wanted if pixels >= wanted else max(multiple, pixels // multiple * multiple)


def network(at: Situation) -> Part | None:
    """Choose a network that this machine can train in the time, and its width by measured steps."""
    chosen, why = _option(at)
    if at.has_weights or chosen is None or ("network" in at.given and at.network != chosen):
        return None
    settings: dict[str, Any] = {"network": chosen, "network.upsampling": "linear"}
    if chosen == "fnet" and (at.dims == 3 or at.framework == "cyclegan"):
        settings["network.depth"] = 3 if at.dims == 3 else 2
    if at.framework == "cyclegan":
        norm = {"_target_": f"torch.nn.InstanceNorm{at.dims}d", "_partial_": True, "affine": True}
        settings["network.norm_layer"] = norm
    if at.alike and at.framework == "fcn":
        settings["network.residual"] = True
        why += f"; learns the difference, source and target correlate by {at.facts['similarity']:.2f}"
    width, seconds = _width(at, settings)
    settings["network.channels"] = width
    return Part("network", settings, f"{why}; {width} channels: {seconds:.2g} s a step here" if seconds else why)


def _option(at: Situation) -> tuple[str | None, str]:
    """Choose the network, and say why; None where it stays as it is."""
    if at.flat and at.framework in ("fcn", "embedseg") and at.network in ("unet", "fnet", "branched_erfnet", "anisotropic_unet"):
        return "anisotropic_unet", f"planes lie {at.plane_distance:.0f} pixels apart"
    if at.framework == "cyclegan":
        return "fnet", "a path at full resolution"
    if at.kind == "objects":
        return "fnet", "four to eight times as fast as branched_erfnet"
    return ("fnet", "no checkerboard") if at.network == "fnet" else (None, "")


def _width(at: Situation, settings: Mapping[str, Any]) -> tuple[int, float]:
    """Give the largest width with which enough steps fit into the time, and the seconds of such a step."""
    if at.measure is None:
        return 16, 0.0
    seconds_of = at.measure({**at.settings, **settings})
    passes = PASSES.get(at.framework, 1)
    longest = (at.seconds or PATIENT) / (GAN_WORTH if at.adversarial else WORTH[at.kind])
    width, seconds = WIDTHS[0], passes * seconds_of(WIDTHS[0])
    for wider in WIDTHS[1:]:
        if RISE * seconds > longest or (needed := passes * seconds_of(wider)) > longest:
            break
        width, seconds = wider, needed
    return width, seconds


def loss(at: Situation) -> Part | None:
    """Choose the criterion."""
    if at.framework != "fcn":
        return None
    if at.alike:
        return Part("loss", {"criterion": "mse"}, "keeps the scale of a target that is much like the source")
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
    if at.adversarial or at.dims == 3:
        return None
    if at.kind == "intensities" and at.images >= VERY_FEW:
        chosen, why = ("strong", f"sees each pixel {at.passes:.0f} times") if at.passes >= OFTEN else ("contrast", "it differs")
        return None if at.alike else Part("augmentation", {"augmentation": chosen}, why)
    if at.images < FEW:
        chosen = "strong" if at.kind == "classes" else "rotations"
        return Part("augmentation", {"augmentation": chosen}, f"{at.images} training images")
    return None


def optimization(at: Situation) -> Part:
    """Choose optimizer and learning rate."""
    if at.adversarial:
        return Part("optimization", {"learning_rate": 5.0e-4}, "a short training")
    if at.kind == "objects":
        return Part("optimization", {"optimizer": "adam", "learning_rate": 1.0e-3, "scheduler.warm_up": 0.05}, "a short training")
    rate = 2.0e-3 if at.flat or (at.kind == "intensities" and not at.alike) else 1.0e-3
    return Part(
        "optimization",
        {"learning_rate": rate, "scheduler.warm_up": 0.05, "optimizer.weight_decay": 0.01},
        "a short training with warm-up",
    )


def discriminator(at: Situation) -> Part | None:
    """Choose the discriminators of a small generator."""
    if at.framework == "cyclegan":
        keys = "framework.judges.target.discriminator.discriminator"
        settings: dict[str, Any] = {f"{keys}.channels": 32, f"{keys}.layers": 2}
        if at.kind == "classes":
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
    extent = float(max(64, 2 ** math.ceil(math.log2(found["length"]))))
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


def validation(at: Situation) -> Part | None:
    """Choose what is held out of very few images that are large enough."""
    count = at.images + at.facts["images"].get("val", 0)
    if at.images == 1 or count >= BLOCKS or not at.facts.get("drawn"):
        return None
    large = [3 * max(at.settings["patch_size"][-2:]) <= max(size[-2:]) for size in at.facts["sizes"]]
    if 2 * sum(large) < len(large):
        return None
    return Part("validation", {"data.validation_blocks": True}, f"each of {count} images may be the only one of its kind")


def length(at: Situation) -> Part:
    """Choose the length of an epoch and of the training."""
    limit, batch = VALIDATED[at.dims], at.settings["batch_size"]
    settings: dict[str, Any] = {
        "data.validation_patches": max(4, math.ceil(limit / max(at.facts["images"].get("val", 0), 1))),
        "data.validation_limit": limit,
    }
    if "data.patches_per_image" in at.given:
        steps = max(1, at.images * at.settings["data.patches_per_image"] // batch)
    else:
        wanted = max(math.ceil(FORWARD / SHARE * limit / batch), EPOCH[at.dims])
        steps = settings["data.steps_per_epoch"] = at.settings.get("data.steps_per_epoch", wanted)
    total = GAN_STEPS if at.adversarial else STEPS[at.dims]
    settings["data.max_epochs"] = math.ceil(total / steps)
    ending = "until max_time" if at.seconds else f"{steps * at.settings.get('max_epochs', settings['data.max_epochs'])} steps"
    return Part("length", settings, f"{ending}, in epochs of {steps} steps")


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
