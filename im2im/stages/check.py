"""A look at data, network and memory before a day is spent."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from rich.console import Console
from rich.progress import track
from rich.table import Table

from im2im.callbacks.progress import epochs_wanted
from im2im.data.datamodule import ImageData
from im2im.data.fitting import fitted
from im2im.data.index import Entry
from im2im.files import replacing
from im2im.frameworks.base import Framework
from im2im.io.pair import SPLITS
from im2im.rehearsal.rehearse import rehearse
from im2im.report.figures import Row, preview, save_png
from im2im.report.notation import amount, duration
from im2im.stages.cost import step_cost
from im2im.stages.epochs import epoch_of, inspect_last_batch, inspect_steps, steps_within
from im2im.stages.findings import Finding, contrast, intensities, shapes
from im2im.stages.inspection import inspect_labels, inspect_splits, some

log = logging.getLogger(__name__)

MARKS = {"ok": "[green]ok[/]", "look": "[yellow]look[/]", "wrong": "[red]wrong[/]"}
PREVIEWS = 4


def check(trainer: pl.Trainer, framework: Framework, data: ImageData, folder: str) -> list[Finding]:
    """Look at every pair, train one step and validate; write check.json and, where nothing is wrong with the images, check.png.

    Args:
        trainer: Its device is used.
        framework: Copies of it are trained.
        data: Every pair is opened and read.
        folder: Of the results.

    Returns:
        What was found.

    Raises:
        ValueError: If anything is wrong; all findings are written and shown first.
    """
    by_split, findings = _open_all(data)
    if not (data.paired or framework.unpaired):
        findings.append(Finding("wrong", "pairs", "this framework learns from pairs, got images that are none; set framework=cyclegan"))
    entries = [entry for opened in by_split.values() for entry in opened]
    if entries:
        findings += [*shapes(entries, data), *intensities(entries, data), *inspect_splits(by_split, data)]
        findings += inspect_labels([entry for opened in by_split.values() for entry in some(opened)], data, framework.task)
    if not _wrong(findings):
        findings += [*contrast(entries, data), *_step(trainer, framework, data, by_split)]
        _draw(entries, data, Path(folder) / "check.png")
    with replacing(Path(folder) / "check.json") as path:
        path.write_text(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    _show(findings)
    if wrong := _wrong(findings):
        raise ValueError(f"{len(wrong)} of {len(findings)} checks failed; the first: {wrong[0].about}: {wrong[0].seen}")
    return findings


def _wrong(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.verdict == "wrong"]


def _show(findings: list[Finding]) -> None:
    """Print the findings as a table."""
    table = Table("", "what", "seen", title="check")
    for finding in findings:
        table.add_row(MARKS[finding.verdict], finding.about, finding.seen)
    Console().print(table)


def _open_all(data: ImageData) -> tuple[dict[str, list[Entry]], list[Finding]]:
    """Open and fit every pair, by split; what cannot be read is named and the rest goes on."""
    entries: dict[str, list[Entry]] = {name: [] for name in SPLITS}
    findings = []
    store = data.images.shortcuts.store
    store.freeze()
    for pair in track(data.pairs, "reading", transient=True):
        try:
            opened = list(data.open(pair))
            entries[str(pair.split)] += fitted(opened, data.source, data.target, keep=False, workers=1, store=store)
        except (ValueError, OSError) as error:
            findings.append(Finding("wrong", "reading", str(error)))
    counts = {name: sum(pair.split == name for pair in data.pairs) for name in SPLITS}
    seen = ", ".join(f"{count} {name}" for name, count in counts.items())
    findings.insert(0, Finding("ok" if all(counts.values()) else "look", "pairs", seen))
    if groups := {pair.group for pair in data.pairs if pair.group}:
        findings.insert(1, Finding("ok", "groups", f"{len(groups)}, none is cut in two"))
    return entries, findings


def _step(trainer: pl.Trainer, framework: Framework, data: ImageData, by_split: dict[str, list[Entry]]) -> list[Finding]:
    """Train a copy on a whole batch and on the last one of an epoch, and validate it: does that fit, how long, how much memory."""
    framework.to(trainer.strategy.root_device)
    patch, watch, accumulate = data.sampling.patch_size, _Metrics(), framework.optimization.accumulate
    training = by_split["train"] or [entry for opened in by_split.values() for entry in opened]
    patches = len(data.training_patches(training))
    try:
        batch = data.batch(training)
        size = framework.size(batch["source"][0], framework.network)
        cost = step_cost(framework, batch)
        last = inspect_last_batch(trainer, framework, data, training, patches)
        if _wrong(last):
            return last
        epoch = epoch_of(trainer, data, patches)
        rehearse(trainer, framework, [batch, data.batch(training, epoch.smallest)], watch, validation=[batch])
    except (ValueError, RuntimeError) as error:
        return [Finding("wrong", "one step", " ".join(str(error).split()))]
    padded, multiple = size.fitting(patch), size.multiple
    fits = padded == tuple(patch)
    divisible = f"{patch} is a multiple of {multiple}" if fits else f"{patch} is padded to {padded}, the network's multiple of {multiple}"
    seen = f"loss {cost.loss:.3g}, {cost.seconds:.2f} s on {framework.device}"
    memory = f"about {cost.bytes / 2**30:.3g} GB for a batch of {data.sampling.batch_size}; batch_size and patch_size lower it"
    return [
        Finding("ok" if fits else "look", "patch_size", divisible),
        Finding("ok" if np.isfinite(cost.loss) else "wrong", "one step", seen),
        Finding("ok", "validation", f"{watch.told} of one batch after a step"),
        *last,
        Finding("ok", "memory", memory),
        _time(trainer, cost.seconds * accumulate, -(-epoch.batches // accumulate)),
        *inspect_steps(trainer, framework, data, patches, cost.seconds),
    ]


class _Metrics(pl.Callback):
    """Remembers the validation."""

    told = "nothing"

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = [f"{name} {float(value):.3g}" for name, value in trainer.callback_metrics.items() if name.startswith("val/")]
        self.told = ", ".join(figures[:3])


def _time(trainer: pl.Trainer, seconds: float, steps: int) -> Finding:
    """Estimate the training, or one epoch where their number is open, and the steps that fit into ``max_time``, from the time of a step.

    Args:
        trainer: Of the training to come.
        seconds: Of a step.
        steps: Of an epoch.
    """
    epochs, fit = epochs_wanted(trainer), steps_within(trainer, seconds)
    told = amount(epochs, "epoch") if epochs is not None else "each epoch"
    seen = f"about {duration(seconds * steps * (epochs or 1))} for {told} of {amount(steps, 'step')}"
    if fit is not None and (epochs is None or fit < steps * epochs):
        seen += f"; max_time leaves time for about {amount(fit, 'step')}"
    return Finding("ok", "time", seen)


def _draw(entries: list[Entry], data: ImageData, path: Path) -> None:
    """Draw a few training patches as the network gets them."""
    patches = data.training_patches(entries)
    shown = [patches[(0, int(index))] for index in np.linspace(0, len(entries) - 1, min(PREVIEWS, len(entries)))]
    save_png(
        path,
        preview(
            [Row(sample["source"], sample["target"], sample.get("cost_map"), sample["name"]) for sample in shown],
            entries[0].source.pixel_size,
        ),
    )
    log.info("preview: %s", path)
