"""The names of the formats of speech, and the functions that write them, imported when one is wanted."""

from collections.abc import Callable, Sequence
from functools import partial

from asr.configuration import SubtitleConfig
from common.text.document import Document

FORMATS = {
    "srt": "subtitles as SubRip",
    "vtt": "subtitles as WebVTT, for browsers",
    "lrc": "lines with their times, as players of music show them",
}
"""formats beside those of `common.text.formats`, by the ending of their files"""


def writer(name: str, config: SubtitleConfig, phrases: Sequence[str]) -> Callable[[Document], str]:
    """Return the function that writes a document in one of `FORMATS`.

    Args:
        name: the format.
        config: the settings of subtitles.
        phrases: names of several words, within which no line of subtitles ends if that is possible.
    """
    from asr.formats import subtitles

    write = {"srt": subtitles.to_srt, "vtt": subtitles.to_vtt, "lrc": subtitles.to_lrc}[name]
    return partial(write, config=config, phrases=phrases)
