"""The addresses of the page: `/`, and `/static/NAME` for each file of the modality and of `static`."""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

START = "index.html"
"""the file at the address `/`"""
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "worker-src 'self'",  # an AudioWorklet, for one
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: nothing from elsewhere, and no script or style within a page"""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # kept, and asked for again with its ETag
}


@dataclass(frozen=True)
class PageFile:
    """A file that is sent as it is."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """What changes with the content."""
        return f'"{sha256(self.content).hexdigest()[:32]}"'


def shared_folder() -> Path:
    """Return the folder of the files that all pages share."""
    return Path(__file__).parent / "static"


def page_routes(folder: Path) -> list[Route]:
    """Return the addresses of a page.

    Args:
        folder: the files of its modality; `index.html` is what a browser asks for first.
    """
    paths = [*shared_folder().iterdir(), *folder.iterdir()]
    files = {path.name: path for path in paths}
    assert len(files) == len(paths), "two files have one name"
    return [
        Route("/" if name == START else f"/static/{name}", partial(_send, _read(path)))
        for name, path in files.items()
    ]


def _read(path: Path) -> PageFile:
    return PageFile(path.read_bytes(), MEDIA_TYPES[path.suffix])


async def _send(file: PageFile, request: Request) -> Response:
    """Send a file, or say that the browser has it already."""
    headers = HEADERS | {"etag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
