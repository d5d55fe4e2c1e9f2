"""An HTML page that shows pages with their lines, coloured by their errors, beside the texts."""

import base64
import html
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from common.files.aside import written_aside
from common.text.document import Document, Point
from ocr.comparison.scores import Group, PageScore
from ocr.signal import read_page_image

WIDEST_PX = 1200
"""pages are shown at most so wide"""
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; padding: 0 1em }
.page { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 1em; margin: 2em 0 }
.page svg { width: 100%; height: auto; position: sticky; top: 0; max-height: 100vh }
.texts { max-height: 100vh; overflow: auto }
.texts p { margin: 0 0 .6em; padding-left: .5em; border-left: 5px solid }
.texts p:target, polygon:target { outline: 3px solid #06c; stroke-width: 6 }
polygon { fill-opacity: .18; stroke-width: 2 }
small { color: #777 }
"""
COLOURS = ((0.0, "#1a7f37"), (0.05, "#9a9a00"), (0.2, "#d9730d"))
"""colour of lines up to an error rate; lines above the last rate have WORST"""
WORST, MISSED, INVENTED, UNREAD = "#c1121f", "#7b2cbf", "#0077b6", "#888888"


def write_report(path: Path, title: str, figures: Sequence[str], scores: Sequence[PageScore]) -> None:
    """Write the page.

    Args:
        path: of the file.
        title: its title.
        figures: sentences about all pages.
        scores: the pages; those with the most errors come first.
    """
    worst = sorted(scores, key=lambda one: -one.free.errors)
    head = f'<!DOCTYPE html><meta charset="utf-8"><title>{_text(title)}</title><style>{STYLE}</style>'
    names = ("no error", "up to 5 %", "up to 20 %", "more", "missed", "invented", "no text to compare")
    colours = (*(colour for _, colour in COLOURS), WORST, MISSED, INVENTED, UNREAD)
    pairs = zip(names, colours, strict=True)
    key = " ".join(f'<b style="color:{colour}">■ {name}</b>' for name, colour in pairs)
    with written_aside(path) as file:
        file.write(f"{head}<h1>{_text(title)}</h1>".encode())
        paragraphs = "".join(f"<p>{_text(figure)}</p>" for figure in figures)
        file.write(f"{paragraphs}<p>{key}</p>".encode())
        for number, one in enumerate(worst):
            file.write(_page(one, number).encode("utf-8", errors="replace"))


def _page(one: PageScore, number: int) -> str:
    """Return the part of a page: its image with polygons on the left, the texts on the right."""
    assert one.truth.page is not None, "a page that was compared has an image"
    width, height = one.truth.page.width_px, one.truth.page.height_px
    groups = sorted(one.groups, key=lambda group: (not group.truth, group.truth or group.found))
    polygons, texts = [], []
    for at, group in enumerate(groups):
        name, colour = f"p{number}-{at}", _colour(group)
        document, lines = (one.found, group.found) if group.found else (one.truth, group.truth)
        for line in lines:
            points = " ".join(f"{x:.0f},{y:.0f}" for x, y in _polygon(document, line))
            polygon = f'<polygon id="s{name}" points="{points}" fill="{colour}" stroke="{colour}"/>'
            polygons.append(f'<a href="#t{name}">{polygon}</a>')
        said = "".join(
            f"{label} {_text(text)}<br>"
            for label, text in (
                ("<small>is</small>", group.reference),
                ("<small>read</small>", group.hypothesis),
            )
            if text
        )
        texts.append(
            f'<p id="t{name}" style="border-color:{colour}"><a href="#s{name}">▸</a> {said or "no text"}</p>'
        )
    figure = (
        f'<svg viewBox="0 0 {width} {height}"><image href="{_picture(one.truth.page.image)}" width="{width}" '
        f'height="{height}"/>{"".join(polygons)}</svg>'
    )
    figures = (
        f"F {one.lines.f:.3f}, {one.missed} missed, {one.invented} invented, {one.merged} merged,"
        f" {one.split} split; CER in order {100 * one.in_order.rate:.2f} %,"
        f" free of order {100 * one.free.rate:.2f} %"
    )
    columns = f'<div class="page">{figure}<div class="texts">{"".join(texts)}</div></div>'
    return f"<h2>{_text(one.truth.source)}</h2><p>{figures}</p>{columns}"


def _polygon(document: Document, line: int) -> Sequence[Point]:
    place = document.passages[line].place
    return getattr(place, "polygon", ())


def _colour(group: Group) -> str:
    if group.reference is None:
        return UNREAD
    if not group.found:
        return MISSED
    if not group.truth:
        return INVENTED
    return next((colour for most, colour in COLOURS if group.edits.rate <= most), WORST)


def _picture(path: str) -> str:
    """Return a page as a JPEG within an address."""
    image = Image.fromarray(read_page_image(path))
    image.thumbnail((WIDEST_PX, 2 * WIDEST_PX))
    content = BytesIO()
    image.save(content, "JPEG", quality=60)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _text(text: str) -> str:
    return html.escape(text)
