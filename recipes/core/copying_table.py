"""Print what `copying.py evaluate --json` wrote as a table: python copying_table.py FOLDER.

FOLDER has files CELL-BLANKS.json; shown is the share of symbols given back rightly at their steps. The steps
before, where nothing is to be said, are left out: they are most, and every network learns them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def recalled(figures: Mapping[str, Any]) -> float:
    """Return the share of the steps with a symbol at which that symbol was given."""
    counts = [entry for entry in figures["confusions"] if entry["reference"]]
    right = sum(entry["count"] for entry in counts if entry["given"] == entry["reference"])
    return right / sum(entry["count"] for entry in counts)


def table(folder: Path) -> str:
    """Return the table in Markdown: a row for each cell, a column for each number of blanks."""
    shares = {}
    for path in folder.glob("*-*.json"):
        cell, _, blanks = path.stem.rpartition("-")
        shares[cell, int(blanks)] = recalled(json.loads(path.read_text(encoding="utf-8")))
    if not shares:
        raise ValueError(f"{folder}: has no CELL-BLANKS.json; evaluate with --json first")
    lengths = sorted({blanks for _, blanks in shares})
    lines = ["| cell | " + " | ".join(f"T = {blanks}" for blanks in lengths) + " |"]
    lines.append("| --- |" + " ---: |" * len(lengths))
    for cell in dict.fromkeys(cell for cell, _ in sorted(shares)):
        row = [f"{100 * shares[cell, one]:.1f} %" if (cell, one) in shares else "-" for one in lengths]
        lines.append(f"| {cell} | " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
