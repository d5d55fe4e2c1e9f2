"""The interface of parlance/ctcdecode over our beam search: code written for it goes on with another import.

    from common.decoding.ctcdecode import CTCBeamDecoder  # was: from ctcdecode import CTCBeamDecoder

Kept: arguments and their order, types and shapes of what is returned, the order of the hypotheses, and scores
that are minus an approximate log-probability of the hypothesis by the network, lower is better:

    without a model    -log p(labels)
    with a model       -(fused score - beta x number of labels - alpha x log-probability of the sentence)

The fused score is log p(labels) with alpha x log p(token | those before) and beta for each token; the tokens
of a model over characters are the labels, those of one over words the words. The log-probability of the
sentence includes its end `</s>`, the fused score does not. Hypotheses are ordered by the fused score without
the last word's part, of equal ones the smaller last label first; what is returned is not what orders them.

A model is over characters if all its tokens but `<s>`, `</s>` and `<unk>` are single characters; each label
is scored by it. Otherwise it is over words: a word is scored when the label " " follows, or at the end, and
only such of its words as the labels can spell are written, one space between them; the end of the utterance
may cut the last one short. If no label is " ", a hypothesis is a single word. What a model does not know has
the log-probability -1000.

Different, where the original is broken or leaves something to chance:

    cutoff_prob              is the mass that is kept; the original compared sums of logarithms with it
    probability 0            is 0, there 1.2e-38: a hypothesis that needs it does not exist
    model and full beam      all extensions compete; the original cut off paths by an estimate, and lost mass
    behind out_lens          zeros; there whatever was in memory
    fewer hypotheses         than beam_width: the rows behind the last one have length 0 and score +inf
    space over characters    `<space>`, `▁` or `|` in an ARPA file is the label " ", or if there is none, the
                             label that is written so; the original never emitted a space
    unknown character        costs 1000 x alpha once; there also for each label that saw it as context
    sentence without words   is `<s> </s>`; the original scored a second `<s>`, too
    unfinished last word     is -1000 in the sentence's log-probability; there its end was -1000, too
    seq_lens beyond T        raise ValueError, as do wrong shapes and a missing model; the original cut the
                             lengths to T, or ended the process
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.decoding.arrays import Array, arange, cast, from_numpy, namespace, to_numpy
from common.decoding.beam.fusion import Fusion
from common.decoding.beam.lexicon import NO_WORD, Lexicon
from common.decoding.beam.prefixes import STATE, Beam, Hypotheses, Trace
from common.decoding.beam.scorers import CharacterScorer, WordScorer
from common.decoding.beam.search import BeamSearch
from common.language.arpa import SPACES
from common.language.loading import load_ngrams
from common.language.ngram import EMPTY_CONTEXT, END_ID, SPECIAL

UNKNOWN_LOG_PROB = -1000.0
"""of what a model does not know"""
SUM_TOLERANCE = 0.01
"""by which the probabilities of a frame may miss 1 without a warning; those of 16 bits miss it by less"""


# --- the model


class _SingleWordScorer(WordScorer):
    """A `WordScorer` where no label is the space."""

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return what each label gains in `states`: (N, C); the space is not one of them."""
        return super().rows(states)[:, :-1]


class _LanguageModel:
    """An n-gram model, and what of it the labels write.

    Args:
        path: of the model.
        symbols: what each of the C labels writes; "" for the blank.

    Raises:
        ValueError: a file that is no model, or a model of words none of which the labels can spell.
    """

    def __init__(self, path: str | Path, symbols: Sequence[str]) -> None:
        self.model = load_ngrams(path)
        self.character_based = self.model.unit == "character"
        self.symbols = ["" if symbol in SPECIAL else symbol for symbol in symbols]
        self.lexicon: Lexicon | None = None
        if not self.character_based:
            try:
                self.lexicon = Lexicon(self.model.tokens[len(SPECIAL) :], self.symbols)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
        elif " " not in self.symbols:
            unknown = [name for name in SPACES if name in self.symbols and name not in self.model.tokens]
            self.symbols = [" " if symbol in unknown[:1] else symbol for symbol in self.symbols]
        self._token = self.model.ids(self.symbols)  # (C,)

    def scorer(self, alpha: float, beta: float) -> CharacterScorer | WordScorer:
        """Return what scores hypotheses during the search."""
        if self.lexicon is None:
            return CharacterScorer(self.model, self.symbols, alpha, beta, False, UNKNOWN_LOG_PROB)
        kind, symbols = WordScorer, self.symbols
        if " " not in symbols:
            kind, symbols = _SingleWordScorer, [*symbols, " "]
        return kind(self.lexicon, symbols, self.model, alpha, beta, lookahead=False, ends=False)

    def surplus(self, labels: np.ndarray, lengths: np.ndarray, alpha: float, beta: float) -> np.ndarray:
        """Return the part of the approximate log-probability that the model has, (B, N).

        In the fused score less beta x number of labels less alpha x log-probability of the sentence, the
        tokens of the sentence cancel out; beta x (tokens - labels) - alpha x log p(</s>) is left.

        Args:
            labels: (B, N, L).
            lengths: (B, N) how many of them there are.
            alpha: the model's weight.
            beta: for each token.
        """
        B, N, L = labels.shape
        counts = lengths.reshape(-1)
        rows = zip(labels.reshape(B * N, L), counts, strict=True)
        texts = [self._tokens(row[:count]) for row, count in rows]
        tokens = np.array([len(text) for text in texts], np.int64)
        return (beta * (tokens - counts) - alpha * self._ends(texts)).reshape(B, N)

    def _tokens(self, labels: np.ndarray) -> np.ndarray:
        """Return the tokens that `labels` write."""
        if self.character_based:
            return self._token[labels]
        text = "".join([self.symbols[label] for label in labels])
        return self.model.ids(word for word in text.split(" ") if word)

    def _ends(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the log-probability of `</s>` behind each text; only its last few tokens count."""
        memory = self.model.order - 1
        states = np.array(
            [EMPTY_CONTEXT if len(text) >= memory else self.model.start for text in texts], np.int64
        )
        tails = [text[max(len(text) - memory, 0) :] for text in texts]
        for place in range(memory):
            longer = [row for row, tail in enumerate(tails) if len(tail) > place]
            tokens = np.array([tails[row][place] for row in longer], np.int64)
            states[longer] = self.model.score(states[longer], tokens)[1]
        return self.model.score(states, np.full(len(states), END_ID))[0].astype(np.float64)


# --- the search


class Results(NamedTuple):
    """What the decoders return, on the CPU; they say more."""

    beam_results: Tensor
    beam_scores: Tensor
    timesteps: Tensor
    out_lens: Tensor


@dataclass(frozen=True)
class _Search:
    """A beam search with one setting of the weights."""

    beams: BeamSearch
    model: _LanguageModel | None
    alpha: float
    beta: float

    def best(self, beam: Beam) -> tuple[Hypotheses, np.ndarray]:
        """Return all hypotheses in the beam, best first, and their scores (B, beam) to be returned."""
        found = self.beams.best(beam, self.beams.width, rank_final=False)
        scores = found.scores
        if self.model:
            scores = scores + self.model.surplus(found.labels, found.lengths, self.alpha, self.beta)
        return found, 0.0 - scores  # 0.0 -: of 0.0 not -0.0


def _results(
    parts: Sequence[tuple[Hypotheses, np.ndarray]], rows: Sequence[slice], B: int, width: int, T: int
) -> Results:
    """Return `parts`, each of some `rows` of a batch of B, as tensors (B, width, T) and (B, width)."""
    labels, timesteps = np.zeros((B, width, T), np.int32), np.zeros((B, width, T), np.int32)
    scores, lengths = np.full((B, width), np.inf, np.float32), np.zeros((B, width), np.int32)
    for (found, score), row in zip(parts, rows, strict=True):
        longest = found.labels.shape[2]
        labels[row, :, :longest] = found.labels
        timesteps[row, :, :longest] = found.peaks
        scores[row] = score
        lengths[row] = found.lengths
    return Results(*map(torch.from_numpy, (labels, scores, timesteps, lengths)))


class _Decoder:
    """What both decoders share; `CTCBeamDecoder` describes the arguments."""

    def __init__(
        self,
        labels: Sequence[str],
        model_path: str | Path | None = None,
        alpha: float = 0,
        beta: float = 0,
        cutoff_top_n: int = 40,
        cutoff_prob: float = 1.0,
        beam_width: int = 100,
        num_processes: int = 4,
        blank_id: int = 0,
        log_probs_input: bool = False,
    ) -> None:
        labels = list(labels)
        if not 0 <= blank_id < len(labels):
            raise ValueError(f"blank_id is {blank_id}, but there are {len(labels)} labels; give one of them")
        self.labels, self.log_probs_input = labels, bool(log_probs_input)
        symbols = ["" if label == blank_id else symbol for label, symbol in enumerate(labels)]
        model = _LanguageModel(model_path, symbols) if model_path else None
        beams = BeamSearch(beam_width, cutoff_top_n, cutoff_prob, blank_id)
        self.search = _Search(beams, model, 0.0, 0.0)
        self.reset_params(alpha, beta)

    def character_based(self) -> bool | None:
        """Return whether the model is over characters; None without one."""
        return self.search.model.character_based if self.search.model else None

    def max_order(self) -> int | None:
        """Return the length of the model's longest n-grams; None without one."""
        return self.search.model.model.order if self.search.model else None

    def dict_size(self) -> int | None:
        """Return how many of the model's words the labels can spell, 0 over characters; None without one."""
        if self.search.model is None:
            return None
        lexicon = self.search.model.lexicon
        return int((lexicon.word != NO_WORD).sum()) if lexicon else 0

    def reset_params(self, alpha: float, beta: float) -> None:
        """Set the weights anew; nothing happens without a model. Streams that have begun keep theirs."""
        old = self.search
        if old.model is None:
            return
        beams = copy(old.beams)
        beams.fusion = Fusion([old.model.scorer(alpha, beta)], len(self.labels))
        self.search = _Search(beams, old.model, alpha, beta)

    def _read(self, probs: Tensor | np.ndarray, seq_lens: Sequence[int] | Array) -> tuple[Array, np.ndarray]:
        """Return log-probabilities (B, T, V), on a GPU if they came from there, and lengths (B,)."""
        array = _array(probs)
        if len(array.shape) != 3 or array.shape[2] != len(self.labels):
            raise ValueError(
                f"probs of shape {tuple(array.shape)}; batch x frames x {len(self.labels)} labels were wanted"
            )
        lengths = _lengths(seq_lens, *array.shape[:2])
        _check(array, lengths, self.log_probs_input)
        if self.log_probs_input:
            return array, lengths
        with np.errstate(divide="ignore", invalid="ignore"):  # of 0, and of what pads
            return namespace(array).log(cast(array, "float64")), lengths


class CTCBeamDecoder(_Decoder):
    """Prefix beam search for batches of utterances; what is kept of parlance/ctcdecode stands at the top.

    Args:
        labels: V strings, what each class writes; they matter only to a model. The first " " is the space. In
            a model over words, strings of several characters are never written, and of equal ones the last.
        model_path: of an ARPA file, plain or gzipped, or of our own .npz; None for no model.
        alpha: weight of the model's natural log-probabilities.
        beta: added for each word, or each label of a model over characters.
        cutoff_top_n: at each frame only so many of the likeliest labels are considered.
        cutoff_prob: at each frame only as many of the likeliest labels are considered as have together at
            least this probability.
        beam_width: how many hypotheses live on, and are returned.
        num_processes: accepted and not used: the batch is searched as a whole.
        blank_id: the label that is the blank.
        log_probs_input: whether `decode` is given natural log-probabilities, rather than probabilities.

    Raises:
        ValueError: a setting that makes no sense, a model that cannot be read, or one over words of which the
            labels can spell none.
    """

    def decode(self, probs: Tensor | np.ndarray, seq_lens: Sequence[int] | Array = None) -> Results:
        """Return the hypotheses of a batch, best first, as tensors on the CPU.

        Frames whose probabilities do not sum to 1 are searched as they are, with one warning for all.

        Args:
            probs: (B, T, V) probabilities, or natural log-probabilities. A tensor on a GPU is searched there.
            seq_lens: (B,) how many of the T frames are real; None for all.

        Returns:
            beam_results (B, beam, T) int32, labels, 0 behind their end.
            beam_scores (B, beam) float32, lower is better; +inf where there is no hypothesis.
            timesteps (B, beam, T) int32, the frame where each label had its highest probability.
            out_lens (B, beam) int32, the number of labels.

        Raises:
            ValueError: shapes that do not fit, lengths that are not between 0 and T, or in a real frame NaN,
                +inf or a negative probability.
        """
        log_probs, lengths = self._read(probs, seq_lens)
        beam = self.search.beams.start(log_probs)
        self.search.beams.feed(beam, log_probs, lengths)
        B, T, _ = log_probs.shape
        return _results([self.search.best(beam)], [slice(B)], B, self.search.beams.width, T)


class OnlineCTCBeamDecoder(_Decoder):
    """Prefix beam search for streams that come in pieces; all pieces give what the whole would give.

    The arguments are those of `CTCBeamDecoder`. Pieces are searched on the CPU.
    """

    def decode(
        self,
        probs: Tensor | np.ndarray,
        states: Sequence["DecoderState"],
        is_eos_s: Sequence[bool],
        seq_lens: Sequence[int] | Array = None,
    ) -> Results:
        """Read a piece of each of B streams; return the hypotheses of those that end with it.

        Args:
            probs: (B, T, V) as in `CTCBeamDecoder.decode`.
            states: B, one for each stream; are moved on.
            is_eos_s: B or more, whether hypotheses are wanted; the others have no rows, as none exist.
            seq_lens: (B,) how many of the T frames are real; None for all.

        Returns:
            As `CTCBeamDecoder.decode`, but the last dimension of beam_results and timesteps is the length of
            the longest hypothesis; timesteps count from the start of the stream.

        Raises:
            ValueError: as `CTCBeamDecoder.decode`, or states that do not fit.
        """
        log_probs, lengths = self._read(probs, seq_lens)
        B = len(lengths)
        if len(states) != B or len(is_eos_s) < B:
            raise ValueError(
                f"{len(states)} states and {len(is_eos_s)} is_eos_s for {B} streams; give one for each"
            )
        if any(state.decoder is not self for state in states):
            raise ValueError("a state is of another decoder; make each with DecoderState(decoder)")
        if len({id(state) for state in states}) < B:
            raise ValueError("two streams have the same state; give each its own")
        _feed(states, to_numpy(log_probs), lengths)
        rows = [row for row in range(B) if is_eos_s[row]]
        results = [states[row].search.best(states[row].beam) for row in rows]
        longest = max((found.labels.shape[2] for found, _ in results), default=0)
        places = [slice(row, row + 1) for row in rows]
        return _results(results, places, B, self.search.beams.width, longest)


class DecoderState:
    """Where a stream stands; for one stream.

    Args:
        decoder: that will read it.
    """

    def __init__(self, decoder: OnlineCTCBeamDecoder) -> None:
        self.decoder, self.search = decoder, decoder.search
        self.beam = self.search.beams.start(np.empty(1))


def _feed(states: Sequence[DecoderState], log_probs: np.ndarray, lengths: np.ndarray) -> None:
    """Read `lengths` (B,) frames of `log_probs` (B, T, V), those with the same settings together."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, state in enumerate(states):
        groups[id(state.search), id(state.beam.table)].append(row)
    for rows in groups.values():
        beams = [states[row].beam for row in rows]
        arrays = {name: np.concatenate([getattr(beam, name) for beam in beams]) for name in STATE}
        joint = Beam(**arrays, table=beams[0].table, traces=[])
        states[rows[0]].search.beams.feed(joint, log_probs[rows], lengths[rows])
        for place, (row, beam) in enumerate(zip(rows, beams, strict=True)):
            own = slice(place, place + 1)
            for name in STATE:
                setattr(beam, name, getattr(joint, name)[own])
            beam.traces += [Trace(*(part[: lengths[row], own] for part in trace)) for trace in joint.traces]


# --- what is given


def _array(probs: Tensor | np.ndarray) -> Array:
    """Return floats of 32 or 64 bits: a tensor if they are on a CUDA device, else an array of NumPy."""
    if isinstance(probs, Tensor):
        tensor = probs.detach()
        if tensor.dtype not in (torch.float32, torch.float64):
            tensor = tensor.float()
        return tensor if tensor.is_cuda else tensor.cpu().numpy()
    array = np.asarray(probs)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"probs of type {array.dtype}; give floats")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _lengths(seq_lens: Sequence[int] | Array, B: int, T: int) -> np.ndarray:
    """Return `seq_lens` as B integers; raise ValueError for what is none, or not between 0 and T."""
    if seq_lens is None:
        return np.full(B, T)
    given = to_numpy(seq_lens.detach()) if isinstance(seq_lens, Tensor) else np.asarray(seq_lens)
    if given.shape != (B,) or given.dtype.kind not in "fiu":
        raise ValueError(f"seq_lens of shape {given.shape} ({given.dtype}); give {B} integers")
    wrong = ~((given >= 0) & (given <= T) & (given == np.floor(given)))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"seq_lens: utterance {row} has {given[row]} frames; give integers from 0 to {T}")
    return given.astype(np.int64)


def _check(array: Array, lengths: np.ndarray, log_probs_input: bool) -> None:
    """Raise ValueError for what is no probability in the real frames, and warn where they do not sum to 1.

    Args:
        array: (B, T, V) probabilities or log-probabilities.
        lengths: (B,) of the real frames.
        log_probs_input: which of both.
    """
    real = arange(array, array.shape[1])[None] < from_numpy(array, lengths)[:, None]  # (B, T)
    wrong = ~(array < np.inf)
    if not log_probs_input:
        wrong |= array < 0
    frames = to_numpy(wrong.any(-1) & real)
    if frames.any():
        row, frame = np.argwhere(frames)[0].tolist()
        label = int(to_numpy(wrong[row, frame]).argmax())
        kind = "log-probability" if log_probs_input else "probability"
        raise ValueError(
            f"utterance {row}, frame {frame}: label {label} has the {kind}"
            f" {float(array[row, frame, label]):g}; look at what computed it"
        )
    with np.errstate(over="ignore"):
        sums = (namespace(array).exp(array) if log_probs_input else array).sum(-1)  # (B, T)
    off = to_numpy((abs(sums - 1) > SUM_TOLERANCE) & real)
    if off.any():
        row, frame = np.argwhere(off)[0].tolist()
        warnings.warn(
            f"the probabilities of {off.sum()} of {lengths.sum()} frames do not sum to 1 +- {SUM_TOLERANCE},"
            f" the first is frame {frame} of utterance {row}, {float(sums[row, frame]):.4g}; give what"
            " softmax returns, or log_softmax with log_probs_input=True",
            stacklevel=4,
        )
