"""A signal in a form that people can see and hear."""

from typing import NamedTuple


class Rendering(NamedTuple):
    """An image of a signal (a PNG) and, of sound, a recording (an MP3), as bytes."""

    png: bytes
    mp3: bytes | None = None
