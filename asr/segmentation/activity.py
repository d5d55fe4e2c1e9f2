"""Whether somebody speaks, for each step of a recording: by a network, or taken for certain."""

from typing import Protocol

import numpy as np

from asr.signal import Resampler
from common.recognition.streams.steps import StepRecognizer, StepStream

STEP_S = 0.04
"""duration of a step where no network has steps of its own"""
LEAST = 0.9
"""probability of digital silence where no network judges: even there, it might be speech"""
SPEECH = 1
"""the class of speech; 0 is everything else"""


class Activity(Protocol):
    """The probability of speech in a recording that comes in pieces."""

    @property
    def step_s(self) -> float:
        """The duration of a step in seconds."""

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Return the probabilities (S,) of the steps that are complete with the next samples (N,)."""

    def finish(self) -> np.ndarray:
        """Return the probabilities (S,) of the last steps."""


class HeardActivity:
    """The activity that a network hears.

    Args:
        model: a network of --task frames --frame-labels activity that follows a stream.
        model_rate_hz: samples per second of its signals.
        rate_hz: samples per second of the recording.
    """

    def __init__(self, model: StepRecognizer, model_rate_hz: int, rate_hz: int) -> None:
        self.step_s = model.stride / model_rate_hz
        self._steps = StepStream(model)
        self._resampler = Resampler(rate_hz, model_rate_hz)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Return the probabilities (S,) of the steps that are complete with the next samples (N,)."""
        return _speech(self._steps.feed(self._resampler.feed(samples)))

    def finish(self) -> np.ndarray:
        """Return the probabilities (S,) of the last steps."""
        rest = self._steps.feed(self._resampler.finish())
        return np.concatenate([_speech(rest), _speech(self._steps.finish())])


class AssumedActivity:
    """Speech everywhere; a little less certain where it is quiet, so that a cut that must be is there.

    Args:
        rate_hz: samples per second of the recording.
    """

    def __init__(self, rate_hz: int) -> None:
        self._size = round(STEP_S * rate_hz)
        self.step_s = self._size / rate_hz
        self._rest = np.zeros(0, np.float32)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Return the probabilities (S,) of the steps that are complete with the next samples (N,)."""
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // self._size
        self._rest = samples[count * self._size :]
        return _certainty(samples[: count * self._size].reshape(count, self._size))

    def finish(self) -> np.ndarray:
        """Return the probabilities (S,) of the last steps."""
        return _certainty(self._rest[None]) if len(self._rest) else np.zeros(0, np.float32)


def _speech(log_probs: np.ndarray) -> np.ndarray:
    return np.exp(log_probs[:, SPEECH]) if log_probs.size else np.zeros(0, np.float32)


def _certainty(samples: np.ndarray) -> np.ndarray:
    """Return a number from LEAST to 1 for each row of samples (S, N), by its level from -100 to 0 dB."""
    power = np.square(samples, dtype=np.float64).mean(1)
    level = 1 + np.log10(np.clip(power, 1e-10, 1)) / 10
    return LEAST + (1 - LEAST) * level
