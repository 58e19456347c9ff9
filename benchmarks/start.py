"""``--cfg job`` and ``--help``, whole processes, against importing the trainer that they do without."""

import subprocess
import sys

from benchmarks.measure import compare


def run(*arguments: str) -> None:
    """Run Python quietly in a process of its own."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def main() -> None:
    """Compare either with the import."""
    for flags in (["--help"], ["--cfg", "job"]):
        name = f"python -m im2im {' '.join(flags)}"
        compare(name, lambda flags=flags: run("-m", "im2im", *flags), lambda: run("-c", "import pytorch_lightning"), runs=5)


if __name__ == "__main__":
    main()
