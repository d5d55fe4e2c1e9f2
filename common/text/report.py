"""A report to look at: one HTML page with the scores, the confusions and every item, the worst first.

The page holds its images and sounds itself and asks for nothing from elsewhere. Reference and hypothesis
stand above each other, cut into cells where they differ:

    ref   t h [e] q u i c k [ ] b r o w n
    hyp   t h [c] q u i c k [-] b r o w n
"""

import unicodedata
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby, zip_longest
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rapidfuzz.distance import Levenshtein
from tqdm import tqdm

from common.files.aside import written_aside
from common.text.metrics import Edits, ErrorRate
from common.text.rendering import Rendering

CONFUSIONS = 48
"""shown at most"""


@dataclass(frozen=True, slots=True)
class ReportItem:
    """What the page shows of one pair of texts."""

    source: str
    reference: str
    hypothesis: str
    characters: Edits
    rendering: Rendering | None
    """None: the source could not be shown"""
    problem: str = ""
    """why it could not"""


class Cell(NamedTuple):
    """Two pieces of text that stand above each other; `kind` is "equal", "insert", "delete" or "replace"."""

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
    """Write the page, item by item, whole or not at all.

    Args:
        path: the file, usually .html.
        title: of the page.
        rate: what was scored; its items are shown worst first, by errors per reference length, then errors.
        render: shows a source; where it raises ValueError or OSError, the page says why there is no image.
        facts: of the model and the data, e.g. {"model": "best.safetensors", "parameters": "2.1 M"}.

    Raises:
        OSError: if it cannot be written, e.g. for want of space.
    """
    worst_first = sorted(
        rate.items, key=lambda item: (-item.characters.rate, -item.characters.errors, item.source)
    )
    with written_aside(path) as file:
        _write(
            file,
            [HEAD.replace("TITLE", escape(title)), *_summary(rate, facts), *_confusions(rate.confusions)],
        )
        _write(file, _items_begin(rate))
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
        _write(file, [FOOT])


def _write(file: BinaryIO, pieces: Iterable[str]) -> None:
    for piece in pieces:
        # a file name that is not UTF-8 is held in surrogates
        file.write(piece.encode("utf-8", "backslashreplace"))


def aligned(reference: str, hypothesis: str) -> list[list[Cell]]:
    """Return the cells of an alignment with the fewest edits, in groups that end with a space.

    Neighbouring characters of one kind share a cell, so that letters stay joined within it.
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
    """Return `text` with what would not be seen made visible: spaces as ␣, others by their code point.

    A combining mark at the start stands on a dotted circle.
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


HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data:;
  style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark;
  --ground: #f5f5f2; --card: #fff; --ink: #1c1d1f; --soft: #63666b; --line: #dddcd6;
  --delete: #a63a00; --delete-ground: #fde3d3; --insert: #004f87; --insert-ground: #d8eafa;
  --replace: #6d3a86; --replace-ground: #f1e1f7; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #17181a; --card: #212326; --ink: #e9e8e4; --soft: #a2a5aa; --line: #383a3e;
  --delete: #ffb08a; --delete-ground: #57270f; --insert: #9fd0fb; --insert-ground: #0d3a5c;
  --replace: #e2b9f5; --replace-ground: #47245a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 80rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { margin: 0 0 1.25rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0; font-size: .95rem; font-weight: 600; }
section { margin-bottom: 1.75rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem;
  margin-bottom: 1rem; }
.tiles div, article, .two { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.tiles div { padding: .9rem 1.1rem; }
.tiles h2, small, .part, .counts, .rank, .names, th { color: var(--soft); font-weight: 500; }
.tiles b { display: block; font-size: 2.1rem; font-weight: 650; line-height: 1.3; }
.two { display: flex; flex-wrap: wrap; gap: 1rem 3.5rem; padding: .8rem 1.1rem; align-items: start;
  overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .15rem 1.1rem .15rem 0; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; }
.facts td { overflow-wrap: anywhere; }
.edits td, .edits tr:first-child th { text-align: right; white-space: nowrap; }
.confusions { list-style: none; margin: .6rem 0 0; padding: 0; display: grid; gap: .35rem;
  grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.confusions li { display: flex; justify-content: space-between; padding: .1rem .55rem;
  border-radius: .3rem; border: 1px solid var(--line);
  background: linear-gradient(to right, var(--tint) var(--share), var(--card) 0); }
.confusions li span { font-size: 1.05rem; }
.confusions i { font-style: normal; font-variant-numeric: tabular-nums; }
.confusions .delete { --tint: var(--delete-ground); }
.confusions .insert { --tint: var(--insert-ground); }
.confusions .replace { --tint: var(--replace-ground); }
.bar { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem 1.1rem;
  align-items: center; padding: .7rem 0; background: var(--ground); font-size: .9rem; }
#filter { font: inherit; padding: .3rem .6rem; width: 16rem; border: 1px solid var(--line);
  border-radius: .35rem; background: var(--card); color: inherit; }
#count { color: var(--soft); }
.legend { margin-left: auto; display: flex; gap: .5rem; }
article { padding: .8rem 1.1rem .7rem; margin-bottom: .9rem;
  content-visibility: auto; contain-intrinsic-size: auto 13rem; }
article[hidden] { display: none; }
header { display: flex; flex-wrap: wrap; gap: .1rem .8rem; font-size: .85rem; margin-bottom: .5rem;
  align-items: baseline; }
.source { font-weight: 600; overflow-wrap: anywhere; }
.counts { margin-left: auto; }
.cer { font-weight: 650; font-variant-numeric: tabular-nums; min-width: 6.5rem; text-align: right; }
img { display: block; max-width: 100%; max-height: 16rem; border-radius: .25rem; background: #fff; }
audio { display: block; margin-top: .5rem; height: 2.2rem; width: min(100%, 32rem); }
.problem { margin: 0; padding: .4rem .7rem; border: 1px dashed var(--line); border-radius: .3rem;
  font-size: .9rem; color: var(--soft); }
.texts { display: flex; gap: .9rem; margin-top: .45rem; }
.names { flex: none; font-size: .8rem; }
.names span { display: block; line-height: 1.7rem; }
.texts p { margin: 0; flex: 1; min-width: 0; font-size: 1.15rem; }
.word { display: inline-block; margin-bottom: .35rem; vertical-align: top; }
.texts .cell { display: inline-block; vertical-align: top; }
.texts .cell > * { display: block; line-height: 1.7rem; min-height: 1.7rem; overflow-wrap: anywhere; }
.cell.delete, .cell.insert, .cell.replace { border-radius: .25rem; padding: 0 .12rem; margin: 0 1px;
  text-align: center; }
.cell.delete { background: var(--delete-ground); color: var(--delete); }
.cell.delete s { text-decoration-thickness: 2px; }
.cell.insert { background: var(--insert-ground); color: var(--insert); }
.cell.insert u { text-decoration: underline 2px; text-underline-offset: .2em; }
.cell.replace { background: var(--replace-ground); color: var(--replace); }
.cell.replace u { text-decoration: underline wavy 1.5px; text-underline-offset: .2em; }
.empty { color: var(--soft); font-style: italic; }
@media print { .bar { position: static; } article { break-inside: avoid; content-visibility: visible; } }
</style></head><body>
<h1>TITLE</h1>
"""

FOOT = """</section>
<script>
const items = [...document.querySelectorAll("article")];
const [filter, wrong, count] = ["filter", "wrong", "count"].map(id => document.getElementById(id));
function show() {
  const wanted = filter.value.toLowerCase();
  let shown = 0;
  for (const item of items) {
    item.hidden = !item.dataset.text.includes(wanted) || (wrong.checked && item.className === "right");
    shown += !item.hidden;
  }
  count.textContent = shown === items.length ? `${shown}` : `${shown} of ${items.length}`;
}
filter.addEventListener("input", show);
wrong.addEventListener("input", show);
</script></body></html>
"""
