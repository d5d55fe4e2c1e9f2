"""Decoding without alignment: one label for each step, or one label for the whole sequence."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from common.decoding.arrays import Array, to_numpy
from common.decoding.decoder import DecodingConfig
from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis
from common.text.symbols import Symbols


class LabelDecoder:
    """Turns log-probabilities of names into hypotheses, with the interface of a `Decoder`.

    Args:
        alphabet: the names.
        whole: whether a signal has a single label, where class c is label c + 1; otherwise each step has a
            label, and label 0 means none.

    Attributes:
        config, models, words, hot_words, rescorer: as of a `Decoder`, always empty or default.
    """

    models: tuple[()] = ()
    words: Sequence[str] | None = None
    hot_words: Sequence[str] = ()
    rescorer: None = None

    def __init__(self, alphabet: Symbols, whole: bool) -> None:
        self.alphabet, self.whole, self.config = alphabet, whole, DecodingConfig()

    def decode(self, log_probs: Array, lengths: np.ndarray, count: int = 1) -> list[list[Hypothesis]]:
        """Return up to `count` hypotheses of each signal, best first; labelled steps have only one.

        Args:
            log_probs: (B, S, C) natural log-probabilities, NumPy or torch; S is 1 for whole signals.
            lengths: (B,) number of real steps.
            count: 1 or more.
        """
        rows = [one[:length] for one, length in zip(to_numpy(log_probs), lengths, strict=True)]
        return [_ranked(row[0], count) if self.whole else [_runs(row)] for row in rows]

    def texts(self, log_probs: Array, lengths: np.ndarray) -> list[str]:
        """Return the best text of each signal."""
        found = self.decode(log_probs, lengths)
        return [self.alphabet.decode(hit.label for hit in best.hits) for (best, *_) in found]


def _ranked(log_probs: np.ndarray, count: int) -> list[Hypothesis]:
    """Return the `count` likeliest classes of log-probabilities (C,) as hypotheses of one label each."""
    best = np.argsort(-log_probs, kind="stable")[:count]
    return [
        Hypothesis([Hit(int(label) + 1, 0, 1, float(np.exp(log_probs[label])), 0)], float(log_probs[label]))
        for label in best
    ]


def _runs(log_probs: np.ndarray) -> Hypothesis:
    """Return the runs of equal labels in log-probabilities (S, C); the confidence of a run is its mean."""
    best, sure = log_probs.argmax(1), log_probs.max(1)  # (S,)
    edges = np.flatnonzero(np.diff(best, prepend=-1, append=-1)) if len(best) else np.zeros(0, int)
    hits = []
    for start, end in pairwise(edges.tolist()):
        if best[start]:
            confidence = float(np.exp(sure[start:end]).mean())
            peak = int(start + sure[start:end].argmax())
            hits.append(Hit(int(best[start]), start, end, confidence, peak))
    return Hypothesis(hits, float(sure.sum()))
