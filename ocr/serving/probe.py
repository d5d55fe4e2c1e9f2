"""A PDF is opened in a process of its own first, which has little memory and time.

A few hundred bytes of a PDF may unpack to gigabytes, and PDFium ends the whole process when there is no
memory. So each wanted page is rendered small in another process. Only if that ends well, this process opens
the PDF.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from common.files.pipe import PipeContent
from ocr.formats.pdf_pages import count_pages

MEMORY_BYTES = 1_500_000_000
START_S, PAGE_S, MOST_S = 10, 2, 100
"""processor time for the file, for each page, and for all"""
PATIENCE, LONGEST_S = 5, 250
"""how many times longer it may take where other processes have the processor, and how long at most"""
SIDE_PX = 500
"""the larger side of a page that is rendered"""


def pages_in_pdf(content: bytes, wanted: Sequence[int] | None, most_pages: int, name: str) -> int:
    """Return the number of pages of a PDF, after the wanted ones have been rendered on trial.

    Args:
        content: of the file.
        wanted: numbers of pages, counted from 0; None for all.
        most_pages: if more than these are wanted, none is rendered.
        name: of the file, for messages.

    Raises:
        ValueError: it is damaged or encrypted, or takes too much memory or time.
    """
    code = f"import sys; sys.path[:0] = {sys.path!r}; from {__name__} import main; main()"
    given = json.dumps({"wanted": wanted, "most_pages": most_pages, "name": name})
    pages = most_pages if wanted is None else len(wanted)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, given],
            input=content,
            capture_output=True,
            timeout=min(LONGEST_S, PATIENCE * _seconds(pages)),
            check=False,
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise ValueError(
            f"{name}: takes too much memory or time to render; print it into a new PDF"
        ) from None
    if "error" in answer:
        raise ValueError(answer["error"])
    return int(answer["count"])


def main() -> None:
    """Render the pages of the PDF on standard input on trial, and print how many there are."""
    given = json.loads(sys.argv[1])
    content = PipeContent(sys.stdin.buffer.read(), given["name"])
    _limit(START_S)
    answer: dict[str, int | str]
    try:
        answer = {"count": _rendered(content, given["wanted"], given["most_pages"])}
    except ValueError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


def _rendered(content: PipeContent, wanted: list[int] | None, most_pages: int) -> int:
    """Render pages on trial, and return how many there are."""
    import pypdfium2

    count = count_pages(content, content.name)
    numbers = [number for number in (range(count) if wanted is None else wanted) if number < count]
    if len(numbers) > most_pages:
        return count
    _limit(_seconds(len(numbers)))
    with pypdfium2.PdfDocument(content.getvalue()) as pdf:
        for number in numbers:
            try:
                page = pdf[number]
                page.render(scale=SIDE_PX / max(*page.get_size(), 1.0), may_draw_forms=False)
                page.close()
            except pypdfium2.PdfiumError as error:
                raise ValueError(f"{content.name}: cannot be read as a PDF ({error})") from None
    return count


def _seconds(pages: int) -> int:
    """Return the processor time for a file of so many pages."""
    return min(MOST_S, START_S + PAGE_S * pages)


def _limit(seconds: int) -> None:
    """End this process when it takes too much memory or time, where the system can do that."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
