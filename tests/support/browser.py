"""A browser that visits the page of a server, and what a visit must not leave behind."""

import base64
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
REFUSED = "Failed to load resource:"
"""what Chromium notes by itself about a request that was refused or broke off, which a test may want"""


def chromium_path() -> str | None:
    """Return the Chromium of the system; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(*flags: str) -> Iterator["Browser"]:
    """Give a browser without windows, whose microphone hums and may be used without a question."""
    from playwright.sync_api import sync_playwright

    microphone = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with sync_playwright() as playwright:
        path = chromium_path()
        yield playwright.chromium.launch(executable_path=path, args=[*microphone, *flags])


@contextmanager
def visit(browser: "Browser", address: str, **context: Any) -> Iterator["Page"]:
    """Give the page at an address; at the end of the block all that it did was in order.

    It has asked nothing of another origin, all its own files were there, and the browser had nothing to say
    on its console: no error of a script, and nothing that the Content-Security-Policy forbids.

    Args:
        browser: what visits.
        address: origin of the server.
        context: of `Browser.new_context`, such as `color_scheme` and `viewport`.
    """
    place = browser.new_context(locale="en-GB", **context)
    page, asked, said, missing = place.new_page(), list[str](), list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("response", lambda answer: missing.append(answer.url) if answer.status == 404 else None)
    page.goto(address)
    yield page
    place.close()
    own = tuple(f"{scheme}{address}" for scheme in ("", "blob:"))
    strange = [f"asked for {url}" for url in asked if not url.startswith((*own, "data:"))]
    strange += [f"said {text}" for text in said if not text.startswith(REFUSED)]
    strange += [f"missed {url}" for url in missing]
    assert not strange, "; ".join(strange)


def drop(page: "Page", files: Sequence[Path | tuple[str, bytes]]) -> None:
    """Drop files onto a page."""
    content = [(file.name, file.read_bytes()) if isinstance(file, Path) else file for file in files]
    given = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in content]
    page.evaluate(
        """(given) => {
            const transfer = new DataTransfer();
            for (const { name, data } of given) {
                const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            const event = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("dragover", event));
            document.body.dispatchEvent(new DragEvent("drop", event));
        }""",
        given,
    )
