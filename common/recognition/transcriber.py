"""From sources to documents: what every recognizer does, whatever computes its log-probabilities.

sources -> segments -> batches of like length      reading.py
        -> log-probabilities                       a subclass: recognizer.py (torch), runtime.py (ONNX)
        -> hypotheses                              the decoder; windows are joined (passages/)
        -> transcripts                             placing.py
        -> one document for each source
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from common.data.frame_targets import FrameLabels
from common.data.signal import Segment, Segmentation, Signal, Source
from common.decoding.arrays import Array, to_numpy
from common.decoding.decoder import Decoder
from common.decoding.hypothesis import Hypothesis
from common.decoding.labelled import LabelDecoder
from common.recognition.modality import Modality, ModelSteps, whole
from common.recognition.passages.choosing import SecondModel, of_each_source
from common.recognition.passages.joining import (
    Arrival,
    after_passages,
    by_passage,
    extent,
    is_window,
    own_steps,
)
from common.recognition.passages.margins import margin_of
from common.recognition.passages.turning import is_surer, may_be_upside_down, upside_down
from common.recognition.placing import Placing
from common.recognition.reading import (
    Computed,
    Content,
    OneSource,
    Reading,
    Refuse,
    Wanted,
    each_source,
    name_of,
)
from common.text.document import Document, Passage, Place
from common.text.symbols import Symbols
from common.text.transcript import Transcript

log = logging.getLogger(__name__)

Output = TypeVar("Output")
BACKWARDS = "its encoder reads from the end, too (train with --no-bidirectional)"
"""why a model cannot follow a stream"""


class LogProbs(NamedTuple):
    """Log-probabilities of a batch.

    values: (B, S, C); a tensor on the GPU for a model that is there, else an array.
    lengths: (B,) real steps.
    """

    values: Array
    lengths: np.ndarray

    def each(self) -> list[np.ndarray]:
        """Return the log-probabilities (S, C) of each signal without padding."""
        return [one[:length] for one, length in zip(to_numpy(self.values), self.lengths, strict=True)]


class Transcriber:
    """A recognizer without its network: a subclass has these attributes and computes the log-probabilities.

    Attributes:
        modality, alphabet: kind of signal, and symbols of the model.
        task: "ctc" and "attention" write texts; "frames" gives a label to each step, "classify" one in all.
        signal_config: how signals are read for the model.
        card: facts about the model (training data, metrics, licence ...).
        decoder: makes hypotheses of the log-probabilities.
        second: reads sources that this one is unsure of, if it is not None.
        spelling: reads with hot words, if this one has none and there is such a model; else None.
        stride, offset: step s of the log-probabilities covers the signal steps from s x stride + offset on.
    """

    modality: Modality
    alphabet: Symbols
    card: dict[str, Any]
    decoder: Decoder | LabelDecoder
    second: "SecondModel[Transcriber] | None" = None
    spelling: "SecondModel[Transcriber] | None" = None

    @cached_property
    def segmentation_config(self) -> Any:
        """How sources are cut into segments, a `modality.segmentation_config`; it may be set."""
        return self.modality.segmentation_config()

    @property
    def language(self) -> str:
        """The code of the one language that the model reads, "" if there are several or none is stated."""
        languages = self.card.get("languages")
        return str(languages[0]) if isinstance(languages, list) and len(languages) == 1 else ""

    @property
    @abstractmethod
    def task(self) -> str:
        """What the model has learnt."""

    @property
    @abstractmethod
    def frame_labels(self) -> FrameLabels:
        """What a step is labelled with, for the task "frames"."""

    @property
    @abstractmethod
    def signal_config(self) -> Any:
        """How signals are read for the model."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Signal steps for one step of the log-probabilities."""

    @property
    @abstractmethod
    def offset(self) -> float:
        """Start of the first step, in signal steps."""

    @property
    def workers(self) -> int:
        """How many batches are computed at a time, each in a thread."""
        return 1

    @property
    def parameter_count(self) -> int | None:
        """Number of trained parameters, where it is known."""
        return None

    @property
    def placing(self) -> Placing:
        """Makes transcripts of hypotheses."""
        whole_signal = self.task == "classify"
        return Placing(self.decoder.alphabet, self.stride, self.offset, self.modality.unit, whole_signal)

    @property
    def model_steps(self) -> ModelSteps:
        """What cutting a source depends on in this model."""
        return ModelSteps(self.task, self.stride if self.task == "ctc" else None)

    @property
    def computes_alone(self) -> bool:
        """Whether the network computes each signal of a batch by itself."""
        return False

    @property
    def reads_both_ways(self) -> bool:
        """Whether a step depends on all steps after it."""
        return False

    def margin(self, signal: np.ndarray) -> int:
        """Return the steps of silence with which a signal (T, ...) is computed at each end."""
        if self.task != "ctc" or not self.reads_both_ways:
            return 0
        return margin_of(signal, self.modality, self.signal_config)

    # --- one batch

    @abstractmethod
    def log_probs(self, signals: Sequence[np.ndarray]) -> LogProbs:
        """Return the log-probabilities of `signals` (T, ...), computed as one batch."""

    def compute(self, signals: Sequence[np.ndarray]) -> Any:
        """Return the output that `hypotheses` and `texts` read, for `signals` (T, ...) as one batch."""
        return self.log_probs(signals)

    def hypotheses(self, output: Any, count: int = 1) -> tuple[list[list[Hypothesis]], np.ndarray]:
        """Return up to `count` hypotheses of each signal of a batch, best first, and the lengths (B,)."""
        return self.decoder.decode(output.values, output.lengths, count), output.lengths

    def texts(self, output: Any) -> list[str]:
        """Return the best text of each signal of a batch, without positions and confidences."""
        return self.decoder.texts(output.values, output.lengths)

    # --- many sources

    def batches(
        self,
        sources: Iterable[Source | Signal],
        compute: Callable[[Sequence[np.ndarray]], Output],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[Computed[Output]]:
        """Yield the output of `compute` in batches of like length, each source being one segment.

        The other arguments and the errors are those of `transcribe`.
        """
        reading = self.reading(self.read_whole, batch_budget, window, refuse)
        return reading.batches(reading.windows(Wanted(source) for source in sources), compute)

    def transcribe(
        self,
        sources: OneSource | Iterable[OneSource],
        batch_budget: float | None = None,
        window: int = 256,
        alternatives: int = 0,
        refuse: Refuse = None,
    ) -> Iterator[Transcript]:
        """Yield the transcripts of all segments of each source, in order.

        A line image or a short utterance is one segment. `documents` has the same arguments, and gives what
        belongs to one source together.

        Args:
            sources: paths, open binary files, contents of files as bytes, or signals already read under
                `signal_config`; or only one of these.
            batch_budget: padded length of one batch in the modality's length unit; None for its default.
            window: the largest number of signals sorted by length at a time; fewer, if they are long.
            alternatives: number of other readings of each signal; only the beam search has any.
            refuse: takes a sentence for each source that cannot be read, which is then left out.

        Raises:
            ValueError: without `refuse`, the first source that cannot be read; an array, which has no rate.
        """
        for document in self.documents(sources, batch_budget, window, alternatives, refuse):
            yield from document.transcripts

    def documents(
        self,
        sources: OneSource | Iterable[OneSource],
        batch_budget: float | None = None,
        window: int = 256,
        alternatives: int = 0,
        refuse: Refuse = None,
    ) -> Iterator[Document]:
        """Yield the document of each source: its transcripts with their places, in reading order.

        Arguments and errors are those of `transcribe`. Batches mix the segments of many sources.
        """
        passages = list[Passage]()
        for one in self.passages(sources, batch_budget, window, alternatives, refuse):
            if one.passage is not None:
                passages.append(one.passage)
            if one.last:
                yield self.document(one, passages)
                passages = []

    def document(self, arrival: Arrival, passages: Sequence[Passage]) -> Document:
        """Return a document of passages of one source, of which `arrival` is the last so far."""
        page, complete = arrival.page, arrival.last and arrival.complete
        language = self.language if arrival.language is None else arrival.language
        if page is not None and page.has_text:
            language = ""
        return Document(arrival.source, tuple(passages), self.modality.unit, page, complete, language)

    def passages(
        self,
        sources: OneSource | Iterable[OneSource],
        batch_budget: float | None = None,
        window: int = 256,
        alternatives: int = 0,
        refuse: Refuse = None,
        done: Callable[[str], int] = lambda _: 0,
    ) -> Iterator[Arrival]:
        """Yield the passages of each source in order, each as soon as it is read.

        `done` returns how many passages of a source, by its name, are known already; they are left out. The
        other arguments and the errors are those of `transcribe`. With a second model those of a source come
        together, since all of them tell which one reads it.
        """
        settings = batch_budget, window, alternatives, refuse, done
        second, waiting = self.second, dict[int, Source | Signal]()

        def again(recognizer: Transcriber, source: Source) -> Iterator[Arrival]:
            recognizer.segmentation_config = self.segmentation_config
            return recognizer.arrivals([source], *settings)

        def noted() -> Iterator[Source | Signal]:
            for number, source in enumerate(each_source(sources)):
                waiting[number] = source
                yield source

        if second is None:
            for one in self.arrivals(each_source(sources), *settings):
                _notify(one)
                yield one
            return
        for together in of_each_source(self.arrivals(noted(), *settings)):
            source = waiting[together[0].number]
            for number in [number for number in waiting if number <= together[0].number]:
                del waiting[number]  # also of sources that could not be read
            for one in second.surer(source, together, again):
                _notify(one)
                yield one

    def arrivals(
        self,
        sources: Iterable[Source | Signal],
        batch_budget: float | None,
        window: int,
        alternatives: int,
        refuse: Refuse,
        done: Callable[[str], int],
    ) -> Iterator[Arrival]:
        """Yield the passages of each source as this model alone reads them; arguments as of `passages`."""
        reading = self.reading(self._segments_after(done), batch_budget, window, refuse)

        def finish(batch: Computed[Any]) -> list[Any]:
            return self._finished(batch, alternatives)

        wanted = (Wanted(source) for source in sources)
        for items, found in by_passage(reading.results(wanted, self.compute, finish)):
            item, passage, notice = items[-1], None, ""
            if item.segment is not None:
                segment, (place, signal) = item.segment, extent([one.present for one in items])
                transcript = segment.known
                if transcript is None:
                    single = len(items) == 1 and not is_window(segment)
                    hypotheses, steps = (
                        found[0] if single else self._decoded(np.concatenate(found), alternatives)
                    )
                    transcript = self.placing.transcript(hypotheses, steps, signal, item.name)
                    if self.may_be_upside_down(segment, transcript):
                        transcript, place, notice = self._as_it_lies(segment, transcript, place, alternatives)
                passage = Passage(transcript, place, segment.whole, segment.region, segment.name)
            known = item.page, item.complete, item.place, self.language
            yield Arrival(item.name, passage, item.last, *known, notice)

    def may_be_upside_down(self, segment: Segment, transcript: Transcript) -> bool:
        """Return whether a segment is the image of a line whose text is to be read the other way, too."""
        return (
            segment.known is None
            and self.task in ("ctc", "attention")
            and may_be_upside_down(segment, transcript)
        )

    def _as_it_lies(
        self, segment: Segment, transcript: Transcript, place: Place, alternatives: int
    ) -> tuple[Transcript, Place, str]:
        """Return the transcript and place of a line, those of the surer one of both ways, and what to say."""
        turned = upside_down(segment)
        found, lengths = self.hypotheses(self.compute([turned.signal.values]), alternatives + 1)
        other = self.placing.transcript(found[0], int(lengths[0]), turned.signal, transcript.source)
        if not is_surer(other, transcript):
            return transcript, place, ""
        said = "is upside down, and is read so; places are those of the image as it is"
        return other, turned.place, f"{transcript.source}: {said}"

    def _finished(self, batch: Computed[Any], alternatives: int) -> list[Any]:
        """Return hypotheses and steps of each segment of a batch; of a window its log-probabilities."""
        windows = [is_window(item.present) for item in batch.items]
        if not any(windows):
            found, lengths = self.hypotheses(batch.output, alternatives + 1)
            return list(zip(found, lengths.tolist(), strict=True))
        return [
            own_steps(rows, item.present, self.stride) if apart else self._decoded(rows, alternatives)
            for rows, item, apart in zip(batch.output.each(), batch.items, windows, strict=True)
        ]

    def _decoded(self, log_probs: np.ndarray, alternatives: int) -> tuple[list[Hypothesis], int]:
        """Return the hypotheses of log-probabilities (S, C), and S."""
        output = LogProbs(log_probs[None], np.array([len(log_probs)]))
        found, _ = self.hypotheses(output, alternatives + 1)
        return found[0], len(log_probs)

    def reading(
        self,
        read: Callable[[Source | Signal, str | None], Content],
        batch_budget: float | None,
        window: int,
        refuse: Refuse,
    ) -> Reading:
        """Return what reads sources ahead, and puts their segments into batches.

        `read` returns the content of a source; the other arguments are those of `transcribe`.
        """
        budget = batch_budget
        if budget is None:
            searched = self.computes_alone and self.task == "ctc" and self.decoder.config.decoder == "beam"
            budget = self.modality.batch_budget * (self.modality.search_batches if searched else 1)
        steps = budget * self.modality.steps_per_length(self.signal_config)
        return Reading(read, steps, window, self.workers, refuse)

    def _segments_after(self, done: Callable[[str], int]) -> Callable[[Source | Signal, str | None], Content]:
        """Return `read_segments` without the passages that are known already."""

        def read(source: Source | Signal, text: str | None) -> Content:
            content, known = self.read_segments(source, text), done(name_of(source))
            if not known:
                return content
            return content._replace(segments=after_passages(content.segments, known))

        return read

    def read_segments(self, source: Source | Signal, text: str | None) -> Content:
        """Return all segments of a source."""
        if isinstance(source, Signal):
            return self.read_whole(source, text)
        found = self.segmentation(source)
        return Content(found.segments, [], found.page)

    def segmentation(self, source: Source) -> Segmentation:
        """Return the segments of a source in order; ValueError if it cannot be read."""
        return self.modality.segmentation(
            source, self.signal_config, self.segmentation_config, self.model_steps
        )

    def read_whole(self, source: Source | Signal, text: str | None) -> Content:
        """Return a source as one segment, and the labels of its text where that is known."""
        labels = [] if text is None else self.labels(text, name_of(source))
        if not isinstance(source, Signal):
            source = self.modality.read(source, self.signal_config)
        return Content([whole(source)], labels)

    def labels(self, text: str, source: str) -> list[int]:
        """Return the labels of a text; ValueError, with the name of its source, if it cannot be written."""
        if unknown := self.alphabet.unknown(text):
            raise ValueError(
                f"{source or 'a text'}: its text has {', '.join(map(repr, unknown))}, not in the alphabet of"
                f" {len(self.alphabet.symbols)} symbols; write it with those, or take another model"
            )
        return self.alphabet.encode(text)


def _notify(arrival: Arrival) -> None:
    """Log what is to be said of a passage."""
    if arrival.notice:
        log.warning("%s", arrival.notice)
