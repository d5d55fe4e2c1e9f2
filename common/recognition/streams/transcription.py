"""Transcription of a signal while it arrives, utterance by utterance."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from common.data.signal import Signal
from common.decoding.labelled import LabelDecoder
from common.recognition.streams.steps import PIECE_STEPS, StepStream
from common.recognition.streams.utterance import Ended, EndpointConfig, Limits, Utterance
from common.text.document import Interval, Passage

if TYPE_CHECKING:
    from common.recognition.recognizer import Recognizer
    from common.recognition.runtime import OnnxRecognizer


class Partial(NamedTuple):
    """The text of the present utterance so far, and the utterances that have ended since the last piece.

    settled: the part that is final.
    tentative: the likeliest continuation, which may still change.
    passages: the utterances, with their places in the stream.
    """

    settled: str
    tentative: str
    passages: tuple[Passage, ...] = ()

    @property
    def text(self) -> str:
        """The whole text of the present utterance."""
        return self.settled + self.tentative


class Stream:
    """The transcription of one signal that is still arriving.

    What is kept belongs to the present utterance, so that a stream with endpoints may have any length.

    Args:
        recognizer: the model; its encoder must read in one direction.
        source: name of the signal.
        unit_per_step: seconds, or pixels of the original, for one step of the signal; None if lengths and
            positions have the same unit, as with sound.
        endpoints: when an utterance ends; None for one utterance of any length.
        alternatives: number of other readings of each utterance; only the beam search has any.

    Attributes:
        recognizer, source: those arguments.

    Raises:
        ValueError: the recognizer needs the whole signal; the message says how to train one that does not.
            Or the silence that ends an utterance is too short or too long.
    """

    def __init__(
        self,
        recognizer: "Recognizer | OnnxRecognizer",
        source: str = "",
        unit_per_step: float | None = None,
        endpoints: EndpointConfig | None = None,
        alternatives: int = 0,
    ) -> None:
        self.recognizer, self.source, self._count = recognizer, source, alternatives + 1
        per_length = recognizer.modality.steps_per_length(recognizer.signal_config)
        self._unit_per_step = unit_per_step or 1 / per_length
        if recognizer.task != "ctc" or isinstance(recognizer.decoder, LabelDecoder):
            raise ValueError(f"a model of --task {recognizer.task} cannot follow a stream; take one of ctc")
        self._decoder, self._steps = recognizer.decoder, StepStream(recognizer)
        step = recognizer.stride * self._unit_per_step
        self._limits = None if endpoints is None else Limits.of(endpoints, step)
        self._utterance = Utterance(self._decoder, 0, self._limits)
        self._settled = ""  # text of the present utterance
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
        passages = tuple(self._decode(self._steps.feed(values)))
        whole, settled = self._extended(self._settled, self._utterance.tentative), self._settled
        if self._collapse:
            whole, settled = whole.rstrip(), settled.rstrip()
        return Partial(settled, whole[len(settled) :], passages)

    def finish(self) -> tuple[Passage, ...]:
        """End the signal here, and return the last utterances.

        They have texts, except where the whole signal has none. If no utterance has ended before, there is
        one, with the transcript that `Transcriber.transcribe` gives for the whole signal.
        """
        passages = self._decode(self._steps.finish())
        last = self._passage(self._utterance.ended(self._count), last=True)
        return (*passages, *([last] if last.transcript.text.strip() or last.whole else []))

    def _decode(self, log_probs: np.ndarray) -> list[Passage]:
        """Decode the next steps (S, C), and return the utterances with texts that end in them."""
        found = []
        pieces = [log_probs[start : start + PIECE_STEPS] for start in range(0, len(log_probs), PIECE_STEPS)]
        coming = pieces[::-1]  # the next is the last
        while coming:
            piece = coming.pop()
            room = self._utterance.room(piece)
            update = self._utterance.feed(piece[:room])
            self._settled = self._extended(self._settled, update.settled)
            if room < len(piece):
                coming.append(piece[room:])
            if self._utterance.is_over:
                ended = self._utterance.ended(self._count)
                passage = self._passage(ended)
                if passage.transcript.text.strip():
                    found.append(passage)
                rest = self._utterance.rows(ended.end)
                self._utterance = Utterance(self._decoder, self._utterance.start + ended.end, self._limits)
                self._settled = ""
                if len(rest):
                    coming.append(rest)
        return found

    def _passage(self, ended: Ended, last: bool = False) -> Passage:
        """Return the present utterance with its place in the stream."""
        recognizer, first = self.recognizer, self._utterance.start * self.recognizer.stride
        length = self.received - first if last else ended.end * recognizer.stride
        # only the length of this signal is used
        signal = Signal(np.broadcast_to(np.float32(0), max(0, length)), self._unit_per_step)
        start = first * self._unit_per_step
        return Passage(
            recognizer.placing.transcript(ended.hypotheses, ended.end, signal, self.source),
            Interval(start, start + signal.length),
            whole=last and not first,
        )

    def _extended(self, text: str, labels: list[int]) -> str:
        """Return `text` followed by `labels`, with one space between words if the model learnt such texts."""
        for character in self.recognizer.decoder.alphabet.decode(labels):
            if not (self._collapse and character.isspace() and text[-1:].strip() == ""):
                text += character
        return text
