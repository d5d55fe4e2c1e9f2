"""CTC prefix scores for joint decoding: the probability of all texts that begin with a prefix."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from common.text.symbols import BLANK

INFINITY = math.inf
IMPOSSIBLE = -1e6
"""replaces a log-probability of -inf, which could not be subtracted from a sum again"""


class Prefixes(NamedTuple):
    """The log-probabilities of K hypotheses after 0 to S steps: r^n and r^b of Watanabe et al.

    label: (B, K, S + 1), of the paths that spell the hypothesis and end in its last label.
    blank: (B, K, S + 1), of the paths that spell it and end in a blank.
    last: (B, K), the last label; the blank if there is none.
    """

    label: Tensor
    blank: Tensor
    last: Tensor


class CTCPrefixScorer:
    """CTC's probabilities of all texts that begin with a prefix (Watanabe et al. 2017, algorithm 2).

    A prefix g is extended by a label c at step t. The extension starts from phi, the paths of g until then,
    without those that end in c itself:

        phi_t = r^b_t(g), and r^n_t(g) if c is not g's last label
        r^n_t(g c) = (r^n_t-1(g c) + phi_t-1) p_t(c)          score(g c) = sum over t of phi_t-1 p_t(c)
        r^b_t(g c) = (r^b_t-1(g c) + r^n_t-1(g c)) p_t(blank)

    A cumulative sum replaces the paper's loop over t: x_t = (x_t-1 + y_t-1) p_t has the solution
    x_t = P_t sum over s <= t of y_s-1 / P_s-1, where P_t is the product of p_1 to p_t.

    Args:
        log_probs: (B, S, C) log-softmax over classes, the blank at 0.
        lengths: (B,) number of real steps; padded steps are not read.
    """

    def __init__(self, log_probs: Tensor, lengths: Tensor) -> None:
        S, C = log_probs.shape[1:]
        steps = torch.arange(S, device=log_probs.device)
        behind = steps >= lengths.to(log_probs.device).unsqueeze(1)  # (B, S)
        silence = log_probs.new_full((C,), IMPOSSIBLE, dtype=torch.float64)
        silence[BLANK] = 0.0
        filled = torch.where(behind.unsqueeze(2), silence, log_probs.double()).clamp(min=IMPOSSIBLE)
        self.probs = filled.exp()  # (B, S, C)
        self.products = functional.pad(filled.transpose(1, 2).cumsum(2), (1, 0))  # (B, C, S + 1): log P

    def begin(self, width: int = 1) -> Prefixes:
        """Return `width` copies of the empty prefix, which only blanks spell."""
        blank = self.products[:, BLANK].unsqueeze(1).expand(-1, width, -1)  # (B, K, S + 1)
        last = torch.full(blank.shape[:2], BLANK, device=blank.device)
        return Prefixes(torch.full_like(blank, -INFINITY), blank, last)

    def score(self, prefixes: Prefixes) -> Tensor:
        """Return the log-probability (B, K, C) of each prefix extended by each label.

        The column of the blank holds the log-probability of the prefix as the whole text.
        """
        label, blank, last = prefixes
        either = torch.logaddexp(label, blank)  # (B, K, S + 1)
        # probabilities relative to the largest; those below e^-700 of it underflow to 0
        scale = either.amax(2, keepdim=True).clamp(min=10 * IMPOSSIBLE)  # (B, K, 1)
        before, after_blank = ((part - scale)[..., :-1].exp() for part in (either, blank))  # (B, K, S)
        sums = before @ self.probs  # (B, K, C)
        again = last.unsqueeze(2)  # (B, K, 1)
        spoken = self.probs.transpose(1, 2).gather(1, again.expand_as(before))  # (B, K, S)
        sums.scatter_(2, again, (after_blank * spoken).sum(2, keepdim=True))
        scores = sums.log() + scale
        whole = either[..., -1]  # (B, K)
        scores[..., BLANK] = whole.masked_fill(whole < IMPOSSIBLE / 2, -INFINITY)
        return scores

    def extend(self, prefixes: Prefixes, origins: Tensor, labels: Tensor) -> Prefixes:
        """Return the prefixes at the indices `origins` (B, K'), each extended by one of `labels` (B, K')."""
        shape = (*origins.shape, self.products.shape[2])
        label, blank = (part.gather(1, origins.unsqueeze(2).expand(shape)) for part in prefixes[:2])
        repeats = prefixes.last.gather(1, origins) == labels  # (B, K')
        entering = torch.where(repeats.unsqueeze(2), blank, torch.logaddexp(label, blank))  # phi
        label = _accumulate(entering, self.products.gather(1, labels.unsqueeze(2).expand(shape)))
        return Prefixes(label, _accumulate(label, self.products[:, BLANK].unsqueeze(1)), labels)


def _accumulate(entering: Tensor, products: Tensor) -> Tensor:
    """Return log x of x_t = (x_t-1 + y_t-1) p_t, for log y `entering` and log P `products`, (B, K, S + 1)."""
    entered = (entering - products)[..., :-1].logcumsumexp(2) + products[..., 1:]  # (B, K, S)
    return functional.pad(entered, (1, 0), value=-INFINITY)
