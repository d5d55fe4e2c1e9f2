"""Subtitles as SubRip (SRT) and WebVTT (https://www.w3.org/TR/webvtt1/), lyrics as LRC."""

from collections.abc import Sequence

from asr.configuration import SubtitleConfig
from asr.formats.cues import Cue, cues_of
from common.text.document import Document

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def to_srt(document: Document, config: SubtitleConfig, phrases: Sequence[str] = ()) -> str:
    """Return a document as SRT; with `highlight_words`, a cue for each word, which is underlined in it."""
    cues = cues_of(document, config, phrases)
    rows = [row for cue in cues for row in (_highlighted(cue) if config.highlight_words else [_plain(cue)])]
    return "".join(
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n\n"
        for number, (start, end, text) in enumerate(rows, start=1)
    )


def to_vtt(document: Document, config: SubtitleConfig, phrases: Sequence[str] = ()) -> str:
    """Return a document as WebVTT; with `highlight_words`, each word has its time, as in karaoke."""
    blocks = ["WEBVTT\n"]
    for cue in cues_of(document, config, phrases):
        if config.highlight_words:
            text = "\n".join(
                " ".join(
                    f"<{_time(word.start_s, '.')}><c>{word.text.translate(ESCAPES)}</c>" for word in line
                )
                for line in cue.lines
            )
        else:
            text = cue.text.translate(ESCAPES)
        blocks.append(f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n{text}\n")
    return "\n".join(blocks)


def to_lrc(document: Document, config: SubtitleConfig, phrases: Sequence[str] = ()) -> str:
    """Return a document as LRC: a row with its time for each line of a cue."""
    rows = []
    for line in (line for cue in cues_of(document, config, phrases) for line in cue.lines):
        hundredths = round(100 * line[0].start_s)
        minutes, rest = divmod(hundredths, 6000)
        text = " ".join(word.text for word in line)
        rows.append(f"[{minutes:02}:{rest // 100:02}.{rest % 100:02}]{text}\n")
    return "".join(rows)


def _plain(cue: Cue) -> tuple[float, float, str]:
    return cue.start_s, cue.end_s, cue.text


def _highlighted(cue: Cue) -> list[tuple[float, float, str]]:
    """Return a row for each word: from its start to that of the next one, and the cue with it underlined."""
    words = cue.words
    starts = [*(word.start_s for word in words), cue.end_s]
    rows = []
    for number in range(len(words)):
        place, lines = 0, []
        for line in cue.lines:
            shown = [
                f"<u>{word.text}</u>" if place + i == number else word.text for i, word in enumerate(line)
            ]
            lines.append(" ".join(shown))
            place += len(line)
        rows.append((starts[number], max(starts[number], starts[number + 1]), "\n".join(lines)))
    return rows


def _time(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
