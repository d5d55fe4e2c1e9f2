"""Decoding of a stream: labels that are settled, labels that are tentative, and hypotheses at the end.

    prefixes in the beam   hello wor  hello war  hello wo      settled: "hello w"; tentative: "or"

Every later hypothesis begins with the common beginning of all prefixes in the beam, which is thus settled.
"""

import copy
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from common.decoding.beam.prefixes import NOTHING, Trace, trace_ancestors
from common.decoding.decoder import VOTING_HYPOTHESES, Decoder
from common.decoding.greedy import Hit, greedy
from common.decoding.hypothesis import Hypothesis, beam_hypotheses, log_mass, tempered
from common.decoding.silence import SilenceStream
from common.text.phonetic.phones import Phones
from common.text.symbols import BLANK


class StreamUpdate(NamedTuple):
    """The change by a piece: newly settled labels, and tentative labels after all settled ones."""

    settled: list[int]
    tentative: list[int]


class GreedyStream:
    """Greedy decoding of one signal in pieces; it keeps only the labels found.

    Args:
        temperature: the number that log-probabilities are divided by for confidences.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature
        self.steps = 0
        self._hits: list[Hit] = []
        self._log_prob = 0.0  # of the last label at its peak
        self._score = 0.0
        self._missing = 0.0  # before the last label
        self._gap: np.ndarray | float = 0.0  # (C,) sum of the probabilities of the steps after it

    def feed(self, log_probs: np.ndarray) -> StreamUpdate:
        """Read the next steps (S, C)."""
        self._score += float(log_probs.max(1).sum()) if len(log_probs) else 0.0
        settled, read = [], 0
        for found in greedy(log_probs):
            self._wait(log_probs[read : found.start])
            read = found.end
            log_prob, confidence = float(log_probs[found.peak, found.label]), found.confidence
            if self.temperature != 1:
                row, label = log_probs[found.peak, None], np.array([found.label])
                confidence = float(tempered(row, label, self.temperature)[0])
            places = {name: getattr(found, name) + self.steps for name in ("start", "end", "peak")}
            hit = found._replace(confidence=confidence, **places)
            last = self._hits[-1] if self._hits else None
            if last is None or (last.label, last.end) != (hit.label, hit.start):
                settled.append(hit.label)
                self._missing = self._missing_before(hit.label)
                self._gap = 0.0
                self._hits.append(hit)
                self._log_prob = log_prob
            elif log_prob > self._log_prob:
                self._hits[-1] = hit._replace(start=last.start)
                self._log_prob = log_prob
            else:
                self._hits[-1] = last._replace(end=hit.end)
        self._wait(log_probs[read:])
        self.steps += len(log_probs)
        return StreamUpdate(settled, [])

    def _wait(self, log_probs: np.ndarray) -> None:
        """Add steps (S, C) without a label to the gap after the last label."""
        norms = log_mass(log_probs, self.temperature)[:, None]
        if len(log_probs):
            self._gap += np.exp(log_probs.astype(np.float64) / self.temperature - norms).sum(0)

    def _missing_before(self, label: int) -> float:
        """Return the expected number of missing labels, if `label` or, for the blank, nothing follows now."""
        if isinstance(self._gap, float):
            return self._missing
        known = list({BLANK, label, self._hits[-1].label if self._hits else BLANK})
        return self._missing + max(0.0, float(self._gap.sum() - self._gap[known].sum()))

    def hypotheses(self, count: int = 1) -> list[Hypothesis]:
        """Return the single hypothesis for the steps so far, for any count."""
        return [Hypothesis(list(self._hits), self._score, self._missing_before(BLANK))]


class BeamStream:
    """The beam search of one signal in pieces.

    It keeps all log-probabilities, since confidences need them. The steps that may belong to a long silence
    are searched later, when more of the signal is known. Of the prefixes it keeps only the steps where a
    prefix that is still in the beam was extended; steps that are the same in all prefixes are kept once:

        step        1  2  3  4  5  6  7  8            2  4  5  8
        prefix 1    .  w  .  o  .  .  .  r     ->     w  o  .  r
        prefix 2    .  w  .  .  a  .  .  .            w  .  a  .     w: settled

    Args:
        decoder: a decoder with a beam search, whose settings and language models are used.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._search, self._temperature = decoder.search, decoder.config.temperature
        width = self._search.width
        self._beam = self._search.start(np.zeros((1, 0, decoder.alphabet.classes)))
        self._ways = Trace(*(np.zeros((0, 1, width), kind) for kind in ("int32",) * 5 + ("float32",)))
        self._settled = [Trace(*(part[..., :1] for part in self._ways))]  # one prefix wide
        self._announced = 0  # number of labels in `_ways` that `feed` has returned as settled
        self._pieces = [np.zeros((0, decoder.alphabet.classes), np.float32)]
        self._silence = SilenceStream(decoder.alphabet.classes)

    @property
    def steps(self) -> int:
        """Number of steps read so far."""
        return self._silence.steps

    def feed(self, log_probs: np.ndarray) -> StreamUpdate:
        """Read the next steps (S, C).

        Raises:
            ValueError: a log-probability is NaN or +inf.
        """
        beam, slots = self._beam, np.arange(self._search.width)[None]  # (1, K)
        searched = self._silence.feed(log_probs)
        self._search.feed(beam, searched[None], np.array([len(searched)]))
        self._pieces.append(log_probs)
        score = (np.logaddexp(beam.blank, beam.label) + beam.bonus)[0]  # (K,)
        alive = np.flatnonzero(score > -np.inf)
        for trace in beam.traces:
            way, before = trace_ancestors(trace, slots)
            self._ways = Trace(
                *(
                    np.concatenate([old[:, :, before[0]], new])
                    for old, new in zip(self._ways, way, strict=True)
                )
            )
        beam.traces.clear()
        if not len(alive):  # no text is possible any longer
            return StreamUpdate([], [])
        grown = (self._ways.appended[:, 0, alive] != NOTHING).any(1)
        self._ways = Trace(*(part[grown] for part in self._ways))
        appended = self._ways.appended[:, 0]  # (E, K)
        texts = {slot: [label for label in appended[:, slot].tolist() if label != NOTHING] for slot in alive}
        low, high = min(texts.values()), max(texts.values())  # what these two have in common, all have
        common = [
            label for label, _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
        ]
        update = StreamUpdate(common[self._announced :], texts[alive[score[alive].argmax()]][len(common) :])
        self._announced = len(common) - self._settle(alive)
        return update

    def _settle(self, alive: np.ndarray) -> int:
        """Move the first steps that are equal in all slots `alive` to `_settled`; return how many."""
        same = np.ones(len(self._ways.appended), bool)
        for part in self._ways[1:]:
            same &= (part[:, 0, alive] == part[:, 0, alive[:1]]).all(1)
        count = len(same) if same.all() else int(same.argmin())
        if count:
            self._settled.append(Trace(*(part[:count, :, alive[:1]] for part in self._ways)))
            self._ways = Trace(*(part[count:] for part in self._ways))
        return count

    def hypotheses(self, count: int = 1) -> list[Hypothesis]:
        """Return up to `count` hypotheses for the steps so far, best first, as `Decoder.decode` does.

        More steps may be fed afterwards.
        """
        width = self._search.width
        settled = [np.concatenate(parts) for parts in zip(*self._settled, strict=True)]
        self._settled = [Trace(*settled)]
        wide = [np.broadcast_to(part, (len(part), 1, width)) for part in settled]
        slots = np.arange(width)[None, None]
        beam, rest = copy.copy(self._beam), self._silence.rest()
        beam.traces = [Trace(np.broadcast_to(slots, part[1].shape), *part[1:]) for part in (wide, self._ways)]
        self._search.feed(beam, rest[None], np.array([len(rest)]))
        best = self._search.best(beam, min(width, max(count, VOTING_HYPOTHESES)))
        return beam_hypotheses(best, 0, np.concatenate(self._pieces), count, self._temperature)


def decoding_stream(decoder: Decoder) -> GreedyStream | BeamStream:
    """Return a stream that decodes one signal in pieces with the result of `decoder` for the whole signal.

    Raises:
        ValueError: the decoder rescores whole texts, or finds words by their sound.
    """
    if isinstance(decoder.alphabet, Phones):
        raise ValueError(
            "a model of phones finds the words of a whole utterance together, and a stream settles them bit"
            " by bit; transcribe the recording, or take a model that spells"
        )
    if decoder.rescorer is not None:
        raise ValueError("rescoring wants whole texts, and a stream settles them bit by bit; leave it out")
    if decoder.config.decoder == "greedy":
        return GreedyStream(decoder.config.temperature)
    return BeamStream(decoder)
