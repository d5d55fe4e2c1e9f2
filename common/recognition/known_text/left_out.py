"""What a text and a recording do not share, in sentences."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

SHOWN_WORDS = 4
"""words that are shown of each end of a longer part"""
FEW_WORDS = 2
"""parts of so many words are named together in one sentence"""
SHORT = 1.0
"""seconds or pixels; shorter sound that is not in the text is counted and not named"""


class Unsaid(NamedTuple):
    """Words of the text that are not in the recording; the first one has the number `first`, from 0."""

    first: int
    words: tuple[str, ...]


class Extra(NamedTuple):
    """Sound that is not in the text, and what was heard."""

    start: float
    end: float
    text: str


class LeftOut(NamedTuple):
    """What was left out, in order."""

    unsaid: list[Unsaid]
    extra: list[Extra]

    def sentences(self) -> Iterator[str]:
        """Yield what is left out, one sentence each; what is short is put together in one."""
        few = [one for one in self.unsaid if len(one.words) <= FEW_WORDS]
        for one in self.unsaid:
            if len(one.words) > FEW_WORDS:
                numbers = f"{one.first + 1}-{one.first + len(one.words)}"
                yield f"words {numbers} of the text are not in the recording: {_shown(one.words)}"
        if few:
            total = sum(len(one.words) for one in few)
            listed = ", ".join(f"{one.first + 1} {' '.join(one.words)!r}" for one in few)
            verb = "word of the text is" if total == 1 else "words of the text are"
            yield f"{total} {verb} not in the recording: {listed}"
        short = [one for one in self.extra if one.end - one.start < SHORT]
        for extra in self.extra:
            if extra.end - extra.start >= SHORT:
                times = f"{_time(extra.start)}-{_time(extra.end)}"
                yield f"{times} is not in the text; heard: {_shown(extra.text.split())}"
        if short:
            total_s = sum(one.end - one.start for one in short)
            listed = ", ".join(_time(one.start) for one in short)
            noun = "short sound is" if len(short) == 1 else f"short sounds, {total_s:.1f} s in all, are"
            yield f"{len(short)} {noun} not in the text, at {listed}"


def _shown(words: Sequence[str]) -> str:
    if len(words) > 2 * SHOWN_WORDS:
        words = [*words[:SHOWN_WORDS], "...", *words[-SHOWN_WORDS:]]
    return repr(" ".join(words))


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
