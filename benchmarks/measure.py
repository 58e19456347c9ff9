"""Two ways of doing the same, side by side, interleaved."""

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object], runs: int = 9) -> float:
    """Print the medians of interleaved runs and their ratio, ours / peer; gives the ratio."""
    ours(), peer()
    pairs = [(seconds(ours), seconds(peer)) for _ in range(runs)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name}: {mine * 1e3:.2f} ms, peer {theirs * 1e3:.2f} ms, ratio {mine / theirs:.3f}")
    return mine / theirs
