"""The decoders of the ctcdecode interface: for whole batches, and for streams that come in pieces."""

from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from common.decoding.arrays import Array, cast, namespace, to_numpy
from common.decoding.beam.fusion import Fusion
from common.decoding.beam.lexicon import NO_WORD
from common.decoding.beam.prefixes import STATE, Beam, Hypotheses, Snapshot, Trace
from common.decoding.beam.search import BeamSearch
from common.decoding.ctcdecode.inputs import check_probs, read_lengths, read_probs
from common.decoding.ctcdecode.language_model import LabelLanguageModel
from common.decoding.ctcdecode.timesteps import timesteps


class Results(NamedTuple):
    """The result of a decoder, on the CPU; `CTCBeamDecoder.decode` describes the fields."""

    beam_results: Tensor
    beam_scores: Tensor
    timesteps: Tensor
    out_lens: Tensor


@dataclass(frozen=True)
class _WeightedSearch:
    """A beam search with fixed weights of the language model."""

    beams: BeamSearch
    model: LabelLanguageModel | None
    alpha: float
    beta: float

    def start(self, like: Array) -> Beam:
        """Return the beam before the first frame."""
        beam = self.beams.start(like)
        beam.history = []
        return beam

    def best(self, beam: Beam) -> tuple[Hypotheses, np.ndarray]:
        """Return all hypotheses in the beam, best first, and their scores (B, beam) in the result.

        Their peaks are the timesteps of ctcdecode.
        """
        found = self.beams.best(beam, self.beams.width, rank_final=False)
        found = found._replace(peaks=timesteps(beam, found.labels, found.lengths))
        scores = found.scores
        if self.model:
            scores = scores + self.model.surplus(found.labels, found.lengths, self.alpha, self.beta)
        return found, 0.0 - scores  # 0.0 - x: avoids -0.0 for a score of 0.0


def _results(
    parts: Sequence[tuple[Hypotheses, np.ndarray]], rows: Sequence[slice], B: int, width: int, T: int
) -> Results:
    """Return hypotheses and scores as tensors (B, width, T) and (B, width).

    Args:
        parts: hypotheses and scores of some utterances each.
        rows: the utterances of each part in the batch.
        B: utterances in the batch.
        width: hypotheses of each utterance.
        T: length of the last dimension.
    """
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
    """The base of both decoders; `CTCBeamDecoder` describes the arguments."""

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
        model = LabelLanguageModel(model_path, symbols) if model_path else None
        beams = BeamSearch(beam_width, cutoff_top_n, cutoff_prob, blank_id)
        self.search = _WeightedSearch(beams, model, 0.0, 0.0)
        self.reset_params(alpha, beta)

    @property
    def _decoder(self) -> Self:
        """The object whose `reset_params` users of the original call, such as deepspeech.pytorch."""
        return self

    def character_based(self) -> bool | None:
        """Return whether the model is over characters; None without a model."""
        return self.search.model.character_based if self.search.model else None

    def max_order(self) -> int | None:
        """Return the length of the model's longest n-grams; None without a model."""
        return self.search.model.model.order if self.search.model else None

    def dict_size(self) -> int | None:
        """Return how many words of the model the labels can spell; 0 over characters, None without one."""
        if self.search.model is None:
            return None
        lexicon = self.search.model.lexicon
        return int((lexicon.word != NO_WORD).sum()) if lexicon else 0

    def reset_params(self, alpha: float, beta: float) -> None:
        """Change the weights of the model, if there is one. Streams that have begun keep their weights."""
        old = self.search
        if old.model is None:
            return
        beams = copy(old.beams)
        beams.fusion = Fusion([old.model.scorer(alpha, beta)], len(self.labels))
        self.search = _WeightedSearch(beams, old.model, alpha, beta)

    def _read(self, probs: Tensor | np.ndarray, seq_lens: Sequence[int] | Array) -> tuple[Array, np.ndarray]:
        """Return log-probabilities (B, T, V), on the GPU if `probs` are there, and lengths (B,)."""
        array = read_probs(probs)
        if len(array.shape) != 3 or array.shape[2] != len(self.labels):
            raise ValueError(
                f"probs of shape {tuple(array.shape)}; batch x frames x {len(self.labels)} labels were wanted"
            )
        lengths = read_lengths(seq_lens, *array.shape[:2])
        check_probs(array, lengths, self.log_probs_input)
        if self.log_probs_input:
            return array, lengths
        with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of 0, and of padding
            return namespace(array).log(cast(array, "float64")), lengths


class CTCBeamDecoder(_Decoder):
    """Prefix beam search for batches of utterances; the package lists differences to parlance/ctcdecode.

    Args:
        labels: V strings, what each class writes; only a model needs them. The first " " is the space. With a
            model over words, strings of several characters are never written, and of equal strings only the
            last one is.
        model_path: an ARPA file, plain or gzipped, or our own .npz; None for no model.
        alpha: weight of the model's natural log-probabilities.
        beta: added for each word, or for each label if the model is over characters.
        cutoff_top_n: number of likeliest labels that are considered at each frame.
        cutoff_prob: at each frame, the likeliest labels that together have at least this probability are
            considered.
        beam_width: number of hypotheses in the beam and in the result.
        num_processes: accepted and ignored, since the batch is searched as a whole.
        blank_id: the label that is the blank.
        log_probs_input: whether `decode` gets natural log-probabilities in place of probabilities.

    Raises:
        ValueError: a setting is out of range, the model cannot be read, or the labels can spell none of its
            words.
    """

    def decode(self, probs: Tensor | np.ndarray, seq_lens: Sequence[int] | Array = None) -> Results:
        """Return the hypotheses of a batch, best first, as tensors on the CPU.

        Frames whose probabilities do not sum to 1 are searched as they are; there is one warning for all.

        Args:
            probs: (B, T, V) probabilities, or natural log-probabilities. A tensor on a GPU is searched there.
            seq_lens: (B,) number of real frames; None for all.

        Returns:
            beam_results (B, beam, T) int32, labels, 0 after their end.
            beam_scores (B, beam) float32, lower is better; +inf if there is no hypothesis.
            timesteps (B, beam, T) int32, the frame of each label by the rule of the original: that where the
                label was likeliest since its prefix entered the tree of prefixes.
            out_lens (B, beam) int32, the number of labels.

        Raises:
            ValueError: shapes do not fit, a length is not between 0 and T, or a real frame contains NaN,
                +inf or a negative probability.
        """
        log_probs, lengths = self._read(probs, seq_lens)
        beam = self.search.start(log_probs)
        self.search.beams.feed(beam, log_probs, lengths)
        B, T, _ = log_probs.shape
        return _results([self.search.best(beam)], [slice(B)], B, self.search.beams.width, T)


class OnlineCTCBeamDecoder(_Decoder):
    """Prefix beam search for streams that come in pieces; the result is the same as for the whole.

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
            states: B, one for each stream; they are advanced.
            is_eos_s: B or more, whether the stream ends here; the other streams have no hypotheses in the
                result.
            seq_lens: (B,) number of real frames; None for all.

        Returns:
            The same as `CTCBeamDecoder.decode`, except that the last dimension of beam_results and timesteps
            is the length of the longest hypothesis. Timesteps count from the start of the stream.

        Raises:
            ValueError: for the reasons of `CTCBeamDecoder.decode`, or if the states do not fit.
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
    """The state of one stream.

    Args:
        decoder: the decoder that will read the stream.
    """

    def __init__(self, decoder: OnlineCTCBeamDecoder) -> None:
        self.decoder, self.search = decoder, decoder.search
        self.beam = self.search.start(np.empty(1))


def _feed(states: Sequence[DecoderState], log_probs: np.ndarray, lengths: np.ndarray) -> None:
    """Read `lengths` (B,) frames of `log_probs` (B, T, V); streams with equal settings are read together."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, state in enumerate(states):
        groups[id(state.search), id(state.beam.table)].append(row)
    for rows in groups.values():
        beams = [states[row].beam for row in rows]
        arrays = {name: np.concatenate([getattr(beam, name) for beam in beams]) for name in STATE}
        joint = Beam(**arrays, table=beams[0].table, traces=[], history=[])
        states[rows[0]].search.beams.feed(joint, log_probs[rows], lengths[rows])
        for place, (row, beam) in enumerate(zip(rows, beams, strict=True)):
            own, beam.table = slice(place, place + 1), joint.table
            for name in STATE:
                setattr(beam, name, getattr(joint, name)[own])
            beam.traces += [Trace(*(part[: lengths[row], own] for part in trace)) for trace in joint.traces]
            assert beam.history is not None and joint.history is not None, "start keeps a history"
            beam.history += [Snapshot(*(part[: lengths[row], own] for part in one)) for one in joint.history]
