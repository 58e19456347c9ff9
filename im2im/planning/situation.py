"""What rules look at, and what each of them gives."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

FLAT = 3.0  # times as far between planes as between pixels: anisotropic
ALIKE = 0.5  # correlation of source and target above which a residual path helps
RARE = 0.05  # share of the pixels below which a class is rare
STEPS = {2: 4000, 3: 3000}  # of a training whose end nobody gave
ADVERSARIAL = ("pix2pix", "pix2pixhd", "cyclegan")  # frameworks


@dataclass(frozen=True)
class Part:
    """One line of a plan.

    Args:
        name: What it is about.
        settings: Values by key; the key of a group has no dot.
        reason: Why.
        step_seconds: Of the network that it chose, measured; None where none was.
    """

    name: str
    settings: dict[str, Any]
    reason: str
    step_seconds: float | None = None


@dataclass(frozen=True)
class Situation:
    """What the rules look at.

    Args:
        facts: Of data and machine, see :func:`.fingerprint`.
        kind: Of the targets: "intensities", "classes" or "objects".
        dims: 2 or 3.
        framework: Its option.
        network: Its option, as the task or the user chose it.
        has_weights: Whether the training starts from other weights, whose network it keeps.
        given: Keys and groups that the command line or an experiment sets.
        paired: Whether source and target are matched.
        classes: How many there are; all values above 0 of a target are one class where there are two.
        seconds: Of the training, where ``max_time`` gives them.
        measure: Gives for settings so far the function from ``network.channels`` to the seconds of a forward and backward pass of a batch.
        step_seconds: Of the network that a rule before has chosen, see :class:`Part`.
        settings: Of the rules before, and of what somebody gave the sizes of patches, batches, epochs and the training.
    """

    facts: Mapping[str, Any]
    kind: str
    dims: int = 2
    framework: str = "fcn"
    network: str = "fnet"
    has_weights: bool = False
    given: Collection[str] = ()
    paired: bool = True
    classes: int = 0
    seconds: float | None = None
    measure: Callable[[Mapping[str, Any]], Callable[[Any], float]] | None = None
    step_seconds: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator is trained as well."""
        return self.framework in ADVERSARIAL

    @property
    def images(self) -> int:
        """Number of training images."""
        return int(self.facts["images"].get("train", 0))

    def rarest(self, foreground: bool = False) -> float:
        """Give the share of the pixels that the rarest class has, or the rarest of foreground; 1 where that is not known."""
        if self.kind != "classes":
            return 1.0
        covered = float(self.facts["foreground"])
        shares = self.facts.get("classes", {}) if self.classes > 2 else {0: 1 - covered, 1: covered}
        return min((share for label, share in shares.items() if label > 0 or not foreground), default=1.0)

    @property
    def plane_distance(self) -> float:
        """Distance of planes in pixels."""
        return plane_distance(self.facts)

    @property
    def flat(self) -> bool:
        """Whether planes lie much farther apart than pixels."""
        return self.dims == 3 and self.plane_distance > FLAT

    @property
    def alike(self) -> bool:
        """Whether the prediction is compared with a target that is much like the source after some Gaussian filter, channel by channel."""
        channels, smoothing = self.facts["channels"], self.facts.get("smoothing", {})
        compared = self.kind == "intensities" and self.framework != "cyclegan" and channels[0] == channels[1]
        return compared and smoothing.get("similarity", 0.0) >= ALIKE


def plane_distance(facts: Mapping[str, Any]) -> float:
    """Give the distance of planes in pixels, see :func:`.fingerprint`; by the size of a voxel in facts of earlier versions."""
    voxel = facts.get("voxel_size") or [1.0]
    return float(facts.get("plane_distance", voxel[0] / voxel[-1]))
