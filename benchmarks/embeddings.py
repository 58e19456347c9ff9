"""Rows 10 to 12: instances by embeddings, against straightforward implementations of the published algorithms over whole images.

Peers are written from Neven et al. (CVPR 2019) and Lalit et al. (2022): one pass over all pixels for each object.
"""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import Result, medians, report
from im2im.clustering import Clustering
from im2im.losses.centres import centres_of_pixels
from im2im.losses.embedding import EmbeddingLoss

EXTENT = 1024.0


def balls(shape: tuple[int, ...], count: int, radius: int) -> np.ndarray:
    """Draw objects on a grid, all of one radius, numbered from 1."""
    step = int((math.prod(shape) / count) ** (1 / len(shape)))
    offsets = [np.arange(length) % step - step // 2 for length in shape]
    cells = [np.arange(length) // step for length in shape]
    numbers = np.ravel_multi_index(np.meshgrid(*cells, indexing="ij"), [int(cell[-1]) + 1 for cell in cells])
    inside = sum(np.square(grid) for grid in np.meshgrid(*offsets, indexing="ij")) <= radius**2
    return np.where(inside & (numbers < count), numbers + 1, 0).astype(np.int32)


def grid(shape: tuple[int, ...]) -> Tensor:
    """Give the place of every pixel, N(Z)YX."""
    return torch.stack(torch.meshgrid(*[torch.arange(length) / EXTENT for length in shape], indexing="ij"))


def output_for(labels: np.ndarray, radius: int) -> np.ndarray:
    """Let pixels point to their centroids, not quite, with seeds that fall with the distance."""
    rng, axes = np.random.default_rng(0), labels.ndim
    places, count = np.indices(labels.shape).reshape(axes, -1) / EXTENT, int(labels.max())
    flat = labels.ravel()
    sizes = np.bincount(flat, minlength=count + 1)
    centres = np.stack([np.bincount(flat, place, minlength=count + 1) / sizes for place in places])[:, flat]
    away = centres - places
    offsets = np.where(flat > 0, away + rng.normal(0, 1 / EXTENT, away.shape), 0)
    sigma = np.full((axes, flat.size), math.log(math.log(2) / (radius / EXTENT) ** 2) / 10)
    seed = np.where(flat > 0, 1 - 0.4 * np.sqrt((away**2).sum(0)) * EXTENT / radius - 0.01 * rng.random(flat.size), 0.05)
    return np.concatenate([offsets, sigma, seed[None]]).astype(np.float32).reshape(-1, *labels.shape)


def cluster_by_pixel(output: np.ndarray, min_size: int) -> np.ndarray:
    """Cluster as published: the highest seed proposes, all foreground pixels are looked at, again and again."""
    axes = output.ndim - 1
    tensor = torch.from_numpy(output)
    embeddings = (tensor[:axes] + grid(output.shape[1:])).flatten(1)
    sigmas, seeds = tensor[axes:-1].flatten(1), tensor[-1].flatten()
    foreground = (seeds > 0.5).nonzero().squeeze(1)
    embeddings, sigmas, seeds = embeddings[:, foreground], sigmas[:, foreground], seeds[foreground]
    unclustered, found, last = torch.ones(len(seeds), dtype=torch.bool), torch.zeros(len(seeds), dtype=torch.int32), 0
    while unclustered.sum() > min_size / 2:
        best = int((seeds * unclustered).argmax())
        if seeds[best] < 0.5 or not unclustered[best]:
            break
        distances = torch.exp(10 * sigmas[:, best, None]) * (embeddings - embeddings[:, best, None]).square()
        proposed = torch.exp(-distances.sum(0)) > 0.5
        accepted = proposed.sum() > min_size and 2 * unclustered[proposed].sum() > proposed.sum()
        unclustered &= ~proposed
        if accepted:
            last += 1
            found[proposed & (found == 0)] = last
    labels = torch.zeros(output[0].size, dtype=torch.int32)
    labels[foreground] = found
    return labels.reshape(output.shape[1:]).numpy()


def clustering() -> list[Result]:
    """Compare in 2D and 3D, after checking that both find the same objects."""
    results = []
    for name, shape, count, radius, bar in (
        ("1024², 800 objects", (1024, 1024), 800, 14, 50),
        ("3D, 300 objects", (32, 256, 256), 300, 8, 30),
    ):
        output = output_for(balls(shape, count, radius), radius)
        ours = Clustering((1.0,) * len(shape), EXTENT, min_size=32)
        found = ours(output)
        assert np.array_equal(found, cluster_by_pixel(output, 32))
        assert found.max() == count
        mine, theirs = medians(lambda output=output, ours=ours: ours(output), lambda output=output: cluster_by_pixel(output, 32), runs=1)
        results.append(Result(10, f"EmbedSeg clustering, {name}", "object by object", mine, theirs, "CPU s", mine / theirs, 1 / bar))
    return results


def lovasz_hinge(logits: Tensor, truth: Tensor) -> Tensor:
    """Give the Lovász hinge of one object over all pixels (Berman et al., 2018)."""
    errors, order = (1 - logits * (2.0 * truth - 1)).sort(descending=True)
    sorted_truth = truth[order].float()
    jaccard = 1 - (sorted_truth.sum() - sorted_truth.cumsum(0)) / (sorted_truth.sum() + (1 - sorted_truth).cumsum(0))
    return (errors.relu() * torch.cat((jaccard[:1], jaccard[1:] - jaccard[:-1]))).sum()


def loss_by_object(raw: Tensor, labels: Tensor, weight: float = 10.0) -> Tensor:
    """Give the published loss of one sample: every object against all pixels."""
    axes = labels.ndim
    places, total, variance = grid(tuple(labels.shape)), raw.new_zeros(()), raw.new_zeros(())
    embeddings, sigmas, seed = raw[:axes].tanh() + places, raw[axes:-1], raw[-1].sigmoid()
    seeds, numbers = seed[labels == 0].square().sum(), [number for number in labels.unique().tolist() if number]
    for number in numbers:
        mask = labels == number
        centre, sigma = places[:, mask].mean(dim=1), sigmas[:, mask].mean(dim=1)
        squared = (embeddings - centre.reshape(-1, *[1] * axes)).square()
        phi = torch.exp(-(torch.exp(10 * sigma).reshape(-1, *[1] * axes) * squared).sum(0))
        total = total + lovasz_hinge((2 * phi - 1).flatten(), mask.flatten())
        variance = variance + (sigmas[:, mask] - sigma.detach()[:, None]).square().mean()
        seeds = seeds + weight * (seed[mask] - phi.detach()[mask]).square().sum()
    return total / len(numbers) + 10 * variance / len(numbers) + seeds / labels.numel()


def backward(loss: object, raw: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Give value and gradient."""
    raw = raw.clone().requires_grad_()
    value = loss(raw, labels)  # type: ignore[operator]
    value.backward()
    return value.detach(), raw.grad  # type: ignore[return-value]


def raw_for_loss(labels: np.ndarray) -> Tensor:
    """Give an untrained network's output."""
    raw = torch.randn(2 * labels.ndim + 1, *labels.shape, generator=torch.Generator().manual_seed(0))
    raw[: labels.ndim] *= 0.003
    raw[labels.ndim : -1] = 1 + 0.05 * raw[labels.ndim : -1]
    return raw


def losses() -> list[Result]:
    """Compare value, gradient, time and memory on 512² with 150 objects."""
    labels = balls((512, 512), 150, 16)
    raw, numbers, loss = raw_for_loss(labels), torch.from_numpy(labels), EmbeddingLoss((1.0, 1.0), EXTENT, centre="centroid")

    def ours(raw: Tensor, numbers: Tensor) -> Tensor:
        return loss(raw[None], numbers[None, None])

    (value, gradient), (expected, slope) = backward(ours, raw, numbers), backward(loss_by_object, raw, numbers)
    assert abs(value - expected) < 1e-6 * max(1, abs(expected))
    assert (gradient - slope).abs().max() < 5e-4
    mine, theirs = medians(lambda: backward(ours, raw, numbers), lambda: backward(loss_by_object, raw, numbers), runs=3)
    megabytes = [peak_memory(which) for which in ("ours", "theirs")]
    return [
        Result(11, "EmbedSeg loss and gradient, 512², 150 objects", "object by object", mine, theirs, "CPU s", mine / theirs, 0.1),
        Result(11, "the same, peak memory", "object by object", *megabytes, "MB", megabytes[0] / megabytes[1], 0.1),
    ]


def peak_memory(which: str) -> float:
    """Measure in a process of its own by how many MB the loss raises its peak memory."""
    code = f"from benchmarks.embeddings import measure_peak; print(measure_peak({which!r}))"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def measure_peak(which: str) -> float:
    """Do so in this process: once on a small image for what is compiled, then on the real one."""
    loss = EmbeddingLoss((1.0, 1.0), EXTENT, centre="centroid")
    of = {"ours": lambda raw, numbers: loss(raw[None], numbers[None, None]), "theirs": loss_by_object}[which]
    backward(of, *sample(64, 4))
    raw, labels = sample(512, 150)
    before = memory("VmRSS")
    backward(of, raw, labels)
    return (memory("VmHWM") - before) / 1e3


def sample(size: int, count: int) -> tuple[Tensor, Tensor]:
    """Give an untrained output and the objects of a plane."""
    labels = balls((size, size), count, 10)
    return raw_for_loss(labels), torch.from_numpy(labels)


def memory(which: str) -> int:
    """Read what the system says of this process, in kB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[which].split()[0])


def nearest_to_centroid(labels: Tensor) -> Tensor:
    """Take the pixel of each object that is nearest to its centroid, one mask of the whole image at a time."""
    places = grid(tuple(labels.shape)).double()
    found = []
    for number in range(1, int(labels.max()) + 1):
        pixels = places[:, labels == number].T
        found.append(pixels[(pixels - pixels.mean(0)).norm(dim=1).float().argmin()])
    return torch.stack(found)


def centres() -> list[Result]:
    """Compare the centres that training uses by default on 1024² with 400 objects."""
    labels = torch.from_numpy(np.unique(balls((1024, 1024), 400, 20), return_inverse=True)[1].reshape(1024, 1024))
    count = int(labels.max())
    places = grid((1024, 1024)).double()

    def ours() -> Tensor:
        foreground = (labels.flatten() > 0).nonzero().squeeze(1)
        return centres_of_pixels(places.flatten(1)[:, foreground], labels.flatten()[foreground].long() - 1, count, "approximate_medoid")

    assert torch.allclose(ours(), nearest_to_centroid(labels))
    mine, theirs = medians(ours, lambda: nearest_to_centroid(labels), runs=5)
    return [Result(12, f"centres, 1024², {count} objects", "object by object", mine, theirs, "CPU s", mine / theirs, 1 / 25)]


def main() -> list[Result]:
    """Run all three rows."""
    return clustering() + losses() + centres()


if __name__ == "__main__":
    report(main())
