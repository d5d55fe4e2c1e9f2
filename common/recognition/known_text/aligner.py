"""From sources and their known texts to where each word is."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from common.data.signal import Signal, Source
from common.recognition.known_text.left_out import LeftOut
from common.recognition.known_text.placing import Aligned, Heard, align_text
from common.recognition.known_text.text import read_text
from common.recognition.passages.joining import by_passage, extent, own_steps
from common.recognition.reading import Computed, Refuse, Wanted, refusing
from common.recognition.transcriber import LogProbs, Transcriber
from common.text.document import Document
from common.text.phonetic.phones import Phones
from common.text.transcript import Transcript


class Aligner:
    """Finds the words of known texts in sources.

    Args:
        recognizer: its network hears them.
    """

    def __init__(self, recognizer: Transcriber) -> None:
        self.recognizer = recognizer

    def align(
        self,
        sources: Iterable[Source | Signal],
        texts: Iterable[str],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[Transcript]:
        """Yield the transcript of each source that has its known text, with positions and confidences.

        The confidence of a character is the highest probability that the model gives it at its position, that
        of a word the product over its characters, and that of the text the one of every transcript. Near 0,
        the signal says something else than the text. For positions see `alignment.widen`.

        Args:
            sources: as for `Transcriber.transcribe`; each is one segment.
            texts: the texts of the sources.
            batch_budget: as for `Transcriber.transcribe`.
            window: as for `Transcriber.transcribe`.
            refuse: takes a sentence for each source that cannot be aligned, which is then left out.

        Raises:
            ValueError: without `refuse`, the first source that cannot be read, whose text has characters
                outside the alphabet, or whose text needs more steps than the signal has.
        """
        self._check()
        recognizer, placing = self.recognizer, self.recognizer.placing
        reading = recognizer.reading(recognizer.read_whole, batch_budget, window, refuse)
        wanted = (Wanted(source, text) for source, text in zip(sources, texts, strict=True))

        def finish(batch: Computed[LogProbs]) -> Iterator[Transcript | None]:
            for item, rows in zip(batch.items, batch.output.each(), strict=True):
                aligned = None
                with refusing(refuse):
                    aligned = placing.aligned(rows, item.labels, item.present.signal, item.name)
                yield aligned

        for _, aligned in reading.results(wanted, recognizer.log_probs, finish):
            if aligned is not None:
                yield aligned

    def align_recordings(
        self,
        sources: Iterable[Source | Signal],
        texts: Iterable[str],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[Aligned]:
        """Yield the document of each source, which may be hours long, and what it and its text do not share.

        A source that is one segment, with a text that the model can write, is aligned as by `align`: each
        word is found somewhere. Otherwise words that are not said have no place, sound may be added, and the
        text may have signs, capitals and numbers that the model lacks; it has the passages of
        `known_text.text.read_text`. Signals on paper are always one segment.

        Arguments and errors are those of `align`; an error also, if nothing of a text can be found.
        """
        self._check()
        recognizer, known = self.recognizer, dict[int, str]()

        def wanted() -> Iterator[Wanted]:
            for place, (source, text) in enumerate(zip(sources, texts, strict=True)):
                known[place] = text
                yield Wanted(source)

        read = recognizer.read_whole if recognizer.modality.on_paper else recognizer.read_segments
        reading, heard = recognizer.reading(read, batch_budget, window, refuse), list[Heard]()

        def finish(batch: Computed[LogProbs]) -> list[np.ndarray]:
            rows = zip(batch.output.each(), batch.items, strict=True)
            return [own_steps(one, item.present, recognizer.stride) for one, item in rows]

        for items, found in by_passage(reading.results(wanted(), recognizer.log_probs, finish)):
            item = items[-1]
            if item.segment is not None:
                segments = [one.present for one in items]
                heard.append(Heard.of(np.concatenate(found), *extent(segments), item.segment.whole))
            if not item.last:
                continue
            aligned = None
            with refusing(refuse):
                aligned = self._aligned(known.pop(item.place), heard, item.name)
            heard = []
            if aligned is not None:
                yield aligned

    def _aligned(self, text: str, heard: Sequence[Heard], source: str) -> Aligned:
        """Return the document of a source with its text, and what they do not share."""
        recognizer, line = self.recognizer, " ".join(text.split("\n"))
        unknown = recognizer.alphabet.unknown(line)
        if len(heard) == 1 and heard[0].whole and (recognizer.modality.on_paper or not unknown):
            one = heard[0]
            labels = recognizer.labels(line, source)
            transcript = recognizer.placing.aligned(one.log_probs, labels, one.signal, source)
            return Aligned(Document.of(transcript), LeftOut([], []))
        known = read_text(text, recognizer.alphabet)
        if known.words and not any(word.spelling for word in known.words):
            recognizer.labels(line, source)  # says what it lacks
        return align_text(known, heard, recognizer.placing, source)

    def _check(self) -> None:
        task = self.recognizer.task
        if task not in ("ctc", "attention"):
            raise ValueError(f"a model of --task {task} aligns no text; take one of --task ctc")
        if isinstance(self.recognizer.alphabet, Phones):
            spelling = self.recognizer.modality.spelling
            one = "one of characters" if spelling is None else f"one of characters, such as {spelling}"
            raise ValueError(f"a model of phones aligns no text; take {one}")
