"""Numbers in sentences."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: "1 line", "12,000 lines"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def first_of(problems: Sequence[str]) -> str:
    """Return the end of a sentence that names the first of some problems, "" if there are none."""
    if len(problems) < 2:
        return "".join(f"; {problem}" for problem in problems)
    return f"; the first of {len(problems):,} problems: {problems[0]}"
