"""Run every row and write docs/benchmarks.md: ``python -m benchmarks [--only 3,6]``, each script in a process of its own, one thread."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Result
from benchmarks.page import ROWS, write

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks" / "results.json"  # the last figures of every row
SCRIPTS = {
    "start": [1],
    "tiles": [2, 3],
    "memory": [4],
    "precision": [5],
    "items": [6, 7],
    "listing": [8],
    "training": [9],
    "embeddings": [10, 11, 12],
    "adversaries": [13, 14],
    "epoch": [15],
    "scores": [16, 17],
    "search": [18],
}


def run(script: str) -> list[Result]:
    """Run one script; gives what it measured."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", f"benchmarks.{script}", "--json", str(path)], check=True, cwd=ROOT, env=environment)
        return [Result(**row) for row in json.loads(path.read_text())] if path.exists() else []


def main() -> None:
    """Run the rows that were asked for, all by default, and write the page of all that are known."""
    rows = {int(row) for row in sys.argv[sys.argv.index("--only") + 1].split(",")} if "--only" in sys.argv else set(range(1, ROWS + 1))
    kept = [Result(**row) for row in json.loads(KEPT.read_text())] if KEPT.exists() else []
    for script, theirs in SCRIPTS.items():
        if rows & set(theirs) and (ROOT / "benchmarks" / f"{script}.py").exists():
            measured = run(script)
            again = {result.row for result in measured}
            kept = sorted([result for result in kept if result.row not in again] + measured, key=lambda result: result.row)
    if "--only" not in sys.argv:
        subprocess.run([sys.executable, "-m", "benchmarks.scaling"], check=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    KEPT.write_text(json.dumps([vars(result) for result in kept], indent=1, ensure_ascii=False) + "\n")
    write(kept, ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
