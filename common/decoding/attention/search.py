"""Beam search with an attention decoder, alone or together with a CTC head on the same encoder.

    score of labels y = ((1 - w) log P_attention(y, end) + w log P_ctc(y)) / penalty

    penalty = ((5 + n) / 6) ^ a,  n = number of labels + 1 for the end     (Wu et al. 2016, equation 14)

The second term is joint decoding (Hori, Watanabe and Hershey 2017): CTC reads from left to right and leaves
nothing out, which keeps attention from skipping and repeating parts. For a hypothesis that has not ended,
P_ctc is the probability of all texts that begin with its labels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from common.decoding.attention.ctc_prefixes import CTCPrefixScorer
from common.network.attention_decoder import AttentionDecoder
from common.text.symbols import BLANK

INFINITY = math.inf
FEWEST_STEPS = 32
"""limit of labels for sequences with fewer encoder steps than this; for others it is one label per step"""


class AttentionHypothesis(NamedTuple):
    """A hypothesis.

    score: ranks the hypotheses; the equation is at the top of this file.
    confidences: the decoder's probability of each label given the labels before it.
    steps: the encoder step with the largest attention weight at each label; None without attention.
    """

    labels: list[int]
    score: float
    confidences: list[float]
    steps: list[float] | None


class Ended(NamedTuple):
    """The best ended hypotheses of each sequence: scores, and steps and rows of their ends; (B, K) each."""

    scores: Tensor
    steps: Tensor
    rows: Tensor


class Trace(NamedTuple):
    """How the K hypotheses were extended at a step; each part is (B, K).

    origins: the row of the hypothesis before.
    labels: the label appended.
    log_probs: its log-probability by the decoder.
    peaks: the encoder step with the largest attention weight; None without attention.
    """

    origins: Tensor
    labels: Tensor
    log_probs: Tensor
    peaks: Tensor | None


@torch.no_grad()
def attention_search(
    decoder: AttentionDecoder,
    encoded: Tensor,
    lengths: Tensor,
    width: int = 8,
    length_penalty: float = 0.0,
    ctc_log_probs: Tensor | None = None,
    ctc_weight: float = 0.0,
    longest: int | None = None,
) -> list[list[AttentionHypothesis]]:
    """Return the best hypotheses of each sequence, best first, at most `width` of them.

    At each step, every running hypothesis is extended by every label, and the `width` likeliest extensions
    stay in the beam. An end that is among the `width` likeliest continuations is added to the ended
    hypotheses. A sequence is done when `width` hypotheses have ended and no running one can beat any of them.
    After `longest` labels only the end may follow. With width 1 and neither a length penalty nor CTC, this is
    greedy.

    Args:
        decoder: in evaluation mode.
        encoded: (B, S, E) output of the encoder.
        lengths: (B,) number of real steps, 1 or more.
        width: K, number of hypotheses in the beam.
        length_penalty: a, 0 or more; a higher value favours longer hypotheses.
        ctc_log_probs: (B, S, C) of a CTC head with the same classes; required for a weight above 0.
        ctc_weight: w, the weight of CTC.
        longest: the largest number of labels; None for the number of steps, at least `FEWEST_STEPS`.

    Raises:
        ValueError: a setting is out of range, or log-probabilities are missing or of a wrong shape.
    """
    _check(width, length_penalty, longest)
    B, S, C = len(encoded), encoded.shape[1], decoder.classes
    scorer = _prefix_scorer(ctc_log_probs, lengths, ctc_weight, (B, S, C))
    lengths = lengths.to(encoded.device)
    limits = lengths.clamp(min=FEWEST_STEPS) if longest is None else torch.full_like(lengths, longest)  # (B,)
    first_row = width * torch.arange(B, device=encoded.device).unsqueeze(1)  # (B, 1)
    state = decoder.begin(encoded, lengths)
    state = state.select(torch.arange(B, device=encoded.device).repeat_interleave(width))  # R = B x K rows
    labels = torch.full((B, width), BLANK, device=encoded.device)
    attended = torch.zeros(B, width, 1, dtype=torch.float64, device=encoded.device)
    running = attended.squeeze(2).index_fill(1, torch.arange(1, width, device=encoded.device), -INFINITY)
    prefixes = scorer.begin(width) if scorer else None
    ended = Ended(torch.full_like(running, -INFINITY), torch.zeros_like(labels), torch.zeros_like(labels))
    traces: list[Trace] = []
    for step in range(int(limits.max()) + 1):
        log_probs, state = decoder.step(state, labels.flatten())
        log_probs = log_probs.double().reshape(B, width, C)
        attended = attended + log_probs  # (B, K, C)
        scores = attended
        if scorer and prefixes:
            scores = (1 - ctc_weight) * attended + ctc_weight * scorer.score(prefixes)
        scores = scores.masked_fill(running.unsqueeze(2) == -INFINITY, -INFINITY)
        scores[..., 1:].masked_fill_((step >= limits)[:, None, None], -INFINITY)
        ended = _end(ended, scores, step, length_penalty)
        running, chosen = scores[..., 1:].flatten(1).topk(width)  # (B, K) each
        done = _is_done(ended, running, limits, length_penalty)  # (B,)
        running = running.masked_fill(done.unsqueeze(1), -INFINITY)
        if bool((running == -INFINITY).all()):
            break
        origins, labels = chosen // (C - 1), chosen % (C - 1) + 1
        rows = (first_row + origins).flatten()  # (R,)
        pick = rows * C + labels.flatten()
        peaks = None if state.weights is None else state.weights.argmax(1)[rows].reshape(B, width)
        traces.append(Trace(origins, labels, log_probs.flatten()[pick].reshape(B, width), peaks))
        attended = attended.flatten()[pick].reshape(B, width, 1)
        state = state.select(rows)
        prefixes = scorer.extend(prefixes, origins, labels) if scorer and prefixes else None
    return _backtrace(ended, traces, with_steps=decoder.attention is not None)


def _check(width: int, length_penalty: float, longest: int | None) -> None:
    if width < 1 or (longest is not None and longest < 0) or length_penalty < 0:
        raise ValueError(
            f"width is {width}, length_penalty {length_penalty:g}, longest {longest};"
            " give a width of 1 or more, and none of the others below 0"
        )


def _prefix_scorer(
    log_probs: Tensor | None, lengths: Tensor, weight: float, shape: tuple[int, ...]
) -> CTCPrefixScorer | None:
    if not 0 <= weight <= 1:
        raise ValueError(f"ctc_weight is {weight:g}; give a share, from 0 to 1")
    if weight == 0:
        return None
    if log_probs is None or tuple(log_probs.shape) != shape:
        came = "none came" if log_probs is None else f"their shape is {tuple(log_probs.shape)}"
        raise ValueError(f"ctc_weight {weight:g} needs log-probabilities of shape {shape}; {came}")
    return CTCPrefixScorer(log_probs, lengths)


def _penalty(predictions: Tensor | int, strength: float) -> Tensor | float:
    """Return the divisor of the score of a hypothesis; `predictions` is its number of labels + 1."""
    return ((5 + predictions) / 6) ** strength


def _end(ended: Ended, scores: Tensor, step: int, length_penalty: float) -> Ended:
    """Return the best of the hypotheses `ended` before and of those that end at this step.

    Args:
        ended: before this step.
        scores: (B, K, C) of the continuations of the running hypotheses; class 0 is the end.
        step: number of labels of the running hypotheses.
        length_penalty: a.
    """
    width = scores.shape[1]
    bar = scores.flatten(1).topk(width).values[:, -1:]  # (B, 1)
    now = scores[..., BLANK]  # (B, K)
    now = now.masked_fill(now < bar, -INFINITY) / _penalty(step + 1, length_penalty)
    steps = torch.full_like(ended.steps, step)
    rows = torch.arange(width, device=now.device).expand_as(steps)
    best = torch.cat([ended.scores, now], dim=1).topk(width)
    return Ended(
        best.values,
        torch.cat([ended.steps, steps], dim=1).gather(1, best.indices),
        torch.cat([ended.rows, rows], dim=1).gather(1, best.indices),
    )


def _is_done(ended: Ended, running: Tensor, limits: Tensor, length_penalty: float) -> Tensor:
    """Return which sequences (B,) have no `running` hypothesis (B, K) that can still beat an ended one.

    The bound holds because scores never rise, and the penalty of the longest hypothesis allowed is the
    largest divisor.
    """
    hope = running.amax(1) / _penalty(limits + 1, length_penalty)  # (B,)
    return hope <= ended.scores.amin(1)


def _backtrace(ended: Ended, traces: list[Trace], with_steps: bool) -> list[list[AttentionHypothesis]]:
    """Return the ended hypotheses, traced back from their ends."""
    columns = [torch.stack(column).tolist() for column in zip(*(trace[:3] for trace in traces), strict=True)]
    origins, labels, log_probs = columns or ([], [], [])
    peaks = [trace.peaks.tolist() for trace in traces if trace.peaks is not None]
    found: list[list[AttentionHypothesis]] = []
    for b, (scores, steps, rows) in enumerate(zip(*(part.tolist() for part in ended), strict=True)):
        found.append([])
        for score, end, last in zip(scores, steps, rows, strict=True):
            if score == -INFINITY:
                break
            path, row = [], last
            for step in range(end - 1, -1, -1):
                path.append((step, b, row))
                row = origins[step][b][row]
            path.reverse()
            found[b].append(
                AttentionHypothesis(
                    [labels[t][b][k] for t, b, k in path],
                    score,
                    [math.exp(log_probs[t][b][k]) for t, b, k in path],
                    [float(peaks[t][b][k]) for t, b, k in path] if with_steps else None,
                )
            )
    return found
