"""What a client may set for its session; what cannot be honoured is refused, never ignored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asr.configuration import SegmentationConfig
from asr.serving.parameters import check_model, language_of
from common.serving.errors import refused

RATES_HZ = (24_000, 16_000)
"""the first is assumed"""
LOGPROBS = "item.input_audio_transcription.logprobs"
LEGACY = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
"""fields of `transcription_session.update`, and where `session.update` has them"""
LONGEST_SILENCE_MS, LONGEST_PADDING_MS = 10_000, 5_000


@dataclass(frozen=True)
class TurnDetection:
    """When the server itself takes speech for the start and the end of an item."""

    threshold: float = 0.5
    prefix_padding_ms: float = 300
    silence_duration_ms: float = 500

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"type": "server_vad"} | vars(self)

    def segmentation(self, config: SegmentationConfig) -> SegmentationConfig:
        """Return how sound is cut with these settings; the others are those of `config`."""
        return replace(
            config,
            vad="activity",
            vad_threshold=self.threshold,
            vad_neg_threshold=None,
            vad_min_silence_duration_ms=self.silence_duration_ms,
            vad_speech_pad_ms=self.prefix_padding_ms,
        )


@dataclass(frozen=True)
class Settings:
    """The settings of a session."""

    rate_hz: int = RATES_HZ[0]
    turns: TurnDetection | None = field(default_factory=TurnDetection)
    language: str | None = None
    keywords: tuple[str, ...] = ()
    logprobs: bool = False

    def to_dict(self, model: str) -> dict[str, Any]:
        """Return them as JSON has them."""
        transcription: dict[str, Any] = {"model": model, "language": self.language}
        if self.keywords:
            transcription["keywords"] = list(self.keywords)
        found = {
            "format": {"type": "audio/pcm", "rate": self.rate_hz},
            "transcription": transcription,
            "noise_reduction": None,
            "turn_detection": None if self.turns is None else self.turns.to_dict(),
        }
        include = [LOGPROBS] if self.logprobs else None
        return {"type": "transcription", "audio": {"input": found}, "include": include}

    def to_legacy_dict(self, model: str) -> dict[str, Any]:
        """Return them as the answer to `transcription_session.update` has them."""
        found = self.to_dict(model)
        given = found["audio"]["input"] | {"format": "pcm16"}
        return {old: given[new] for old, new in LEGACY.items()} | {"include": found["include"]}


@dataclass(frozen=True)
class Updates:
    """Changes settings as clients ask.

    Args:
        model: what the model is called.
        card: its card.
    """

    model: str
    card: Mapping[str, Any]

    def updated(self, settings: Settings, session: Any) -> Settings:
        """Return settings with what the session of a `session.update` changes.

        Raises:
            RequestError: for something that cannot be honoured; then nothing is changed.
        """
        found = _object(session, "session", ("type", "audio", "include"))
        if found.get("type", "transcription") != "transcription":
            raise refused("session.type", "session.type: only transcription is served here")
        if "include" in found:
            settings = replace(settings, logprobs=_include(found["include"]))
        audio = _object(found.get("audio", {}), "session.audio", ("input",))
        where, known = "session.audio.input", ("format", "noise_reduction", "transcription", "turn_detection")
        return self._heard(settings, _object(audio.get("input", {}), where, known), where)

    def legacy(self, settings: Settings, session: Any) -> Settings:
        """Return settings with what the session of a `transcription_session.update` changes."""
        found = _object(session, "session", (*LEGACY, "include"))
        if found.get("input_audio_format", "pcm16") != "pcm16":
            raise refused("session.input_audio_format", "session.input_audio_format: only pcm16 is taken")
        if "include" in found:
            settings = replace(settings, logprobs=_include(found["include"]))
        given = {new: found[old] for old, new in LEGACY.items() if old in found}
        if "format" in given:
            given["format"] = {"type": "audio/pcm"}
        return self._heard(settings, given, "session")

    def _heard(self, settings: Settings, given: Mapping[str, Any], where: str) -> Settings:
        """Return settings with what is given about the sound."""
        changes: dict[str, Callable[[Any, str], dict[str, Any]]] = {
            "format": _format,
            "noise_reduction": _noise_reduction,
            "transcription": self._transcription,
            "turn_detection": _turn_detection,
        }
        for name, value in given.items():
            settings = replace(settings, **changes[name](value, f"{where}.{name}"))
        return settings

    def _transcription(self, value: Any, where: str) -> dict[str, Any]:
        known = ("model", "language", "languages", "keywords", "prompt", "delay")
        found = _object(value, where, known)
        model, language = found.get("model"), found.get("language")
        for name, one in (("model", model), ("language", language)):
            if one is not None and not isinstance(one, str):
                raise refused(f"{where}.{name}", f"{where}.{name}: a text is wanted")
        check_model(model, self.model)
        for name in ("prompt", "delay"):
            if found.get(name):
                raise refused(f"{where}.{name}", f"{where}.{name}: has no effect here; leave it out")
        fields = {"language": [language] if language else [], "languages": _texts(found, "languages", where)}
        spoken = language_of(fields, self.card)
        return {"language": spoken, "keywords": tuple(_texts(found, "keywords", where))}


def _include(value: Any) -> bool:
    wanted = [] if value is None else value
    if not isinstance(wanted, list) or any(one != LOGPROBS for one in wanted):
        raise refused("session.include", f"session.include: only {LOGPROBS} is supported")
    return bool(wanted)


def _format(value: Any, where: str) -> dict[str, Any]:
    found = _object(value, where, ("type", "rate"))
    if found.get("type") != "audio/pcm":
        raise refused(f"{where}.type", f"{where}.type: only audio/pcm is taken, 16 bits, little-endian")
    rate_hz = found.get("rate", RATES_HZ[0])
    if isinstance(rate_hz, bool) or rate_hz not in RATES_HZ:
        raise refused(f"{where}.rate", f"{where}.rate: is none of {', '.join(map(str, RATES_HZ))}")
    return {"rate_hz": int(rate_hz)}


def _noise_reduction(value: Any, where: str) -> dict[str, Any]:
    if value is not None:
        raise refused(where, f"{where}: there is none here; leave it out, or give null")
    return {}


def _turn_detection(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {"turns": None}
    known = ("type", "threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms")
    found = _object(value, where, (*known, "create_response", "interrupt_response"))
    if found.get("type", "server_vad") != "server_vad":
        raise refused(f"{where}.type", f"{where}.type: only server_vad is supported, or null for none")
    for name in ("create_response", "interrupt_response", "idle_timeout_ms"):
        if found.get(name):
            raise refused(f"{where}.{name}", f"{where}.{name}: nothing is answered here; leave it out")
    limits = {
        "threshold": (0.01, 0.99),
        "prefix_padding_ms": (0, LONGEST_PADDING_MS),
        "silence_duration_ms": (100, LONGEST_SILENCE_MS),
    }
    given = {name: found[name] for name in limits if found.get(name) is not None}
    for name, number in given.items():
        low, high = limits[name]
        if not isinstance(number, int | float) or isinstance(number, bool) or not low <= number <= high:
            raise refused(f"{where}.{name}", f"{where}.{name}: a number from {low} to {high} is wanted")
    return {"turns": TurnDetection(**given)}


def _texts(found: Mapping[str, Any], name: str, where: str) -> list[str]:
    """Return a list of texts, which may be missing."""
    value = found.get(name)
    wanted = [] if value is None else value
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise refused(f"{where}.{name}", f"{where}.{name}: a list of texts is wanted")
    return [one for one in wanted if one.strip()]


def _object(value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    """Return a JSON object that has known fields only."""
    if not isinstance(value, dict):
        raise refused(where, f"{where}: an object is wanted")
    for name in value:
        if name not in known:
            param = f"{where}.{name[:100]}"
            raise refused(param, f"{param}: is not supported here; leave it out", "unknown_parameter")
    return value
