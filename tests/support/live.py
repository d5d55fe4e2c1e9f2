"""A client of live sound in this process, and sound that is known to the sample."""

import base64
import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

REALTIME = "/v1/realtime?intent=transcription"
TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Level:
    """Takes all that is not digital silence for speech."""

    step_s = 0.02

    def __init__(self, rate_hz: int) -> None:
        self._size, self._rest = round(self.step_s * rate_hz), np.zeros(0, np.float32)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // self._size
        self._rest = samples[count * self._size :]
        rows = samples[: count * self._size].reshape(count, self._size)
        return (np.abs(rows) > 1e-3).any(1).astype(np.float32)

    def finish(self) -> np.ndarray:
        return np.zeros(0, np.float32)


def pcm_of(content: bytes) -> bytes:
    """Return the samples of a 16-bit file."""
    samples, _ = soundfile.read(io.BytesIO(content), dtype="int16")
    return samples.astype("<i2").tobytes()


def update(turns: Any = None, rate_hz: int = 24000, **others: Any) -> dict[str, Any]:
    """Return the event that sets a session."""
    sound = {"format": {"type": "audio/pcm", "rate": rate_hz}, "turn_detection": turns, **others}
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": sound}}}


def appends(pcm: bytes, *sizes: int) -> Iterator[dict[str, Any]]:
    """Yield the events that append samples, in pieces of these sizes in turn."""
    start = 0
    for size in itertools.cycle(sizes or (9600,)):
        if start >= len(pcm):
            return
        audio = base64.b64encode(pcm[start : start + size]).decode()
        yield {"type": "input_audio_buffer.append", "audio": audio}
        start += size


def until(socket: Any, kind: str) -> list[dict[str, Any]]:
    """Return the events up to one of a kind."""
    found = [socket.receive_json()]
    while found[-1]["type"] != kind:
        assert found[-1]["type"] != "error", found[-1]
        found.append(socket.receive_json())
    return found


def committed(socket: Any, pcm: bytes, *sizes: int) -> list[dict[str, Any]]:
    """Append samples, commit them, and return the events up to their text."""
    for event in appends(pcm, *sizes):
        socket.send_json(event)
    socket.send_json({"type": "input_audio_buffer.commit"})
    return until(socket, f"{TRANSCRIPTION}.completed")
