"""Rules for what is drawn from the images: patches, what is held out for validation, and how much makes an epoch and a training."""

import math
from typing import Any

from im2im.planning.situation import RARE, STEPS, Part, Situation

BLOCKS = 6  # images, below which a whole one is too much to hold out
HELD_OUT = ("data.fractions", "data.group", "data.validation_block")  # keys by which the user says what is held out
SPARSE = 0.15  # share of the pixels below which objects have patches around them
WHOLE_EPOCHS = {"data.foreground", "data.fraction_per_epoch", "data.patches_per_image"}  # keys that exclude patches around objects
PATCH, LARGE_PATCH, GENERATED_PATCH = 128, 256, 256  # pixels along Y and X
BESIDE_BLOCK = 0.625  # of a single image from which a fifth was cut off: half of the whole image
OBJECT_LENGTHS = 4  # in a patch
AREA = {"intensities": 131_072, "classes": 262_144, "objects": 262_144}  # pixels of a batch
VOLUME = 262_144  # voxels of a batch
BATCHES = (2, 16)  # smallest and largest batch
BYTES = 2000  # that a pixel of a batch takes while a network learns, about
VALIDATED = {2: 64, 3: 16}  # patches of one validation
EPOCH = {2: 100, 3: 25}  # fewest steps of an epoch
FORWARD = 1 / 3  # cost of a validated patch in that of a trained one
SHARE = 0.1  # of the time that validation may take
GAN_STEPS = 6000


def patches(at: Situation) -> Part:
    """Choose the size and number of patches, and where they lie."""
    size, why = _size(at)
    pixels = math.prod(size)
    wanted = VOLUME if at.dims == 3 else AREA["intensities" if at.adversarial else at.kind]
    batch = round(wanted / pixels)
    batch = min(max(batch, BATCHES[0]), 4 if at.framework == "cyclegan" else BATCHES[1])  # four networks of cyclegan learn at a time
    memory = at.facts.get("memory", math.inf)
    if "batch_size" not in at.given and batch * pixels * BYTES > memory * 1e9:
        batch = max(1, int(memory * 1e9 / BYTES / pixels))
        why += f", as many as {memory:.1f} GB hold"
    settings: dict[str, Any] = {"patch_size": size, "batch_size": batch}
    if at.kind == "objects" and at.facts["foreground"] < SPARSE and at.paired and not WHOLE_EPOCHS & set(at.given):
        settings["data.places._target_"] = "im2im.data.objects.AroundObjects"
        why += f", around objects: they cover {at.facts['foreground']:.0%} of the image"
    placed = any(key.startswith(("data.places", "data.foreground")) for key in at.given)
    if at.paired and not placed and 0 < (rare := at.rarest(foreground=True)) < RARE:
        settings["data.foreground"] = 0.5
        why += f", half of them around each class as often: the rarest covers {rare:.1%} of the image"
    return Part("patches", settings, why)


def _size(at: Situation) -> tuple[list[int], str]:
    """Give the size of a patch, (Z)YX, and why."""
    *depth, height, width = at.facts["smallest"]
    if "patch_size" in at.settings:
        return list(at.settings["patch_size"]), "as given"
    if at.images == 1 and at.facts.get("divided"):
        height, width = int(BESIDE_BLOCK * height), int(BESIDE_BLOCK * width)
    elif at.images == 1 and not at.facts["images"].get("val") and at.settings.get("data.validation_block") != 0:
        height, width = height // 2, width // 2  # a block of it, no smaller than a patch, is left for validation
    planes: list[int] = []
    if at.flat:
        planes, side, why = [min(8, *depth)], 160, "thin, for planes lie far apart"
    elif at.dims == 3:
        voxel = at.facts["voxel_size"]
        wanted = 16 if at.kind == "intensities" else 2 ** round(math.log2(45 * voxel[-1] / voxel[0]))  # 64 pixels are about as long
        planes, side, why = [_within(min(wanted, 32), depth[0], 8)], 64, "cubes, few enough for the memory of a GPU"
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


def validation(at: Situation) -> Part | None:
    """Choose what is held out of very few images that are large enough."""
    count = at.images + at.facts["images"].get("val", 0)
    if count == 1 or count >= BLOCKS or not at.facts.get("drawn") or any(key.startswith(HELD_OUT) for key in at.given):
        return None
    large = [3 * max(at.settings["patch_size"][-2:]) <= max(size[-2:]) for size in at.facts["sizes"]]
    if 2 * sum(large) < len(large):
        return None
    return Part("validation", {"data.divide_each": True}, f"each of {count} images may be the only one of its kind")


def length(at: Situation) -> Part:
    """Choose the length of an epoch and of the training."""
    settings: dict[str, Any] = {
        "data.validation_patches": max(4, math.ceil(VALIDATED[at.dims] / max(at.facts["images"].get("val", 0), 1))),
        "data.validation_limit": VALIDATED[at.dims],
    }
    if "data.patches_per_image" not in at.given:
        settings["data.steps_per_epoch"] = batches_of_epoch(at)
    steps = batches_of_epoch(at) / at.settings.get("framework.optimization.accumulate", 1)
    total = GAN_STEPS if at.adversarial else STEPS[at.dims]
    settings["data.max_epochs"] = math.ceil(total / steps)
    most = f"{round(steps * at.settings.get('max_epochs', settings['data.max_epochs']))} steps"
    ending = most if not at.seconds else f"until max_time, {most} at most" if "max_epochs" in at.settings else "until max_time"
    return Part("length", settings, f"{ending}, in epochs of {steps:g} steps")


def batches_of_epoch(at: Situation) -> int:
    """Give the batches of an epoch, as given or so many that validation takes a tenth of the time."""
    batch = at.settings["batch_size"]
    if "data.patches_per_image" in at.given:
        return max(1, at.images * int(at.settings["data.patches_per_image"]) // batch)
    validated = at.settings.get("data.validation_limit", VALIDATED[at.dims])
    return int(at.settings.get("data.steps_per_epoch", max(math.ceil(FORWARD / SHARE * validated / batch), EPOCH[at.dims])))


def passes(at: Situation) -> float:
    """Tell how often a training sees each pixel of its images, by its time and the cost of a step, its epochs, or the usual steps."""
    batches = at.seconds / at.step_seconds if at.seconds and at.step_seconds else math.inf
    batches = min(batches, at.settings.get("max_epochs", math.inf) * batches_of_epoch(at))
    if batches == math.inf:
        batches = STEPS[at.dims]
    return batches * at.settings["batch_size"] * math.prod(at.settings["patch_size"]) / (at.images * math.prod(at.facts["size"]))
