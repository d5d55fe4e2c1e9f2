"""Several models as one: each reads the same signals, and their hypotheses vote."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from common.data.frame_targets import FrameLabels
from common.decoding.decoder import Decoder
from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis
from common.decoding.labelled import LabelDecoder
from common.recognition.modality import ModelSteps
from common.recognition.transcriber import LogProbs, Transcriber
from common.recognition.voting.consensus import consensus
from common.text.phonetic.phones import Phones
from common.text.symbols import Alphabet, Symbols

READINGS = 10
"""hypotheses among which a voter divides its vote"""
SEARCH_WIDTH = 20
"""hypotheses that the search of a voter keeps whose file says greedy, which gives one reading only"""


class Ballots(NamedTuple):
    """What voters computed for a batch.

    outputs: that of each voter.
    lengths: (B,) signal steps.
    """

    outputs: list[Any]
    lengths: np.ndarray


class Voters(Transcriber):
    """Models that vote. Each has the decoder and the language models of its own file.

    A voter whose file says greedy decoding searches with a beam instead, since it divides its vote among
    several readings. Places of labels are signal steps here: `stride` is 1.

    Args:
        names: how the models are called in messages.
        voters: the models, two or more.

    Attributes:
        voters: the models.
        alphabet: the characters that they write.
        The others are those of a Transcriber.

    Raises:
        ValueError: a model writes no text, or reads or writes otherwise than the first one.
    """

    def __init__(self, names: Sequence[str], voters: Sequence[Transcriber]) -> None:
        first = voters[0]
        for name, voter in zip(names, voters, strict=True):
            _check(names[0], first, name, voter)
        self.voters, self.modality = tuple(voters), first.modality
        self.card = _common_card(voters)
        self.decode_with([_searching(voter.decoder, voter.task) for voter in voters])

    def decode_with(self, decoders: Sequence[Decoder | LabelDecoder]) -> None:
        """Give each voter a decoder. `decoder` has the settings of the first, and only shows them."""
        for voter, decoder in zip(self.voters, decoders, strict=True):
            voter.decoder = decoder
        self.alphabet = _common_alphabet([decoder.alphabet for decoder in decoders])
        first = decoders[0]
        self.decoder = Decoder(self.alphabet, first.config, hot_words=first.hot_words, quiet=True)

    @property
    def task(self) -> str:
        """The task of models whose steps cannot be joined: voters share texts, not steps."""
        return "attention"

    @property
    def frame_labels(self) -> FrameLabels:
        """What a step is labelled with, which no voter does."""
        return self.voters[0].frame_labels

    @property
    def signal_config(self) -> Any:
        """How signals are read for all voters."""
        return self.voters[0].signal_config

    @property
    def stride(self) -> int:
        """Signal steps for one step of the hits."""
        return 1

    @property
    def offset(self) -> float:
        """Start of the first step, in signal steps."""
        return 0.0

    @property
    def workers(self) -> int:
        """How many batches are computed at a time: as many as every voter can."""
        return min(voter.workers for voter in self.voters)

    @property
    def parameter_count(self) -> int | None:
        """Number of trained parameters of all voters."""
        counts = [voter.parameter_count for voter in self.voters]
        return None if None in counts else sum(filter(None, counts))

    @property
    def model_steps(self) -> ModelSteps:
        """What cutting a source depends on: passages cannot be joined from windows."""
        return ModelSteps(self.task, None)

    def log_probs(self, signals: Sequence[np.ndarray]) -> LogProbs:
        """Raise ValueError: each voter has log-probabilities of its own."""
        raise ValueError("models that vote have no common probabilities of steps; name one model")

    def compute(self, signals: Sequence[np.ndarray]) -> Ballots:
        """Return the output that `hypotheses` and `texts` read, for `signals` (T, ...) as one batch."""
        lengths = np.array([len(signal) for signal in signals])
        return Ballots([voter.compute(signals) for voter in self.voters], lengths)

    def hypotheses(self, output: Any, count: int = 1) -> tuple[list[list[Hypothesis]], np.ndarray]:
        """Return up to `count` hypotheses of each signal of a batch, best first, and the lengths (B,)."""
        wanted = max(count, READINGS)
        ballots = [
            self._in_common(voter, voter.hypotheses(one, wanted)[0])
            for voter, one in zip(self.voters, output.outputs, strict=True)
        ]
        return [consensus(found, count) for found in zip(*ballots, strict=True)], output.lengths

    def texts(self, output: Any) -> list[str]:
        """Return the best text of each signal of a batch, without positions and confidences."""
        found, _ = self.hypotheses(output)
        return [self.alphabet.decode(hit.label for hit in best.hits) for best, *_ in found]

    def _in_common(self, voter: Transcriber, found: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
        """Return hypotheses of a voter with labels of the common alphabet, and signal steps as steps."""
        return [[one._replace(hits=self._spelled(voter, one.hits)) for one in best] for best in found]

    def _spelled(self, voter: Transcriber, hits: Sequence[Hit]) -> list[Hit]:
        """Return a hit for each character of `hits`."""
        spelled, labels = list[Hit](), self.alphabet.labels
        texts = voter.decoder.alphabet.pieces([hit.label for hit in hits])
        steps = np.array([(hit.start, hit.end, hit.peak) for hit in hits], dtype=np.float64).reshape(-1, 3)
        steps = np.maximum(np.rint(steps * voter.stride + voter.offset), 0)
        for text, hit, (start, end, peak) in zip(texts, hits, steps.astype(int).tolist(), strict=True):
            if len(text) == 1:
                spelled.append(Hit(labels[text], start, end, hit.confidence, peak))
            else:
                spelled += _divided([labels[one] for one in text], start, end, hit.confidence)
        return spelled


def _divided(labels: Sequence[int], start: int, end: int, confidence: float) -> list[Hit]:
    """Return the hits of the letters of a word, which share its steps and its confidence."""
    count = len(labels)
    edges = [start + (end - start) * place // max(count, 1) for place in range(count + 1)]
    each = confidence ** (1 / max(count, 1))
    steps = zip(labels, pairwise(edges), strict=True)
    return [Hit(label, first, last, each, first) for label, (first, last) in steps]


def _check(first_name: str, first: Transcriber, name: str, voter: Transcriber) -> None:
    """Raise ValueError if a model cannot vote together with the first one."""
    if not voter.alphabet.writes_text:
        raise ValueError(f"{name}: a model of --task {voter.task} gives labels, no texts; leave it out")
    ours, theirs = asdict(voter.signal_config), asdict(first.signal_config)
    for field in ("unicode_form", "whitespace", "direction"):
        ours[field], theirs[field] = getattr(voter.alphabet, field), getattr(first.alphabet, field)
    for field, value in ours.items():
        if value != theirs[field]:
            raise ValueError(
                f"{name}: its {field} is {value}, where {first_name} has {theirs[field]}; only models that"
                " read and write alike can vote"
            )


def _common_alphabet(alphabets: Sequence[Symbols]) -> Alphabet:
    """Return the alphabet of all characters that models write."""
    first = alphabets[0]
    symbols = set[str]().union(*map(_characters, alphabets))
    return Alphabet(tuple(sorted(symbols)), first.unicode_form, first.whitespace, first.direction)


def _characters(symbols: Symbols) -> set[str]:
    """Return all characters that a model writes; one of phones also writes those that say no word."""
    return (
        set("-".join([*symbols.symbols, *symbols.words]))
        if isinstance(symbols, Phones)
        else set(symbols.symbols)
    )


def _common_card(voters: Sequence[Transcriber]) -> dict[str, Any]:
    """Return the facts that all voters share."""
    first, *others = (voter.card for voter in voters)
    return {name: fact for name, fact in first.items() if all(one.get(name) == fact for one in others)}


def _searching(decoder: Decoder | LabelDecoder, task: str) -> Decoder | LabelDecoder:
    """Return a decoder that finds several readings: one that is greedy searches with a beam instead."""
    if isinstance(decoder, LabelDecoder) or decoder.config.decoder == "beam":
        return decoder
    if isinstance(decoder.alphabet, Phones):  # greedy decoding finds other words than the search
        return decoder
    width = decoder.config.beam_width if task == "attention" else SEARCH_WIDTH
    return Decoder(decoder.alphabet, replace(decoder.config, decoder="beam", beam_width=width))
