"""Perplexity: how well an n-gram model predicts texts."""

import math
from collections.abc import Iterable
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from common.language.ngram import END_TOKEN, START_TOKEN, UNKNOWN_ID, NGram

SENTENCES_AT_ONCE = 10_000


class Perplexity(NamedTuple):
    """The perplexity of texts under a model; the end of each sentence counts as a token."""

    perplexity: float
    """2 to the power of the bits per token"""
    perplexity_known: float
    """perplexity of the known tokens alone: models differ in the probability of an unknown token"""
    tokens: int
    """number of tokens, including ends of sentences and unknown tokens"""
    oovs: int
    """number of tokens that the model does not know"""
    bits_per_token: float


def perplexity(model: NGram, texts: Iterable[str]) -> Perplexity:
    """Return the perplexity of `texts`, one sentence each, under `model`; empty texts are skipped.

    Raises:
        ValueError: all texts are empty.
    """
    total, total_known, tokens, oovs = 0.0, 0.0, 0, 0
    sentences = (model.split(text) for text in texts if text.strip())
    while batch := list(islice(sentences, SENTENCES_AT_ONCE)):
        ids = model.ids(chain.from_iterable((START_TOKEN, *sentence, END_TOKEN) for sentence in batch))
        lengths = np.array([len(sentence) + 2 for sentence in batch])
        starts = np.zeros(len(ids), bool)
        starts[np.cumsum(lengths) - lengths] = True
        log_probs = model.sentence_log_probs(ids, starts)
        known = ids[~starts] != UNKNOWN_ID
        total += float(log_probs[~starts].sum())
        total_known += float(log_probs[~starts][known].sum())
        tokens += len(known)
        oovs += int((~known).sum())
    if not tokens:
        raise ValueError("no text to take the perplexity of; give a line that is not empty")
    mean, mean_known = total / tokens, total_known / (tokens - oovs)
    return Perplexity(_power(-mean), _power(-mean_known), tokens, oovs, -mean / math.log(2))


def _power(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
