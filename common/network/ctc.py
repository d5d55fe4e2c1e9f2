"""Connectionist temporal classification (Graves et al. 2006): the loss, and which targets fit.

A path gives each step one label or the blank. It spells the text that is left after repeats are merged and
blanks are removed:

    path  - c c - a - t t        text  c a t        probability of the text = sum over all its paths
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from common.text.symbols import BLANK


class Loss(NamedTuple):
    """The result of `ctc_loss`.

    mean: the mean loss over the utterances of a batch, in nats, where impossible ones count as zero.
    impossible: the number of utterances that no path can spell.
    """

    mean: Tensor
    impossible: int


def required_steps(labels: Sequence[int]) -> int:
    """Return the fewest steps that spell `labels`: one per label, and a blank between equal neighbours."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))


def fits(labels: Sequence[int], steps: int) -> bool:
    """Return whether some path of `steps` steps spells `labels`."""
    return required_steps(labels) <= steps


def collapse(path: Iterable[int]) -> list[int]:
    """Return the labels that a path spells: equal neighbours are merged, then blanks are removed."""
    labels, previous = [], BLANK
    for label in path:
        if label not in (BLANK, previous):
            labels.append(label)
        previous = label
    return labels


def ctc_losses(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the negative log-likelihood (B,) of each utterance, in nats and float32; 0 if no path fits.

    Args:
        log_probs: (B, S, C) log-softmax over the classes; class 0 is the blank.
        lengths: (B,) real steps.
        targets: (B, L) labels from 1 to C - 1, padded with anything.
        target_lengths: (B,) real labels.
    """
    return functional.ctc_loss(
        log_probs.float().transpose(0, 1),  # (S, B, C)
        targets.long(),  # int64: keeps cuDNN's kernel out, which is not deterministic (pytorch#26797)
        lengths.long(),
        target_lengths.long(),
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )


def consistency_losses(first: Tensor, second: Tensor, lengths: Tensor) -> Tensor:
    """Return how far two views of each utterance differ (B,), in float32: CR-CTC (Yao et al. 2024).

    Each view learns the distribution of the other, which has no gradient. The loss is half of the sum over
    the steps s of

        KL(second[s], without gradient || first[s]) + KL(first[s], without gradient || second[s])

    Args:
        first: (B, S, C) log-softmax over classes.
        second: the same for the other view.
        lengths: (B,) real steps.
    """
    first, second = first.float(), second.float()
    towards_second = functional.kl_div(first, second.detach(), reduction="none", log_target=True)
    towards_first = functional.kl_div(second, first.detach(), reduction="none", log_target=True)
    differences = (towards_second + towards_first).sum(2)  # (B, S)
    after_end = torch.arange(first.shape[1], device=first.device) >= lengths.to(first.device).unsqueeze(1)
    return 0.5 * differences.masked_fill(after_end, 0.0).sum(1)


def count_impossible(lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> int:
    """Return the number of targets that need more steps than their utterance has.

    Args:
        lengths: (B,) real steps.
        targets: (B, L) labels.
        target_lengths: (B,) real labels.
    """
    inside = torch.arange(1, max(1, targets.shape[1]), device=targets.device) < target_lengths.unsqueeze(1)
    repeats = ((targets[:, 1:] == targets[:, :-1]) & inside).sum(1)  # (B,)
    return int((target_lengths + repeats > lengths).sum())


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Loss:
    """Return the mean of `ctc_losses` over the utterances, and the number of those that no path can spell.

    Args:
        log_probs: (B, S, C) log-softmax over the classes; class 0 is the blank.
        lengths: (B,) real steps.
        targets: (B, L) labels from 1 to C - 1, padded with anything.
        target_lengths: (B,) real labels.
    """
    losses = ctc_losses(log_probs, lengths, targets, target_lengths)
    return Loss(losses.mean(), count_impossible(lengths, targets, target_lengths))
