"""Transcription of a signal while it arrives: a step is computed when its whole context is there.

    signal            |----------------------------|            what has arrived
    front end    |before|  step  |  step  |after|               a step depends on some context around it
    kept              |----------------|                        the context of later steps
    encoder, decoder  their state

The front end reads the kept part and the new part together. Only those of its steps are used whose context
lies inside. So the log-probabilities equal those of the whole signal, except for rounding.
"""

from typing import NamedTuple

import numpy as np
import torch

from common.data.signal import Signal
from common.decoding.labelled import LabelDecoder
from common.decoding.stream import decoding_stream
from common.network.heads import head_outputs
from common.network.recurrent import State
from common.recognition.recognizer import Recognizer
from common.text.transcript import Transcript

PIECE = 256
"""most steps that are computed at a time; this limits the memory for long pieces"""


class Partial(NamedTuple):
    """The text so far: the part that is final, and the likeliest continuation, which may still change."""

    settled: str
    tentative: str

    @property
    def text(self) -> str:
        """The whole text."""
        return self.settled + self.tentative


class Stream:
    """The transcription of one signal that is still arriving.

    Args:
        recognizer: the model; its encoder must read in one direction.
        source: name of the signal.
        unit_per_step: seconds, or pixels of the original, for one step of the signal; None if lengths and
            positions have the same unit, as with sound.

    Attributes:
        recognizer, source: those arguments.
        received: number of signal steps that have arrived.
        steps: number of network steps that are computed and decoded.

    Raises:
        ValueError: the recognizer needs the whole signal; the message says how to train one that does not.
    """

    def __init__(self, recognizer: Recognizer, source: str = "", unit_per_step: float | None = None) -> None:
        self.recognizer, self.source = recognizer.eval(), source
        self._before, self._behind = _context(recognizer)
        self._unit_per_step = unit_per_step or 1 / recognizer.modality.steps_per_length(
            recognizer.signal_config
        )
        self.received = self.steps = 0
        shape = getattr(recognizer.front_end, "step_shape", ())
        self._kept = np.zeros(
            (0, *shape), np.float32
        )  # the signal from step _first on, which is a multiple of stride
        self._first = 0
        self._state: State | None = None
        if recognizer.task != "ctc" or isinstance(recognizer.decoder, LabelDecoder):
            raise ValueError(f"a model of --task {recognizer.task} cannot follow a stream; take one of ctc")
        self._decoding = decoding_stream(recognizer.decoder)
        self._settled, self._tentative = "", list[int]()
        self._collapse = recognizer.alphabet.whitespace == "collapse"

    def feed(self, values: np.ndarray) -> Partial:
        """Read the next piece (T, ...) of the signal, of any length, and return the text so far.

        Raises:
            ValueError: the values have another shape.
        """
        if values.shape[1:] != self._kept.shape[1:]:
            wanted = ", ".join(["T", *map(str, self._kept.shape[1:])])
            raise ValueError(f"a piece of shape {values.shape}, where ({wanted}) was wanted")
        self.received += len(values)
        most = PIECE * self.recognizer.stride
        for start in range(0, len(values), most):
            self._kept = np.concatenate([self._kept, values[start : start + most]], dtype=np.float32)
            self._advance()
        return self._partial()

    def finish(self, alternatives: int = 0) -> Transcript:
        """End the signal here, and return the transcript that `Recognizer.transcribe` gives for the whole.

        Args:
            alternatives: number of other readings; only the beam search has any.
        """
        lacking = self.recognizer.front_end.shortest - self.received
        if lacking > 0:
            self._kept = np.concatenate([self._kept, np.zeros((lacking, *self._kept.shape[1:]), np.float32)])
        self._advance(last=True)
        # only the length of this signal is used
        signal = Signal(np.broadcast_to(np.float32(0), self.received), self._unit_per_step)
        hypotheses = self._decoding.hypotheses(alternatives + 1)
        return self.recognizer.placing.transcript(hypotheses, self.steps, signal, self.source)

    def _advance(self, last: bool = False) -> None:
        """Compute and decode all steps whose context has arrived; at the end, all steps."""
        stride = self.recognizer.stride
        ready = (self._first + len(self._kept) - self._behind) // stride
        if not last and ready <= self.steps:
            return
        log_probs = self._log_probs(None if last else ready)
        settled, self._tentative = self._decoding.feed(log_probs)
        self._settled = self._extended(self._settled, settled)
        self.steps += len(log_probs)
        first = max(0, (self.steps * stride - self._before) // stride * stride)
        self._kept, self._first = self._kept[first - self._first :].copy(), first

    @torch.inference_mode()
    def _log_probs(self, end: int | None) -> np.ndarray:
        """Return the log-probabilities (S, C) of the next steps before step `end`; None for all there are."""
        recognizer, skipped = self.recognizer, self._first // self.recognizer.stride
        signals = torch.from_numpy(self._kept).to(recognizer.device)[None]  # (1, T, ...)
        features, _ = recognizer.front_end(signals, torch.tensor([len(self._kept)], device=signals.device))
        features = features[:, self.steps - skipped : None if end is None else end - skipped]  # (1, S, D)
        if not features.shape[1]:
            return np.zeros((0, recognizer.alphabet.classes), np.float32)
        lengths = torch.tensor([features.shape[1]], device=signals.device)
        encoded, _, self._state = recognizer.encoder(features, lengths, self._state, keep_state=True)
        log_probs, _ = head_outputs(recognizer.head, encoded, lengths)
        return log_probs[0].float().cpu().numpy()

    def _extended(self, text: str, labels: list[int]) -> str:
        """Return `text` followed by `labels`, with one space between words if the model learnt such texts."""
        for character in self.recognizer.alphabet.decode(labels):
            if not (self._collapse and character.isspace() and text[-1:].strip() == ""):
                text += character
        return text

    def _partial(self) -> Partial:
        whole, settled = self._extended(self._settled, self._tentative), self._settled
        if self._collapse:
            whole, settled = whole.rstrip(), settled.rstrip()
        return Partial(settled, whole[len(settled) :])


def _context(recognizer: Recognizer) -> tuple[int, int]:
    """Return how many signal steps before and after its own a step depends on; ValueError if on all."""
    reasons, context = [], (0, 0)
    if recognizer.alphabet.direction:
        reasons.append("a line that is read from right to left begins with its end")
    if recognizer.encoder.bidirectional:
        reasons.append("its encoder reads from the end, too (train with --no-bidirectional)")
    try:
        context = recognizer.front_end.context
    except ValueError as error:
        reasons.append(str(error))
    if reasons:
        raise ValueError(f"this model cannot follow a stream: {' and '.join(reasons)}")
    return context
