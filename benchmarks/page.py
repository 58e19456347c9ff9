"""docs/benchmarks.md: what was measured, against which bar, and why where one is missed."""

from pathlib import Path

from benchmarks.machine import describe
from benchmarks.measure import Result

HERE = Path(__file__).resolve().parent
FEET = [HERE / "page_scaling.md", HERE / "page_foot.md"]  # written by scaling.py; by hand, what takes another machine or an hour
ROWS = 18
HEAD = """# Benchmarks

Each script of `benchmarks/` runs a peer and this project in turns in one process, and compares the medians; that both computed the same
is checked where they compute the same thing (not in rows 4, 8, 13 to 15 and 18, whose peers are other programs or other steps). Rows 1, 4
and 15 start processes of their own. Row 2 is an image that fits into memory, whole; MONAI's windows are those of its default. In row 5 an
untrained network is compared, whose bfloat16 would be refused by the default tolerance; trained ones differ by .4 to 3 %. The peer of row
15 trains 92 patches an epoch, not 88: per patch the figures are .394 and .652. Row 18 has no time: it is how far the
chosen configuration is from the best one there is. `make bench` runs them all and writes this page; `python
-m benchmarks --only 3,6` does some rows anew. Machines are noisy: only ratios count. CPU seconds of one thread unless a row says
otherwise.

"""


def write(results: list[Result], path: Path) -> None:
    """Write the page; rows without a result are said to have none."""
    facts = "".join(f"- {name}: {value}\n" for name, value in describe().items())
    missing = sorted(set(range(1, ROWS + 1)) - {result.row for result in results})
    lines = [HEAD, facts, "\n| row | hot path | this project | peer | | figure | bar | |\n|---|---|---|---|---|---|---|---|\n"]
    lines += [_line(result) for result in results]
    if missing:
        lines.append(f"\nNot measured yet: rows {', '.join(map(str, missing))}.\n")
    if notes := [f"- Row {result.row}, {result.path}: {result.note}\n" for result in results if not result.reached]:
        lines += ["\n## Bars that are missed\n\n", *notes]
    path.write_text("".join([*lines, *(foot.read_text() for foot in FEET if foot.exists())]))


def _line(result: Result) -> str:
    reached = "reached" if result.reached else "**missed**"
    return (
        f"| {result.row} | {result.path} | {_number(result.ours)} {result.unit} | {_number(result.theirs)} {result.unit} | {result.peer} | "
        f"{result.figure:.3g} | ≤ {result.bar:.3g} | {reached} |\n"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
