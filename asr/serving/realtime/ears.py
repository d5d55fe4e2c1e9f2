"""From live sound to the segments that are computed, with turns or without."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from asr.configuration import SegmentationConfig
from asr.segmentation.utterances import Edge, Listen, Utterances
from asr.signal import BLOCK_S, Resampler, within_full_scale
from common.data.signal import Segment, Signal
from common.recognition.modality import whole
from common.recognition.transcriber import Transcriber


class Ear(Protocol):
    """Hears sound in pieces."""

    @property
    def heard_s(self) -> float:
        """Duration of all the sound."""

    @property
    def held_s(self) -> float:
        """Duration of the sound that a commit would be about."""

    def hear(self, samples: np.ndarray) -> Sequence[Segment | Edge]:
        """Return what is known with the next samples (N,)."""

    def end(self) -> Sequence[Segment | Edge]:
        """Return the rest of sound that ends here."""


class TurnEar:
    """Hears when somebody begins and ends to speak.

    Args:
        recognizer: what reads the segments.
        rate_hz: samples per second that come.
        config: when speech begins and ends.
        listen: returns the network that judges whether somebody speaks.
    """

    def __init__(
        self, recognizer: Transcriber, rate_hz: int, config: SegmentationConfig, listen: Listen
    ) -> None:
        wanted_hz = recognizer.signal_config.sample_rate_hz
        self._rate_hz, self._resampler = rate_hz, Resampler(rate_hz, wanted_hz)
        self._utterances = Utterances(wanted_hz, config, recognizer.model_steps, listen)
        self.heard_s = self._reached_s = 0.0

    @property
    def held_s(self) -> float:
        """Duration of the sound after the last turn."""
        return self.heard_s - self._reached_s

    def hear(self, samples: np.ndarray) -> Sequence[Segment | Edge]:
        """Return segments of turns, and where turns begin and end, that are known with the next samples."""
        self.heard_s += len(samples) / self._rate_hz
        return self._noted(list(self._utterances.feed(self._resampler.feed(samples))))

    def end(self) -> Sequence[Segment | Edge]:
        """Return the rest of the last turn."""
        rest = list(self._utterances.feed(self._resampler.finish()))
        return self._noted([*rest, *self._utterances.finish()])

    def _noted(self, found: list[Segment | Edge]) -> list[Segment | Edge]:
        ends = [one.time_s for one in found if isinstance(one, Edge) and not one.begins]
        self._reached_s = max([self._reached_s, *ends])
        return found


class BufferEar:
    """Hears a buffer that ends when the client says so; its segments are those of a file with this sound.

    A file of at most `vad_max_speech_duration_s` is one segment, and a longer one is read in blocks of
    BLOCK_S. So nothing is known before there is more.

    Args:
        recognizer: what reads the segments; its segmentation counts.
        rate_hz: samples per second that come.
        listen: returns the network that judges whether somebody speaks.
    """

    def __init__(self, recognizer: Transcriber, rate_hz: int, listen: Listen) -> None:
        config, wanted_hz = recognizer.segmentation_config, recognizer.signal_config.sample_rate_hz
        self._rate_hz, self._wanted_hz = rate_hz, wanted_hz
        self._resampler = Resampler(rate_hz, wanted_hz)
        self._utterances = Utterances(wanted_hz, config, recognizer.model_steps, listen)
        self._longest_s, self._block = config.vad_max_speech_duration_s, round(BLOCK_S * rate_hz)
        self._rest = np.zeros(0, np.float32)  # what has not filled a block yet
        self._blocks = list[np.ndarray]()  # before it is known that the buffer is long
        self._count = 0

    @property
    def heard_s(self) -> float:
        """Duration of the buffer."""
        return self._count / self._rate_hz

    @property
    def held_s(self) -> float:
        """Duration of the buffer."""
        return self.heard_s

    def hear(self, samples: np.ndarray) -> Sequence[Segment | Edge]:
        """Return the segments that are known with the next samples (N,)."""
        self._count += len(samples)
        self._rest = np.concatenate([self._rest, samples])
        full = len(self._rest) // self._block * self._block
        for start in range(0, full, self._block):
            self._blocks.append(self._resampler.feed(self._rest[start : start + self._block]))
        self._rest = self._rest[full:]
        return self._cut() if self.heard_s > self._longest_s else []

    def end(self) -> Sequence[Segment | Edge]:
        """Return the rest of the buffer, or all of it as one segment."""
        if len(self._rest):
            self._blocks.append(self._resampler.feed(self._rest))
        last = self._resampler.finish()
        if len(last):
            self._blocks.append(last)
        if self.heard_s > self._longest_s:
            return [*self._cut(), *(one for one in self._utterances.finish() if isinstance(one, Segment))]
        samples = within_full_scale(np.concatenate(self._blocks))
        return [whole(Signal(samples, 1 / self._wanted_hz))]

    def _cut(self) -> list[Segment | Edge]:
        found = [one for block in self._blocks for one in self._utterances.feed(block)]
        self._blocks.clear()
        return [one for one in found if isinstance(one, Segment)]
