"""Right-to-left scripts: from the order of reading to the order on the line, and back (UAX 9).

    text, in the order of reading       S H A L O M   1 2        capitals stand for Hebrew letters
    line, from left to right            1 2   M O L A H S        numbers run from left to right in it, too

CTC learns symbols in the order in which they stand along the signal, and files hold texts in the order in
which they are read. The rules are those of the Unicode bidirectional algorithm, without explicit marks of
direction: https://www.unicode.org/reports/tr9/. A combining mark stays with the character before it.

A line in which both directions occur may be of either direction. UAX 9 takes that of the first letter; here
the direction is given, since the way back does not know which letter is read first.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple

Direction = Literal["ltr", "rtl"]
DIRECTIONS = ("ltr", "rtl")
MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""invisible marks of direction (Bidi_Control), which stand nowhere on a line"""
FIRST_RIGHT_TO_LEFT = "\u0590"
"""the start of the Hebrew block: all characters before it are read from left to right"""
ATTEMPTS = 8
"""how often the way back is corrected; texts need at most three"""
REMOVED = str.maketrans("", "", MARKS)


class Read(NamedTuple):
    """A character in the order of reading, and the place on the line where it was found."""

    place: int
    text: str


def is_right_to_left(text: str) -> bool:
    """Return whether `text` has letters of a script that is read from right to left."""
    return max(text, default="") >= FIRST_RIGHT_TO_LEFT and any(
        unicodedata.bidirectional(one) in ("R", "AL") for one in text
    )


def direction_of(texts: Iterable[str]) -> Direction | None:
    """Return the direction of lines in which both directions occur; None if nothing is right to left.

    It is the direction of most letters in the texts that have letters of both directions, or that of the
    right-to-left letters if there is no such text.
    """
    found, balance = False, 0
    for text in filter(is_right_to_left, texts):
        found = True
        kinds = [unicodedata.bidirectional(one) for one in text]
        if left := kinds.count("L"):
            balance += kinds.count("R") + kinds.count("AL") - left
    return ("rtl" if balance >= 0 else "ltr") if found else None


def without_marks(text: str) -> str:
    """Return `text` without its invisible marks of direction."""
    return text.translate(REMOVED)


def to_line(text: str, direction: Direction) -> str:
    """Return the characters of `text` from left to right on the line, mirrored where the line mirrors them.

    Args:
        text: in the order of reading, without marks of direction.
        direction: of a line in which both directions occur.
    """
    if not is_right_to_left(text):
        return text
    units = _units(text)
    levels = _levels(units, direction)
    return "".join(_turned(units[place], levels[place]) for place in _reordered(levels))


def from_line(symbols: Sequence[str], direction: Direction) -> list[Read]:
    """Return the characters of a line in the order of reading, each with its place in `symbols`.

    This is the inverse of `to_line`, as far as there is one: of several texts that stand on the line in the
    same way, one is returned. The levels of the text that was found are applied to the line until they give
    that text again.

    Args:
        symbols: the characters from left to right.
        direction: of a line in which both directions occur.
    """
    line = "".join(symbols)
    if not is_right_to_left(line):
        return [Read(place, symbol) for place, symbol in enumerate(symbols)]
    units = _units(line)
    levels = _levels(units, direction)  # by place on the line
    for _ in range(ATTEMPTS):
        order = _reordered(levels, back=True)
        read = [_turned(units[place], levels[place]) for place in order]
        found = _levels(read, direction)
        if [order[place] for place in _reordered(found)] == list(range(len(units))) and all(
            found[at] % 2 == levels[place] % 2 for at, place in enumerate(order)
        ):
            break
        corrected = dict(zip(order, found, strict=True))
        levels = [corrected[place] for place in range(len(units))]
    starts = [0]
    for unit in units:
        starts.append(starts[-1] + len(unit))
    return [
        Read(starts[place] + offset, character)
        for place in order
        for offset, character in enumerate(_turned(units[place], levels[place]))
    ]


def _units(text: str) -> list[str]:
    """Return the characters of `text`, each with the combining marks and joiners that follow it."""
    units: list[str] = []
    for character in text:
        if units and unicodedata.bidirectional(character) in ("NSM", "BN"):
            units[-1] += character
        else:
            units.append(character)
    return units


def _turned(unit: str, level: int) -> str:
    """Return a unit as it looks at an embedding level: brackets are mirrored at odd levels (rule L4)."""
    return _mirrored(unit[0]) + unit[1:] if level % 2 else unit


@lru_cache(maxsize=1024)
def _mirrored(character: str) -> str:
    """Return the character that looks like the mirror image of `character`; itself if there is none."""
    if not unicodedata.mirrored(character):
        return character
    name = unicodedata.name(character, "")
    for one, other in (("LEFT", "RIGHT"), ("LESS-THAN", "GREATER-THAN")):
        halves = [half.replace(other, one) for half in name.split(one)]
        swapped = other.join(halves)
        if swapped != name:
            try:
                return unicodedata.lookup(swapped)
            except KeyError:
                return character
    return character


def _reordered(levels: Sequence[int], back: bool = False) -> list[int]:
    """Return the places of units in the order on the line (rule L2), or `back` in the order of reading."""
    order = list(range(len(levels)))
    depths = range(1, max(levels, default=0) + 1)
    for depth in depths if back else reversed(depths):
        pairs = ((levels[place] >= depth, place) for place in order)
        runs = [(deep, [place for _, place in run]) for deep, run in groupby(pairs, itemgetter(0))]
        order = [place for deep, run in runs for place in (reversed(run) if deep else run)]
    return order


# --- embedding levels


def _levels(units: Sequence[str], direction: Direction) -> list[int]:
    """Return the embedding level of each unit: odd ones are read from right to left."""
    kinds = [unicodedata.bidirectional(unit[0]) or "L" for unit in units]
    left = "L" in kinds
    base = int(direction == "rtl" if left else "R" in kinds or "AL" in kinds)
    own = "RL"[not base]
    whitespace = [kind in ("WS", "S", "B") for kind in kinds]
    separators = [kind in ("S", "B") for kind in kinds]
    kinds = _weak(["ON" if kind in ("NSM", "BN") else kind for kind in kinds], own)
    kinds = _neutral(_bracketed(kinds, units, own), own)
    levels = [
        base + {"L": base % 2, "R": 1 - base % 2}.get(kind, 2 - base % 2) for kind in kinds
    ]  # I1 and I2
    trailing = True  # L1: separators, and white space before them or at the end
    for place in reversed(range(len(units))):
        trailing = separators[place] or (trailing and whitespace[place])
        if trailing:
            levels[place] = base
    return levels


def _weak(kinds: list[str], own: str) -> list[str]:
    """Resolve numbers and the signs beside them: rules W2 to W7."""
    resolved = _with_terminators(_with_separators(kinds, own))
    resolved = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in resolved]  # W6
    strong = own
    for place, kind in enumerate(resolved):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            resolved[place] = "L"  # W7
    return resolved


def _with_separators(kinds: list[str], own: str) -> list[str]:
    """Resolve numbers after Arabic letters and signs within numbers: rules W2 to W4."""
    strong = own
    for place, kind in enumerate(kinds):
        if kind in ("L", "R", "AL"):
            strong = kind
        elif kind == "EN" and strong == "AL":
            kinds[place] = "AN"  # W2
    kinds = ["R" if kind == "AL" else kind for kind in kinds]  # W3
    for place in range(1, len(kinds) - 1):
        before, kind, after = kinds[place - 1 : place + 2]
        if before == after and ((kind in ("ES", "CS") and before == "EN") or (kind, before) == ("CS", "AN")):
            kinds[place] = before  # W4
    return kinds


def _with_terminators(kinds: Sequence[str]) -> list[str]:
    """Resolve signs such as those of currencies beside numbers: rule W5."""
    resolved: list[str] = []
    for kind, group in groupby(kinds):
        run = list(group)
        if kind == "ET":
            end = len(resolved) + len(run)
            beside = (resolved[-1:] == ["EN"]) or kinds[end : end + 1] == ["EN"]
            run = ["EN" if beside else "ET"] * len(run)
        resolved += run
    return resolved


def _strong(kind: str) -> str:
    """Return the direction that a kind has for the neutrals beside it; "" for a neutral."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")


def _bracketed(kinds: list[str], units: Sequence[str], own: str) -> list[str]:
    """Resolve pairs of brackets by what they hold: rule N0."""
    other = "L" if own == "R" else "R"
    for opening, closing in _pairs(kinds, units):
        inside = {_strong(kind) for kind in kinds[opening + 1 : closing]}
        if own in inside:
            kinds[opening] = kinds[closing] = own
        elif other in inside:
            before = next((one for one in map(_strong, reversed(kinds[:opening])) if one), own)
            kinds[opening] = kinds[closing] = before
    return kinds


def _pairs(kinds: Sequence[str], units: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of brackets that belong together, in the order of the opening ones (BD16)."""
    waiting: list[tuple[str, int]] = []
    pairs = []
    for place, unit in enumerate(units):
        category = unicodedata.category(unit[0])
        if kinds[place] != "ON" or not unicodedata.mirrored(unit[0]) or category not in ("Ps", "Pe"):
            continue
        if category == "Ps":
            waiting.append((_mirrored(unit[0]), place))
            continue
        for depth in reversed(range(len(waiting))):
            if waiting[depth][0] == unit[0]:
                pairs.append((waiting[depth][1], place))
                del waiting[depth:]
                break
    return sorted(pairs)


def _neutral(kinds: list[str], own: str) -> list[str]:
    """Resolve everything else by its neighbours: rules N1 and N2."""
    resolved: list[str] = []
    place = 0
    for neutral, group in groupby(kinds, lambda kind: not _strong(kind)):
        run = list(group)
        place += len(run)
        if neutral:
            before = _strong(resolved[-1]) if resolved else own
            after = _strong(kinds[place]) if place < len(kinds) else own
            run = [before if before == after else own] * len(run)
        resolved += run
    return resolved
