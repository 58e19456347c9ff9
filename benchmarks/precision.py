"""Row 5: fnet on a CPU in bfloat16 as ``inference.precision=bf16`` computes it, against torch as it comes in single precision."""

import torch
from torch import Tensor

from benchmarks.measure import Result, medians, report
from benchmarks.networks import fnet
from im2im.inference.precision import Reduced, difference
from im2im.networks.layers import fast_layout

CASES = {3: ((1, 1, 16, 128, 128), 2.5), 2: ((1, 1, 512, 512), 2.0)}


def main() -> list[Result]:
    """Compare in 3D and 2D; our own single precision is faster than torch's as it comes, and is given as well."""
    results = []
    for spatial_dims, (shape, bar) in CASES.items():
        image, plain, ours = torch.randn(shape), fnet(spatial_dims, 32), fast_layout(fnet(spatial_dims, 32))
        reduced = Reduced(ours, "bf16", 1.0, torch.device("cpu"))

        def run(network: object, image: Tensor = image) -> Tensor:
            with torch.no_grad():
                return network(image)  # type: ignore[operator, no-any-return]

        changed = difference(run(reduced), run(plain))
        assert difference(run(ours), run(plain)) < 1e-4
        mine, single, theirs = medians(lambda: run(reduced), lambda: run(ours), lambda: run(plain), runs=5)  # noqa: B023
        name = f"fnet {spatial_dims}D in bfloat16, changes the output by {100 * changed:.2g} %"
        results.append(Result(5, name, "torch, single precision", mine, theirs, "CPU s", mine / theirs, 1 / bar))
        results.append(
            Result(5, f"fnet {spatial_dims}D in single precision", "torch, single precision", single, theirs, "CPU s", single / theirs, 1.0)
        )
    return results


if __name__ == "__main__":
    report(main())
