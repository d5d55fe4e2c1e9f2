"""Pages with PAGE or ALTO files, read anew from their images and compared with the files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.command_line.counting import counted
from common.files.folder import files_below
from common.recognition.reading import refusing
from common.recognition.transcriber import Transcriber
from common.text.document import Document, Line
from ocr.comparison.report import write_report
from ocr.comparison.scores import PageScore, score, summed
from ocr.formats.xml.pages import ListOfPagesError, is_xml, page_files, read_page
from ocr.segmentation.learning.snapping import snap
from ocr.signal import SignalConfig, ink_of, read_page_image


@dataclass(frozen=True)
class ComparedPages:
    """Pages that were read, beside those of transcribers."""

    scores: list[PageScore]

    def __len__(self) -> int:
        return len(self.scores)

    def lines(self) -> list[str]:
        """Return what is printed: the lines that were found, their order, and the error rates."""
        figures = summed(self.scores)
        return [
            "lines  precision {precision:.3f}  recall {recall:.3f}  F {f:.3f}".format_map(figures),
            f"{counted(int(figures['lines']), 'line')} of {counted(len(self), 'page')}: "
            + "{missed} missed, {invented} invented, {merged} merged, {split} split".format_map(figures),
            f"successors kept {100 * figures['successors_kept']:.1f} %",
            f"CER in order {100 * figures['cer_in_order']:.2f} %",
            f"CER free of order {100 * figures['cer_free_of_order']:.2f} %",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of all pages together and of each."""
        pages = [{"source": one.truth.source} | summed([one]) for one in self.scores]
        return {**summed(self.scores), "by_page": pages}

    def write_report(self, path: Path, title: str) -> None:
        """Write an HTML page that shows each page with its lines."""
        write_report(path, title, self.lines(), self.scores)


def compare_pages(
    recognizer: Transcriber, paths: Sequence[str], refuse: Callable[[str], None]
) -> ComparedPages:
    """Return how the recognizer finds and reads the lines of pages.

    Args:
        recognizer: its `segmentation_config` says how lines are found.
        paths: folders of pages, or XML files.
        refuse: takes a sentence for each page that cannot be compared.

    Raises:
        ValueError: a path is neither.
    """
    truths = {}
    for truth in _truths(paths, refuse):
        assert truth.page is not None, "the pages that _truths yields have an image"
        truths[truth.page.image] = truth
    scores = []
    for found in recognizer.documents(truths, refuse=refuse):
        if isinstance(found.source, str):
            truth = snapped(truths[found.source])
            scores.append(score(truth, found, recognizer.alphabet.normalise))
    return ComparedPages(scores)


def snapped(truth: Document) -> Document:
    """Return a page with its baselines on its ink: transcribers draw them at different heights."""
    assert truth.page is not None, "a page that is compared has an image"
    lines = [one.place for one in truth.passages if isinstance(one.place, Line)]
    if not lines:
        return truth
    ink = ink_of(read_page_image(truth.page.image), SignalConfig()).T
    snapped = snap(lines, ink)
    passages = zip(truth.passages, snapped, strict=True)
    return replace(truth, passages=tuple(replace(one, place=line) for one, line in passages))


def _truths(paths: Sequence[str], refuse: Callable[[str], None]) -> Iterator[Document]:
    """Yield the pages of transcribers that have an image."""
    for path in paths:
        if Path(path).is_dir():
            files = [file for file in files_below(Path(path)) if is_xml(file)]
        elif is_xml(path):
            files = page_files(path)
        else:
            raise ValueError(f"{path}: is no folder of pages and no XML file; name pages with PAGE or ALTO")
        for file in files:
            with refusing(refuse):
                try:
                    document = read_page(file)
                except ListOfPagesError:
                    continue
                if document.page is None or not document.page.image:
                    raise ValueError(f"{file}: its image was not found; put it beside the file")
                yield document
