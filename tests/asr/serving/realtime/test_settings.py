"""Settings of a session: OpenAI's own types read them, and what cannot be honoured is refused by its name."""

import pytest
from openai.types.realtime import SessionUpdatedEvent

from asr.serving.realtime.settings import LOGPROBS, Settings, TurnDetection, Updates
from common.serving.errors import RequestError

UPDATES = Updates("tiny", {"languages": ["en"]})


def sound(**fields):
    return {"type": "transcription", "audio": {"input": fields}}


def test_only_what_is_given_is_changed():
    turned = UPDATES.updated(Settings(), sound(turn_detection=None))
    assert turned == Settings(turns=None)
    session = sound(format={"type": "audio/pcm", "rate": 16000}) | {"include": [LOGPROBS]}
    assert UPDATES.updated(turned, session) == Settings(rate_hz=16000, turns=None, logprobs=True)
    again = UPDATES.updated(turned, sound(turn_detection={"type": "server_vad", "threshold": 0.7}))
    assert again == Settings(turns=TurnDetection(threshold=0.7))
    spoken = sound(transcription={"model": "whisper-1", "language": "en-GB", "keywords": ["Ada"]})
    assert UPDATES.updated(turned, spoken) == Settings(turns=None, language="en-GB", keywords=("Ada",))


def test_the_older_event_says_the_same():
    old = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "prompt": "", "language": "en"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 700, "create_response": False},
        "input_audio_noise_reduction": None,
        "include": None,
    }
    settings = UPDATES.legacy(Settings(), old)
    assert settings == Settings(language="en", turns=TurnDetection(silence_duration_ms=700))
    assert settings.to_legacy_dict("tiny")["turn_detection"]["silence_duration_ms"] == 700


def test_the_openai_package_reads_the_settings():
    settings = Settings(rate_hz=24000, language="en", keywords=("Ada",), logprobs=True)
    session = {"id": "s", "object": "realtime.transcription_session"} | settings.to_dict("whisper-1")
    event = SessionUpdatedEvent.model_validate(
        {"type": "session.updated", "event_id": "e", "session": session}
    )
    assert event.session.type == "transcription"
    heard = event.session.audio.input
    assert (heard.format.type, heard.format.rate) == ("audio/pcm", 24000)
    assert (heard.transcription.model, heard.transcription.language) == ("whisper-1", "en")
    assert (heard.turn_detection.threshold, heard.turn_detection.prefix_padding_ms) == (0.5, 300)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        (None, "session"),
        ({"type": "realtime"}, "session.type"),
        ({"voice": "alloy"}, "session.voice"),
        ({"include": ["thoughts"]}, "session.include"),
        ({"audio": {"output": {}}}, "session.audio.output"),
        (sound(format={"type": "audio/pcmu"}), "session.audio.input.format.type"),
        (sound(format={"type": "audio/pcm", "rate": 8000}), "session.audio.input.format.rate"),
        (sound(format={"type": "audio/pcm", "rate": True}), "session.audio.input.format.rate"),
        (sound(noise_reduction={"type": "near_field"}), "session.audio.input.noise_reduction"),
        (sound(transcription={"prompt": "Ada."}), "session.audio.input.transcription.prompt"),
        (sound(transcription={"delay": "low"}), "session.audio.input.transcription.delay"),
        (sound(transcription={"model": "large"}), "model"),
        (sound(transcription={"language": "de"}), "language"),
        (sound(transcription={"language": 3}), "session.audio.input.transcription.language"),
        (sound(transcription={"keywords": "Ada"}), "session.audio.input.transcription.keywords"),
        (sound(transcription=None), "session.audio.input.transcription"),
        (sound(turn_detection={"type": "semantic_vad"}), "session.audio.input.turn_detection.type"),
        (
            sound(turn_detection={"create_response": True}),
            "session.audio.input.turn_detection.create_response",
        ),
        (sound(turn_detection={"threshold": float("nan")}), "session.audio.input.turn_detection.threshold"),
        (sound(turn_detection={"threshold": 1}), "session.audio.input.turn_detection.threshold"),
        (
            sound(turn_detection={"silence_duration_ms": 0}),
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            sound(turn_detection={"prefix_padding_ms": 10**9}),
            "session.audio.input.turn_detection.prefix_padding_ms",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_name(session, param):
    with pytest.raises(RequestError) as refused:
        UPDATES.updated(Settings(), session)
    assert refused.value.param == param
    assert refused.value.message.startswith(param)
