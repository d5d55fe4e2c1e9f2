"""Transcripts in the shapes of OpenAI's interface."""

import math
import zlib
from collections.abc import Sequence
from typing import Any

from asr.serving.parameters import Parameters
from common.text.document import Interval, Passage
from common.text.symbols import Symbols
from common.text.transcript import Character, Transcript, Word

SEEKS_PER_S = 100
"""whisper counts windows of 10 ms"""
LEAST = 1e-10
"""confidences below this are given as this, whose logarithm JSON can write"""


def plain_text(passages: Sequence[Passage]) -> str:
    """Return the text of a recording."""
    return " ".join(one.transcript.text for one in passages if one.transcript.text)


def to_json(passages: Sequence[Passage], duration_s: float, logprobs: bool) -> dict[str, Any]:
    """Return the answer of the format json."""
    found: dict[str, Any] = {"text": plain_text(passages), "usage": _usage(duration_s)}
    if logprobs:
        found["logprobs"] = logprobs_of(passages)
    return found


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
        found["words"] = [
            {"word": word.text} | _times(one, word) for one in spoken for word in one.transcript.words
        ]
    return found


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


def delta(passage: Passage, is_first: bool, logprobs: bool) -> dict[str, Any]:
    """Return the event for a passage; the deltas of a recording together are its text."""
    space = "" if is_first else " "
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": space + passage.transcript.text}
    if logprobs:
        event["logprobs"] = [_token(space, 0.0)] * bool(space) + logprobs_of([passage])
    return event


def done(passages: Sequence[Passage], duration_s: float, logprobs: bool) -> dict[str, Any]:
    """Return the last event, which has the whole text."""
    return {"type": "transcript.text.done"} | to_json(passages, duration_s, logprobs)


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


def _times(passage: Passage, part: Word | Character) -> dict[str, float]:
    place = passage.place_of(part)
    assert isinstance(place, Interval), "speech has times"
    return {"start": float(place.start), "end": float(place.end)}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": logprob}


def _log(confidence: float) -> float:
    return math.log(max(float(confidence), LEAST))
