"""Print a table of what `copying.py evaluate --json` wrote: python copying_table.py FOLDER.

FOLDER has files CELL-BLANKS.json. The table shows the share of symbols that are repeated correctly at their
steps. The other steps, where the label is nothing, are left out: they are the most, and every network learns
them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def recalled(figures: Mapping[str, Any]) -> float:
    """Return the share of the steps with a symbol at which the model gives that symbol."""
    counts = [entry for entry in figures["confusions"] if entry["reference"]]
    right = sum(entry["count"] for entry in counts if entry["given"] == entry["reference"])
    return right / sum(entry["count"] for entry in counts)


def table(folder: Path) -> str:
    """Return a Markdown table with a row for each cell and a column for each number of blanks."""
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
