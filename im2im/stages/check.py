"""A look at data, network and memory before a day is spent."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from rich.console import Console
from rich.progress import track
from rich.table import Table

from im2im.data.datamodule import ImageData
from im2im.data.index import Entry, fitted
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.report.figures import Pair, preview, save_png
from im2im.stages.cost import step_cost

log = logging.getLogger(__name__)

MARKS = {"ok": "[green]ok[/]", "look": "[yellow]look[/]", "wrong": "[red]wrong[/]"}
PATCHES = 64  # random patches that are looked at
PREVIEWS = 4


@dataclass(frozen=True)
class Finding:
    """One line of the check: "ok", "look" or "wrong", about what, and what was seen."""

    verdict: str
    about: str
    seen: str


def check(trainer: pl.Trainer, framework: Framework, data: ImageData, folder: str) -> list[Finding]:
    """Look at every pair and try one step; write check.json and check.png.

    Args:
        trainer: Its device is used.
        framework: Gets one forward and one backward pass.
        data: Every pair is opened and read once.
        folder: Of the results.

    Returns:
        What was found.

    Raises:
        ValueError: If anything is wrong; all findings are written and shown first.
    """
    entries, findings = _open_all(data)
    if entries:
        findings += [*_shapes(entries, data), *_intensities(entries), *_patches(entries, data)]
        findings += _step(trainer, framework, data, entries)
        _draw(entries, data, Path(folder) / "check.png")
    with replacing(Path(folder) / "check.json") as path:
        path.write_text(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    table = Table("", "what", "seen", title="check")
    for finding in findings:
        table.add_row(MARKS[finding.verdict], finding.about, finding.seen)
    Console().print(table)
    log.info("preview: %s", Path(folder) / "check.png")
    if wrong := [finding for finding in findings if finding.verdict == "wrong"]:
        raise ValueError(f"{len(wrong)} of {len(findings)} checks failed; the first: {wrong[0].seen}")
    return findings


def _open_all(data: ImageData) -> tuple[list[Entry], list[Finding]]:
    """Open and fit every pair; what cannot be read is named and the rest goes on."""
    entries, findings = [], []
    for pair in track(data.pairs, "reading", transient=True):
        try:
            entries += fitted(list(data.images.open(pair, data.source, data.target)), data.source, data.target, 0, 1)
        except (ValueError, OSError) as error:
            findings.append(Finding("wrong", "reading", str(error)))
    splits = [pair.split for pair in data.pairs]
    seen = ", ".join(f"{splits.count(name)} {name}" for name in ("train", "val", "test"))
    findings.insert(0, Finding("ok" if all(splits.count(name) for name in ("train", "val", "test")) else "look", "pairs", seen))
    if groups := {pair.group for pair in data.pairs if pair.group}:
        findings.insert(1, Finding("ok", "groups", f"{len(groups)}, none is cut in two"))
    return entries, findings


def _shapes(entries: list[Entry], data: ImageData) -> list[Finding]:
    """Axes, channels and sizes."""
    first = entries[0]
    axes = sorted({entry.source.axes for entry in entries})
    sizes = sorted({data.source.spatial_shape(entry.source) for entry in entries})
    seen = f"{len(entries)} images of {' × '.join(map(str, sizes[0]))}" + (
        f" to {' × '.join(map(str, sizes[-1]))}" if len(sizes) > 1 else ""
    )
    findings = [
        Finding("ok", "axes", f"{', '.join(axes)} in the files, {'ZYX'[-data.source.spatial_dims :]} used"),
        Finding("ok", "sizes", f"{seen} pixels, {first.source.dtype} → {first.target.dtype}"),
    ]
    for role in ("source", "target"):
        channels = {getattr(entry, role).shape[1] for entry in entries}
        verdict = "ok" if len(channels) == 1 else "wrong"
        findings.append(Finding(verdict, f"{role} channels", f"{sorted(channels)}; choose with data.{role}_channels"))
    small = [entry.name for entry, size in ((entry, data.source.spatial_shape(entry.source)) for entry in entries) if _smaller(size, data)]
    if small:
        findings.append(
            Finding("look", "patch_size", f"{len(small)} images are smaller than {data.sampling.patch_size} and filled up: {small[0]}")
        )
    return findings


def _smaller(size: tuple[int, ...], data: ImageData) -> bool:
    """Tell whether a patch does not fit into an image."""
    return any(pixels < patch for pixels, patch in zip(size, data.sampling.patch_size, strict=True))


def _intensities(entries: list[Entry]) -> list[Finding]:
    """Ranges before and after normalization; images without contrast or with NaN."""
    findings = []
    for role in ("source", "target"):
        ranges, blank, broken = [], [], []
        for entry in entries:
            raw = getattr(entry, role).read()[entry.time]
            normalized = getattr(entry, f"{role}_scale").apply(raw[:, 0] if len(raw) == 1 and raw.shape[1] == 1 else raw)
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


def _patches(entries: list[Entry], data: ImageData) -> list[Finding]:
    """How many random patches show nothing of the target."""
    patches = data.training_patches(entries)
    targets = [patches[(0, index)]["target"] for index in range(min(PATCHES, len(patches)))]
    typical = np.median([target.std() for target in targets])
    empty = sum(target.std() < 0.1 * typical for target in targets) / len(targets)
    return [
        Finding(
            "ok" if empty < 0.5 else "look", "empty patches", f"{empty:.0%} of {len(targets)} random patches have no contrast in the target"
        )
    ]


def _step(trainer: pl.Trainer, framework: Framework, data: ImageData, entries: list[Entry]) -> list[Finding]:
    """One forward and backward pass of a batch: does it fit, how long, how much memory."""
    framework.to(trainer.strategy.root_device)
    batch = data.batch(entries)
    multiple = framework.multiple(batch["source"][0])
    patch = data.sampling.patch_size
    fits = all(pixels % step == 0 for pixels, step in zip(patch, multiple, strict=True))
    padded = tuple(-(-pixels // step) * step for pixels, step in zip(patch, multiple, strict=True))
    divisible = f"{patch} is a multiple of {multiple}" if fits else f"{patch} is padded to {padded}, the network's multiple of {multiple}"
    cost = step_cost(framework, batch)
    patches = data.sampling.patches_per_image * sum(pair.split == "train" for pair in data.pairs)
    steps = -(-patches // data.sampling.batch_size)
    epochs = trainer.max_epochs or 0
    return [
        Finding("ok" if fits else "look", "patch_size", divisible),
        Finding(
            "ok" if np.isfinite(cost.loss) else "wrong", "one step", f"loss {cost.loss:.3g}, {cost.seconds:.2f} s on {framework.device}"
        ),
        Finding(
            "ok",
            "memory",
            f"about {cost.bytes / 2**30:.3g} GB for a batch of {data.sampling.batch_size}; batch_size and patch_size lower it",
        ),
        Finding("ok", "time", f"about {steps * epochs * cost.seconds / 60:.0f} min for {epochs} epochs of {steps} steps"),
    ]


def _draw(entries: list[Entry], data: ImageData, path: Path) -> None:
    """Draw a few training patches as the network gets them."""
    patches = data.training_patches(entries)
    shown = [patches[(0, int(index))] for index in np.linspace(0, len(entries) - 1, min(PREVIEWS, len(entries)))]
    save_png(path, preview([Pair(sample["source"], sample["target"], sample.get("cost_map"), sample["name"]) for sample in shown]))
