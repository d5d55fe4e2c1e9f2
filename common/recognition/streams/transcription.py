"""Transcription of a signal while it arrives."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from common.data.signal import Signal
from common.decoding.labelled import LabelDecoder
from common.decoding.stream import decoding_stream
from common.recognition.streams.steps import StepStream
from common.text.transcript import Transcript

if TYPE_CHECKING:
    from common.recognition.recognizer import Recognizer
    from common.recognition.runtime import OnnxRecognizer


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

    Raises:
        ValueError: the recognizer needs the whole signal; the message says how to train one that does not.
    """

    def __init__(
        self,
        recognizer: "Recognizer | OnnxRecognizer",
        source: str = "",
        unit_per_step: float | None = None,
    ) -> None:
        self.recognizer, self.source = recognizer, source
        self._unit_per_step = unit_per_step or 1 / recognizer.modality.steps_per_length(
            recognizer.signal_config
        )
        if recognizer.task != "ctc" or isinstance(recognizer.decoder, LabelDecoder):
            raise ValueError(f"a model of --task {recognizer.task} cannot follow a stream; take one of ctc")
        self._steps = StepStream(recognizer)
        self._decoding = decoding_stream(recognizer.decoder)
        self._settled, self._tentative = "", list[int]()
        self._collapse = recognizer.alphabet.whitespace == "collapse"

    @property
    def received(self) -> int:
        """Number of signal steps that have arrived."""
        return self._steps.received

    @property
    def steps(self) -> int:
        """Number of network steps that are computed and decoded."""
        return self._steps.steps

    def feed(self, values: np.ndarray) -> Partial:
        """Read the next piece (T, ...) of the signal, of any length, and return the text so far.

        Raises:
            ValueError: the values have another shape.
        """
        self._decode(self._steps.feed(values))
        whole, settled = self._extended(self._settled, self._tentative), self._settled
        if self._collapse:
            whole, settled = whole.rstrip(), settled.rstrip()
        return Partial(settled, whole[len(settled) :])

    def finish(self, alternatives: int = 0) -> Transcript:
        """End the signal here, and return the transcript that `Transcriber.transcribe` gives for the whole.

        Args:
            alternatives: number of other readings; only the beam search has any.
        """
        self._decode(self._steps.finish())
        # only the length of this signal is used
        signal = Signal(np.broadcast_to(np.float32(0), self.received), self._unit_per_step)
        hypotheses = self._decoding.hypotheses(alternatives + 1)
        return self.recognizer.placing.transcript(hypotheses, self.steps, signal, self.source)

    def _decode(self, log_probs: np.ndarray) -> None:
        """Decode the next steps (S, C)."""
        if len(log_probs):
            settled, self._tentative = self._decoding.feed(log_probs)
            self._settled = self._extended(self._settled, settled)

    def _extended(self, text: str, labels: list[int]) -> str:
        """Return `text` followed by `labels`, with one space between words if the model learnt such texts."""
        for character in self.recognizer.alphabet.decode(labels):
            if not (self._collapse and character.isspace() and text[-1:].strip() == ""):
                text += character
        return text
