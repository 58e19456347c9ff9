"""Beside the rows of the page: ways to compute a prediction on a CPU, each against torch layer by layer in single precision.

With what each changes; OpenVINO where it is installed: ``python -m benchmarks.engines``.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import product

import torch
from torch import Tensor, nn

from benchmarks.measure import Result, medians, report
from benchmarks.networks import fnet, unet
from im2im.inference.acceleration import Acceleration
from im2im.inference.checked import difference
from im2im.networks.layers import fast_layout

CASES: dict[str, tuple[int, Callable[[], nn.Module], tuple[int, ...]]] = {
    "fnet 3D": (18, lambda: fnet(3, 32), (1, 1, 16, 128, 128)),
    "fnet 2D": (19, lambda: fnet(2, 32), (1, 1, 512, 512)),
    "unet 2D": (20, lambda: unet(2), (1, 1, 512, 512)),
}


def ways() -> Iterator[Acceleration]:
    """Give all that can be asked for on this machine, alone and together."""
    engines = [None, "compile", *(["openvino"] if find_spec("openvino") else [])]
    for engine, precision, fold in product(engines, (None, "bf16"), (False, True)):
        if (engine or precision or fold) and not (engine and fold):  # engines fold by themselves
            yield Acceleration(precision, fold, engine)


def main() -> list[Result]:
    """Compare all ways in turns."""
    results = []
    for name, (row, make, shape) in CASES.items():
        image, network, all_ways = torch.randn(shape), fast_layout(make()), list(ways())
        networks = [network, *(way(network, tolerance=10.0) for way in all_ways)]

        def run(network: Callable[[Tensor], Tensor], image: Tensor = image) -> Tensor:
            with torch.no_grad():
                return network(image)

        exact, *found = [run(fast) for fast in networks]
        eager, *times = medians(*(lambda fast=fast: run(fast) for fast in networks), runs=5)
        for way, output, seconds in zip(all_ways, found, times, strict=True):
            asked = way.settings()[0].replace("inference.", "")
            path = f"{name}, {asked}, changes the output by {100 * difference(output, exact):.2g} %"
            results.append(Result(row, path, "torch, layer by layer, single precision", seconds, eager, "CPU s", seconds / eager, 1.0))
    return results


if __name__ == "__main__":
    report(main())
