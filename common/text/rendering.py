"""How a signal is shown to people."""

from typing import NamedTuple


class Rendering(NamedTuple):
    """A signal for the eye and, if it sounds, for the ear: a PNG and an MP3, as bytes."""

    png: bytes
    mp3: bytes | None = None
