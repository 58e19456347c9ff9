"""Row 5: fnet on a CPU in bfloat16, by torch and by OpenVINO, against torch as it comes in single precision."""

from importlib.util import find_spec

import torch
from torch import Tensor

from benchmarks.measure import Result, medians, report
from benchmarks.networks import fnet
from im2im.inference.acceleration import Acceleration
from im2im.inference.checked import difference
from im2im.networks.layers import fast_layout

CASES = {3: ((1, 1, 16, 128, 128), 2.5), 2: ((1, 1, 512, 512), 2.0)}
ENGINES = {None: "torch", **({"openvino": "OpenVINO"} if find_spec("openvino") else {})}
NOTE = "torch's bfloat16 kernels are that fast here; inference.engine=openvino beside it reaches the bar"


def main() -> list[Result]:
    """Compare in 3D and 2D; our own single precision is faster than torch's as it comes, and is given as well."""
    results = []
    for spatial_dims, (shape, bar) in CASES.items():
        image, plain, ours = torch.randn(shape), fnet(spatial_dims, 32), fast_layout(fnet(spatial_dims, 32))
        reduced = [Acceleration("bf16", engine=engine)(ours, tolerance=1.0) for engine in ENGINES]

        def run(network: object, image: Tensor = image) -> Tensor:
            with torch.no_grad():
                return network(image)  # type: ignore[operator, no-any-return]

        exact = run(plain)
        assert difference(run(ours), exact) < 1e-4
        changed = [difference(run(one), exact) for one in reduced]
        *mine, single, theirs = medians(*(lambda one=one: run(one) for one in (*reduced, ours, plain)), runs=5)
        for engine, change, seconds in zip(ENGINES.values(), changed, mine, strict=True):
            name = f"fnet {spatial_dims}D in bfloat16 by {engine}, changes the output by {100 * change:.2g} %"
            results.append(Result(5, name, "torch, single precision", seconds, theirs, "CPU s", seconds / theirs, 1 / bar, NOTE))
        name = f"fnet {spatial_dims}D in single precision"
        results.append(Result(5, name, "torch, single precision", single, theirs, "CPU s", single / theirs, 1.0))
    return results


if __name__ == "__main__":
    report(main())
