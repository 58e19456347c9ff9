"""Write the table of groups and options, taken from conf/ and experiments/, into README.md.

``python docs/make_groups.py``
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- groups: made by docs/make_groups.py -->", "<!-- end of groups -->"


def purpose(path: Path) -> str:
    """Give the first comment of a YAML file that is for people."""
    lines = (line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#"))
    return next(line for line in lines if not line.startswith("@package"))


def table() -> str:
    """Make the Markdown table: one row per option."""
    rows = ["| group | option | what it is |", "|---|---|---|"]
    folders = [*sorted(path for path in (ROOT / "conf").iterdir() if path.is_dir()), ROOT / "experiments"]
    for folder in folders:
        group = "experiment" if folder.name == "experiments" else folder.name
        for path in sorted(folder.glob("[!_]*.yaml")):
            rows.append(f"| {group} | `{path.stem}` | {purpose(path)} |".replace("|x|", "| |"))
            group = ""
    return "\n".join(rows)


def page(text: str) -> str:
    """Put the table between its marks."""
    return re.sub(f"{START}.*?{END}", lambda _: f"{START}\n{table()}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(page(readme.read_text()))
