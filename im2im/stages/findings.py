"""What a check sees in the images themselves: axes, channels, sizes, intensities, patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from im2im.data.datamodule import ImageData
from im2im.data.index import Entry
from im2im.evenly import evenly

PATCHES = 64  # random patches that are looked at
FAINT = 0.1  # of the contrast of the best patches: below there is nothing to learn from


@dataclass(frozen=True)
class Finding:
    """One line of the check: "ok", "look" or "wrong", about what, and what was seen."""

    verdict: str
    about: str
    seen: str


def shapes(entries: list[Entry], data: ImageData) -> list[Finding]:
    """Axes, channels and sizes."""
    first = entries[0]
    axes = sorted({entry.source.axes for entry in entries})
    sizes = sorted({data.source.spatial_shape(entry.source) for entry in entries})
    largest = f" to {' × '.join(map(str, sizes[-1]))}" if len(sizes) > 1 else ""
    seen = f"{len(entries)} images of {' × '.join(map(str, sizes[0]))}{largest}"
    findings = [
        Finding("ok", "axes", f"{', '.join(axes)} in the files, {'ZYX'[-data.source.spatial_dims :]} used"),
        Finding("ok", "sizes", f"{seen} pixels, {first.source.dtype} → {first.target.dtype}"),
    ]
    for role in ("source", "target"):
        channels = {getattr(entry, role).shape[1] for entry in entries}
        verdict = "ok" if len(channels) == 1 else "wrong"
        findings.append(Finding(verdict, f"{role} channels", f"{sorted(channels)}; choose with data.{role}_channels"))
    if small := [entry.name for entry in entries if _smaller(data.source.spatial_shape(entry.source), data)]:
        seen = f"{len(small)} images are smaller than {data.sampling.patch_size} and filled up: {small[0]}"
        findings.append(Finding("look", "patch_size", seen))
    return findings


def _smaller(size: tuple[int, ...], data: ImageData) -> bool:
    """Tell whether a patch does not fit into an image."""
    return any(pixels < patch for pixels, patch in zip(size, data.sampling.patch_size, strict=True))


def intensities(entries: list[Entry], data: ImageData) -> list[Finding]:
    """Ranges after normalization; images without contrast or with NaN."""
    findings = []
    for role in ("source", "target"):
        side, ranges, blank, broken = getattr(data, role), [], [], []
        for entry in entries:
            raw = side.array(getattr(entry, role), time=entry.time)
            normalized = getattr(entry, f"{role}_scale").apply(raw)
            ranges.append((float(normalized.min()), float(normalized.max())))
            blank += [entry.name] if np.ptp(normalized) == 0 else []
            broken += [entry.name] if not np.isfinite(raw).all() else []
        low, high = np.min(ranges, axis=0)[0], np.max(ranges, axis=0)[1]
        findings.append(Finding("ok", f"{role} normalized", f"{low:.2f} to {high:.2f} over all images"))
        if blank:
            findings.append(Finding("look", f"{role} contrast", f"{len(blank)} images are constant: {', '.join(blank[:3])}"))
        if broken:
            findings.append(Finding("look", f"{role} NaN", f"{len(broken)} images have NaN or infinite pixels: {', '.join(broken[:3])}"))
    return findings


def contrast(entries: list[Entry], data: ImageData) -> list[Finding]:
    """How many random patches show nothing of the target."""
    patches = data.training_patches(entries)
    chosen = evenly(range(len(patches)), PATCHES)
    empty = empty_share([float(patches[(0, index)]["target"].std()) for index in chosen])
    seen = f"{empty:.0%} of {len(chosen)} random patches have no contrast in the target"
    return [Finding("ok" if empty < 0.5 else "look", "empty patches", seen)]


def empty_share(contrasts: Sequence[float]) -> float:
    """Tell which share of patches is blank, or faint beside the best of them."""
    return float(np.mean(np.asarray(contrasts) <= FAINT * np.percentile(contrasts, 95)))
