"""Row 1: ``--help`` and ``--cfg job``, whole processes, against importing the trainer that they do without."""

import re
import subprocess
import sys

from benchmarks.measure import Result, medians, report

BARS = {"--help": 0.7, "--cfg job": 0.5}


def run(*arguments: str) -> str:
    """Run Python quietly in a process of its own; gives what it wrote to stderr."""
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stderr


def main() -> list[Result]:
    """Compare either with the import, after checking that neither imports torch."""
    results = []
    for name, bar in BARS.items():
        flags = ["-m", "im2im", *name.split()]
        assert not re.search(r"\| +torch$", run("-X", "importtime", *flags), re.MULTILINE)
        ours, theirs = medians(lambda flags=flags: run(*flags), lambda: run("-c", "import pytorch_lightning, monai"), runs=5, unit="s")
        results.append(Result(1, f"python -m im2im {name}", "importing Lightning and MONAI", ours, theirs, "s", ours, bar))
    return results


if __name__ == "__main__":
    report(main())
