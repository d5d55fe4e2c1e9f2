"""What a request for a transcription may ask for; what cannot be honoured is refused, never ignored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.serving.errors import RequestError, refused

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")
STREAMED = ("json", "text", "verbose_json")
SUBTITLES = ("srt", "vtt")
"""what an answer may have besides itself, so that one request is enough for all of them"""
INCLUDED = ("logprobs", *SUBTITLES)
KNOWN = {
    *("model", "language", "languages", "prompt", "response_format", "temperature", "keywords", "stream"),
    *("timestamp_granularities", "include", "chunking_strategy"),
}
OTHER_NAMES = ("whisper", "gpt-4o", "gpt-transcribe", "gpt-realtime", "gpt-live")
"""beginnings of the names of OpenAI's models, under which programs ask that were written for them"""
SWITCHES = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Parameters:
    """What is asked for."""

    response_format: str = "json"
    language: str | None = None
    """as it was given; the model is known to have it, or does not say which languages it has"""
    granularities: tuple[str, ...] = ("segment",)
    included: frozenset[str] = frozenset()
    """some of `INCLUDED`"""
    keywords: tuple[str, ...] = ()
    stream: bool = False
    unused: tuple[str, ...] = ()
    """parameters that are accepted and have no effect"""


def parameters_of(fields: Mapping[str, Sequence[str]], name: str, card: Mapping[str, Any]) -> Parameters:
    """Return what the fields of a form ask for.

    Args:
        fields: the values of each field.
        name: what the model is called.
        card: its card.

    Raises:
        RequestError: for something that cannot be honoured.
    """
    for field in fields:
        if field not in KNOWN:
            raise refused(field, f"{field}: is not supported here; leave it out", "unknown_parameter")
    check_model(_one(fields, "model"), name)
    form = _one(fields, "response_format") or "json"
    if form not in FORMATS:
        raise refused("response_format", f"response_format: {form!r} is none of {', '.join(FORMATS)}")
    _check_plain(fields)
    found = Parameters(
        response_format=form,
        language=language_of(fields, card),
        granularities=_granularities(fields, form),
        included=_included(fields, form),
        keywords=tuple(word for word in fields.get("keywords", ()) if word.strip()),
        stream=SWITCHES.get((_one(fields, "stream") or "false").lower(), False),
        unused=("prompt",) if _one(fields, "prompt") else (),
    )
    if found.stream and form not in STREAMED:
        raise refused("stream", f"stream: goes with response_format {', '.join(STREAMED)}, not {form}")
    return found


def check_model(asked: str | None, name: str) -> None:
    """Raise RequestError if another model is asked for; the names of OpenAI's stand for the one here."""
    if asked and asked != name and not asked.startswith(OTHER_NAMES):
        message = f"model: there is no {asked!r} here; the one that is served is {name!r}"
        raise RequestError(404, message, "model", "model_not_found")


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Return the value of a field that may be given once."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise refused(name, f"{name}: is given {len(values)} times; give it once")
    return values[0] if values else None


def _check_plain(fields: Mapping[str, Sequence[str]]) -> None:
    """Raise RequestError for settings that allow one value only."""
    stream = _one(fields, "stream")
    if stream is not None and stream.lower() not in SWITCHES:
        raise refused("stream", "stream: is neither true nor false")
    temperature = _one(fields, "temperature")
    try:
        random = temperature is not None and float(temperature) != 0
    except ValueError:
        random = True
    if random:
        raise refused("temperature", "temperature: texts are searched for, not drawn; give 0 or leave it out")
    if _one(fields, "chunking_strategy") not in (None, "auto"):
        raise refused("chunking_strategy", "chunking_strategy: only auto is supported")


def language_of(fields: Mapping[str, Sequence[str]], card: Mapping[str, Any]) -> str | None:
    """Return the language that is asked for; RequestError if the model says that it has others only."""
    language, known = _one(fields, "language"), _codes(card.get("languages") or ())
    param = "language" if language else "languages"
    asked = [language] if language else [one for one in fields.get("languages", ()) if one]
    if asked and known and not known & _codes(asked):
        has = ", ".join(sorted(known))
        raise refused(param, f"{param}: the model has learnt {has}, not {', '.join(asked)}")
    return next((one for one in asked if not known or _codes([one]) & known), None)


def _codes(languages: Iterable[str]) -> set[str]:
    """Return the first parts of language tags: "en" of "en-US"."""
    return {language.replace("_", "-").partition("-")[0].lower() for language in languages}


def _granularities(fields: Mapping[str, Sequence[str]], form: str) -> tuple[str, ...]:
    param = "timestamp_granularities"
    wanted = tuple(dict.fromkeys(fields.get(param, ())))
    for one in wanted:
        if one not in GRANULARITIES:
            raise refused(param, f"{param}: {one!r} is none of {', '.join(GRANULARITIES)}")
    if wanted and form != "verbose_json":
        raise refused(param, f"{param}: goes with response_format verbose_json, not {form}")
    return wanted or ("segment",)


def _included(fields: Mapping[str, Sequence[str]], form: str) -> frozenset[str]:
    wanted = frozenset(fields.get("include", ()))
    if others := wanted.difference(INCLUDED):
        known = ", ".join(INCLUDED)
        raise refused("include", f"include: {min(others)!r} is not supported; there are {known}")
    if "logprobs" in wanted and form != "json":
        raise refused("include", f"include: logprobs go with response_format json, not {form}")
    if wanted and form not in ("json", "verbose_json"):
        raise refused("include", f"include: goes with response_format json or verbose_json, not {form}")
    return wanted
