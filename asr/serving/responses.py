"""Transcripts in the shapes of OpenAI's interface."""

import math
import zlib
from collections.abc import Sequence
from typing import Any

from asr.configuration import SubtitleConfig
from asr.formats.names import writer
from asr.serving.parameters import SUBTITLES, Parameters
from asr.serving.sound import NAME
from common.text.document import Document, Interval, Passage
from common.text.symbols import Symbols
from common.text.transcript import Character, Transcript, Word

SEEKS_PER_S = 100
"""whisper counts windows of 10 ms"""
LEAST = 1e-10
"""confidences below this are given as this, whose logarithm JSON can write"""


def plain_text(passages: Sequence[Passage]) -> str:
    """Return the text of a recording."""
    return " ".join(one.transcript.text for one in passages if one.transcript.text)


def to_json(passages: Sequence[Passage], duration_s: float) -> dict[str, Any]:
    """Return the answer of the format json."""
    return {"text": plain_text(passages), "usage": _usage(duration_s)}


def to_verbose_json(
    passages: Sequence[Passage],
    duration_s: float,
    asked: Parameters,
    languages: Sequence[str],
    alphabet: Symbols,
) -> dict[str, Any]:
    """Return the answer of the format verbose_json.

    Args:
        passages: what was said.
        duration_s: length of the recording.
        asked: which times are wanted.
        languages: those of the model.
        alphabet: its labels are the tokens.
    """
    language = asked.language or (languages[0] if len(languages) == 1 else "unknown")
    found: dict[str, Any] = {
        "task": "transcribe",
        "language": language,
        "duration": duration_s,
        "text": plain_text(passages),
        "usage": _usage(duration_s),
    }
    spoken = [one for one in passages if one.transcript.text]
    if "segment" in asked.granularities:
        found["segments"] = [_segment(number, one, alphabet) for number, one in enumerate(spoken)]
    if "word" in asked.granularities:
        found["words"] = [word for one in spoken for word in _words(one)]
    return found


def included(passages: Sequence[Passage], asked: Parameters) -> dict[str, Any]:
    """Return what an answer of json or verbose_json is to have besides."""
    found: dict[str, Any] = {"logprobs": logprobs_of(passages)} if "logprobs" in asked.included else {}
    return found | {form: subtitles(form, passages, asked) for form in SUBTITLES if form in asked.included}


def subtitles(form: str, passages: Sequence[Passage], asked: Parameters) -> str:
    """Return the answer of the formats srt and vtt."""
    written = writer(form, SubtitleConfig(), asked.keywords)(Document(NAME, tuple(passages)))
    assert isinstance(written, str), "subtitles are text"
    return written


def logprobs_of(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Return the logarithm of the confidence of each character of `plain_text`."""
    found = list[dict[str, Any]]()
    for passage in passages:
        if passage.transcript.text:
            if found:
                found.append(_token(" ", 0.0))
            characters = passage.transcript.characters
            found += [_token(one.text, _log(one.confidence)) for one in characters]
    return found


def delta(passage: Passage, is_first: bool, duration_s: float, asked: Parameters) -> dict[str, Any]:
    """Return the event for a passage; the deltas of a recording together are its text.

    Of verbose_json, it has the times of the passage, and of its words if they are wanted.
    """
    space = "" if is_first else " "
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": space + passage.transcript.text}
    if "logprobs" in asked.included:
        event["logprobs"] = [_token(space, 0.0)] * bool(space) + logprobs_of([passage])
    if asked.response_format == "verbose_json":
        assert isinstance(passage.place, Interval), "speech has times"
        event |= {"start": passage.place.start, "end": passage.place.end, "duration": duration_s}
    if "word" in asked.granularities:
        event["words"] = _words(passage)
    return event


def _usage(duration_s: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": duration_s}


def _segment(number: int, passage: Passage, alphabet: Symbols) -> dict[str, Any]:
    transcript, place = passage.transcript, passage.place
    assert isinstance(place, Interval), "speech has times"
    raw = transcript.text.encode()
    logs = [_log(character.confidence) for character in transcript.characters]
    return {
        "id": number,
        "seek": round(place.start * SEEKS_PER_S),
        "start": place.start,
        "end": place.end,
        "text": transcript.text,
        "tokens": _labels(transcript, alphabet),
        "temperature": 0.0,  # texts are searched for, not drawn
        "avg_logprob": math.fsum(logs) / len(logs),
        "compression_ratio": len(raw) / len(zlib.compress(raw)),
        "no_speech_prob": math.prod(1 - character.confidence for character in transcript.characters),
    }


def _labels(transcript: Transcript, alphabet: Symbols) -> list[int]:
    """Return the labels that spell a transcript; none for a text that is in another order than they are."""
    return [] if alphabet.unknown(transcript.text) else list(alphabet.encode(transcript.text))


def _words(passage: Passage) -> list[dict[str, Any]]:
    """Return the words of a passage; OpenAI's have no confidence."""
    return [
        {"word": word.text} | _times(passage, word) | {"confidence": float(word.confidence)}
        for word in passage.transcript.words
    ]


def _times(passage: Passage, part: Word | Character) -> dict[str, float]:
    place = passage.place_of(part)
    assert isinstance(place, Interval), "speech has times"
    return {"start": float(place.start), "end": float(place.end)}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": logprob}


def _log(confidence: float) -> float:
    return math.log(max(float(confidence), LEAST))
