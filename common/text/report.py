"""The report: one HTML page with the error rates, the confusions and every item, the worst first.

The page contains its images and sounds and loads nothing from elsewhere. Its style and script are in
report.css and report.js. Reference and hypothesis are one above the other, in cells where they differ:

    ref   t h [e] q u i c k [ ] b r o w n
    hyp   t h [c] q u i c k [-] b r o w n
"""

import unicodedata
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby, zip_longest
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rapidfuzz.distance import Levenshtein
from tqdm import tqdm

from common.files.aside import written_aside
from common.text.metrics import Edits, ErrorRate
from common.text.rendering import Rendering

CONFUSIONS = 48
"""confusions that the page shows at most"""
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data:;
  style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
{style}</style></head><body>
<h1>{title}</h1>
"""
FOOT = """</section>
<script>
{script}</script></body></html>
"""


@dataclass(frozen=True, slots=True)
class ReportItem:
    """What the page shows of one pair of texts."""

    source: str
    reference: str
    hypothesis: str
    characters: Edits
    rendering: Rendering | None
    """None: the source could not be rendered"""
    problem: str = ""
    """why it could not be rendered"""


class Cell(NamedTuple):
    """Two pieces of text, one above the other; `kind` is "equal", "insert", "delete" or "replace"."""

    kind: str
    reference: str
    hypothesis: str


def write_report(
    path: str | Path,
    title: str,
    rate: ErrorRate,
    render: Callable[[str], Rendering],
    facts: Mapping[str, str],
) -> None:
    """Write the page item by item. A file that is at `path` already is replaced once the page is complete.

    Args:
        path: the file, usually .html.
        title: of the page.
        rate: the scored items; they are sorted by errors / length of the reference, then by errors.
        render: returns the image and sound of a source. If it raises ValueError or OSError, the page shows
            the message instead.
        facts: names and values that the page shows, such as {"model": "best.safetensors"}.

    Raises:
        OSError: the file cannot be written, for example because the disk is full.
    """
    worst_first = sorted(
        rate.items, key=lambda item: (-item.characters.rate, -item.characters.errors, item.source)
    )
    with written_aside(path) as file:
        _write(
            file,
            [
                HEAD.format(title=escape(title), style=_asset("report.css")),
                *_summary(rate, facts),
                *_confusions(rate.confusions),
                *_items_begin(rate),
            ],
        )
        for number, item in enumerate(tqdm(worst_first, desc="report", unit=" items", disable=None), 1):
            rendering, problem = None, ""
            try:
                rendering = render(item.source)
            except (ValueError, OSError) as error:
                problem = str(error)
            shown = ReportItem(
                item.source, item.reference, item.hypothesis, item.characters, rendering, problem
            )
            _write(file, _item(number, shown))
        _write(file, [FOOT.format(script=_asset("report.js"))])


def _asset(name: str) -> str:
    """Return the content of a text file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _write(file: BinaryIO, pieces: Iterable[str]) -> None:
    for piece in pieces:
        # backslashreplace: Python holds a file name that is not UTF-8 in surrogates
        file.write(piece.encode("utf-8", "backslashreplace"))


def aligned(reference: str, hypothesis: str) -> list[list[Cell]]:
    """Return the cells of an alignment with the fewest edits, in groups that end after each space.

    Neighbouring characters of one kind share a cell, so that joined letters (as in Arabic) stay joined; only
    substituted characters have a cell each.
    """
    pairs: list[Cell] = []
    for code in Levenshtein.opcodes(reference, hypothesis):
        pieces = reference[code.src_start : code.src_end], hypothesis[code.dest_start : code.dest_end]
        pairs.extend(Cell(code.tag, above, below) for above, below in zip_longest(*pieces, fillvalue=""))
    groups: list[list[Cell]] = [[]]
    for pair in pairs:
        groups[-1].append(pair)
        if pair.reference == " " or pair.hypothesis == " ":
            groups.append([])
    return [list(_joined(group)) for group in groups if group]


def _joined(group: list[Cell]) -> Iterator[Cell]:
    for kind, run in groupby(group, key=lambda cell: cell.kind):
        cells = list(run)
        if kind == "replace":
            yield from cells
        else:
            above, below = (cell.reference for cell in cells), (cell.hypothesis for cell in cells)
            yield Cell(kind, "".join(above), "".join(below))


def visible(text: str) -> str:
    """Return `text` with its invisible characters replaced: a space by ␣, others by their code point.

    A combining mark at the start is put on a dotted circle.
    """
    shown = "".join(
        "␣" if character == " " else character if character.isprintable() else f"⟨U+{ord(character):04X}⟩"
        for character in text
    )
    return f"◌{shown}" if shown and unicodedata.combining(shown[0]) else shown


def _summary(rate: ErrorRate, facts: Mapping[str, str]) -> Iterator[str]:
    yield '<section class="tiles">'
    for name, value, bounds in (
        ("Character error rate", rate.cer, rate.interval("cer")),
        ("Word error rate", rate.wer, rate.interval("wer")),
    ):
        between = (
            f"95 % interval {_percent(bounds[0])} to {_percent(bounds[1])}" if rate.count else "no texts"
        )
        yield f"<div><h2>{name}</h2><b>{_percent(value)}</b><small>{between}</small></div>"
    share = rate.sentences_wrong / rate.count if rate.count else 0.0
    yield (
        f"<div><h2>Texts with an error</h2><b>{_percent(share)}</b>"
        f"<small>{_number(rate.sentences_wrong)} of {_number(rate.count)}</small></div></section>\n"
    )
    yield (
        '<section class="two"><table class="edits"><tr><th></th><th>errors</th><th>inserted</th>'
        "<th>deleted</th><th>substituted</th><th>of</th></tr>"
    )
    for name, edits in (("characters", rate.characters), ("words", rate.words)):
        counts = (edits.errors, edits.insertions, edits.deletions, edits.substitutions, edits.reference)
        yield f"<tr><th>{name}</th>{''.join(f'<td>{_number(count)}</td>' for count in counts)}</tr>"
    yield '</table><table class="facts">'
    for name, fact in facts.items():
        yield f"<tr><th>{escape(name)}</th><td>{escape(fact)}</td></tr>"
    yield "</table></section>\n"


def _confusions(confusions: Counter[tuple[str, str]]) -> Iterator[str]:
    if not confusions:
        return
    shown = confusions.most_common(CONFUSIONS)
    most, total = shown[0][1], len(confusions)
    part = f", the {len(shown)} most frequent of {_number(total)}" if total > len(shown) else ""
    yield f'<section><h2>Confusions<span class="part">{part}</span></h2><ol class="confusions">'
    for (reference, hypothesis), count in shown:
        kind = "replace" if reference and hypothesis else "delete" if reference else "insert"
        named = " → ".join(_name(character) for character in (reference, hypothesis))
        above, below = (escape(visible(character)) or "∅" for character in (reference, hypothesis))
        yield (
            f'<li class="{kind}" style="--share:{100 * count / most:.1f}%" title="{escape(named)}">'
            f"<span><bdi>{above}</bdi> → <bdi>{below}</bdi></span>"
            f"<i>{_number(count)}</i></li>"
        )
    yield "</ol></section>\n"


def _name(character: str) -> str:
    if not character:
        return "nothing"
    return f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"


def _items_begin(rate: ErrorRate) -> Iterator[str]:
    yield (
        f'<section id="items"><div class="bar"><h2>Items, worst first</h2>'
        '<input id="filter" type="search" placeholder="filter by text or file" aria-label="filter">'
        '<label><input id="wrong" type="checkbox"> only those with errors</label>'
        f'<output id="count">{_number(rate.count)}</output>'
        '<span class="legend"><span class="cell delete"><s>deleted</s></span>'
        '<span class="cell insert"><u>inserted</u></span><span class="cell replace"><u>substituted</u></span>'
        "</span></div>\n"
    )


def _item(number: int, item: ReportItem) -> Iterator[str]:
    edits = item.characters
    searched = escape(f"{item.source}\n{item.reference}\n{item.hypothesis}".lower())
    wrong = "wrong" if edits.errors else "right"
    yield (
        f'<article class="{wrong}" data-text="{searched}"><header><span class="rank">{number}</span>'
        f'<span class="source">{escape(item.source)}</span><span class="counts">{_counts(edits)}</span>'
        f'<span class="cer">CER {_percent(edits.rate)}</span></header>'
    )
    if item.rendering is None:
        yield f'<p class="problem">not shown: {escape(item.problem)}</p>'
    else:
        yield f'<img alt="" loading="lazy" decoding="async" src="{_data("image/png", item.rendering.png)}">'
        if item.rendering.mp3 is not None:
            yield f'<audio controls preload="none" src="{_data("audio/mpeg", item.rendering.mp3)}"></audio>'
    yield '<div class="texts"><div class="names"><span>ref</span><span>hyp</span></div><p dir="auto">'
    for group in aligned(item.reference, item.hypothesis):
        yield f'<span class="word">{"".join(_cell(cell) for cell in group)}</span>'
    if not item.reference and not item.hypothesis:
        yield '<span class="empty">both empty</span>'
    yield "</p></div></article>\n"


def _cell(cell: Cell) -> str:
    if cell.kind == "equal":
        same = escape(cell.reference).replace(" ", "&nbsp;")
        return f'<span class="cell"><span>{same}</span><span>{same}</span></span>'
    above, below = escape(visible(cell.reference)), escape(visible(cell.hypothesis))
    above = f"<s>{above}</s>" if cell.kind == "delete" else f"<span>{above or '&nbsp;'}</span>"
    below = f"<u>{below}</u>" if below else "<span>&nbsp;</span>"
    return f'<span class="cell {cell.kind}">{above}{below}</span>'


def _counts(edits: Edits) -> str:
    parts = (
        (edits.substitutions, "substituted"),
        (edits.deletions, "deleted"),
        (edits.insertions, "inserted"),
    )
    said = [f"{_number(count)} {name}" for count, name in parts if count]
    return f"{', '.join(said) or 'no errors'} of {_number(edits.reference)} characters"


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %" if rate < float("inf") else "∞"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
