"""Compare `ocr transcribe`, tesseract and kraken on whole pages: lines, texts, and seconds a page.

seconds a page   wall time of the program with its start, from image files to files of PAGE or ALTO
P, R, F          of baselines, by the measure of cBAD; those of transcribers are moved to the ink before
CER              of whole pages in the order in which they were read, and free of order

Tesseract states the baseline of a line; where it does not, the lower edge of the box is taken. Kraken finds
lines with its default network, and reads none, since it comes with no model of texts.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from measurement import print_row, run_programs, transcribe_command
from PIL import Image

from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.files.folder import files_below
from common.text.document import Document
from ocr.comparison.pages import snapped
from ocr.comparison.scores import score, summed
from ocr.formats.xml.pages import is_xml, read_page

HEAD = ("s/page", "peak MB", "others", "    P", "    R", "    F", "CER % in order", "free", "program, pages")


@dataclass(frozen=True)
class Pages:
    """Measure lines, texts and seconds a page of ours, tesseract and kraken."""

    folders: Positional[tuple[str, ...]]
    """Folders of images with PAGE or ALTO beside them, each with the languages for tesseract unless they are
    English: FOLDER=deu+fra."""
    count: int = 0
    """Number of pages of each folder, the first ones by name; 0 for all."""
    model: Path | None = None
    """Model file of ours; the bundled one by default."""
    programs: tuple[str, ...] = ("ocr", "tesseract", "kraken")
    """Programs to measure, if they are on PATH."""
    kraken: str = "kraken"
    """The program kraken, which may be in an environment of its own."""


class Scan(NamedTuple):
    """A page: its image as a PNG, what the transcriber has written, and the languages for tesseract."""

    image: Path
    truth: Document
    languages: str


def main() -> None:
    """Measure each program, and print a table for all folders together and one for each."""
    arguments = parse(Pages)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scans = {one: list(_scans(one, arguments.count, folder)) for one in arguments.folders}
        print("  ".join(HEAD))
        for name, commands in _programs(arguments).items():
            for corpus, pages in scans.items():
                _measure(name, corpus, pages, commands(pages))


def _scans(corpus: str, count: int, folder: Path) -> Iterator[Scan]:
    """Yield the pages of a corpus, whose images are written to `folder` as PNG."""
    path, _, languages = corpus.partition("=")
    files = [file for file in files_below(Path(path)) if is_xml(file)]
    if not files:
        raise SystemExit(f"{path}: has no PAGE or ALTO file; name another folder")
    for file in files[: count or None]:
        truth = read_page(file, lambda _: None)
        if truth.page is None or not truth.page.image:
            raise SystemExit(f"{file}: its image was not found; put it beside the file")
        image = folder / f"page{len(list(folder.glob('*.png'))):03}.png"
        Image.open(truth.page.image).convert("L").save(image)
        yield Scan(image, snapped(truth), languages or "eng")


def _programs(arguments: Pages) -> dict[str, Callable[[Sequence[Scan]], list[list[str]]]]:
    """Return the programs that are installed, by their names; each gives its commands for some pages."""

    def ours(pages: Sequence[Scan]) -> list[list[str]]:
        command = transcribe_command("ocr", arguments.model, None)
        output = ["--format", "page", "--output-dir", str(pages[0].image.parent)]
        return [[*command, *output, *(str(page.image) for page in pages)]]

    def tesseract(pages: Sequence[Scan]) -> list[list[str]]:
        return [
            ["tesseract", str(page.image), str(page.image.with_suffix(".page")), "-l", page.languages, "alto"]
            for page in pages
        ]

    def kraken(pages: Sequence[Scan]) -> list[list[str]]:
        pairs = [("-i", str(page.image), str(page.image.with_suffix(".page.xml"))) for page in pages]
        return [[arguments.kraken, "--threads", "2", "-x", *sum(pairs, ()), "segment", "-bl"]]

    known = {"ocr": ours, "tesseract": tesseract, "kraken": kraken}
    paths = {"kraken": arguments.kraken}
    for name in arguments.programs:
        if name not in known:
            raise SystemExit(f"--programs: {name} is unknown; give some of {', '.join(known)}")
    missing = [
        name for name in arguments.programs if name != "ocr" and not shutil.which(paths.get(name, name))
    ]
    if missing:
        print(f"not installed, and left out: {', '.join(missing)}")
    return {name: known[name] for name in arguments.programs if name not in missing}


def _measure(name: str, corpus: str, pages: Sequence[Scan], commands: list[list[str]]) -> None:
    """Run the commands of a program one after the other, and print a row of the table."""
    for page in pages:
        page.image.with_suffix(".page.xml").unlink(missing_ok=True)
    runs = [run_programs([command]) for command in commands]
    scores = [score(page.truth, _found(page), _plain) for page in pages]
    figures = summed(scores)
    reads = any(one.transcript.text for page in scores for one in page.found.passages)
    errors = (figures["cer_in_order"], figures["cer_free_of_order"])
    wall_s = sum(run.wall_s for run in runs)
    cells = [
        f"{wall_s / len(pages):.2f}",
        f"{max(run.peak_bytes for run in runs) / 1e6:.0f}",
        f"{sum(run.others * run.wall_s for run in runs) / wall_s:.0%}",
        *(f"{figures[key]:.3f}" for key in ("precision", "recall", "f")),
        *(f"{100 * rate:.2f}" if reads else "-" for rate in errors),
        f"{name}, {len(pages)} of {corpus}",
    ]
    print_row(HEAD, cells)


def _found(page: Scan) -> Document:
    """Return the page that a program has written beside the image; without lines if it has found none."""
    try:
        return read_page(page.image.with_suffix(".page.xml"), lambda _: None)
    except FileNotFoundError:
        return replace(page.truth, passages=())


def _plain(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
