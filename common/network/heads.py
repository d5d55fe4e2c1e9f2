"""Heads: the layers after the encoder, which turn encoded steps into log-probabilities of labels.

    encoded (B, S, E)  ->  CTCHead       (B, S, C)    N to M, in order: class 0 is the blank
                           FrameHead     (B, S, C)    N to N: class 0 is a step without a label
                           SequenceHead  (B, C)       N to 1: class c is label c + 1
                           AttentionHead (B, L, C)    N to M, in any order, by a decoder of its own

All heads return log-probabilities in float32, whatever the precision elsewhere. `losses` returns the sum of
the losses over the batch, and the number of targets that no output can reach.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.data.batching import HostSizes
from common.network.attention_decoder import AttentionDecoder, attention_losses
from common.network.choices import Pooling
from common.network.ctc import consistency_losses, count_impossible, ctc_losses
from common.network.recurrent import summary


class CTCHead(nn.Module):
    """Log-probabilities of classes for each step, for CTC: a linear layer and a log-softmax in float32.

    Args:
        input_size: E, values of an encoded step.
        classes: C, the labels and the blank, which is class 0.
        dropout: share of values set to 0 in training.
    """

    def __init__(self, input_size: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, classes)

    def forward(self, encoded: Tensor) -> Tensor:
        """Return log-probabilities (B, S, C), in float32, for `encoded` (B, S, E)."""
        return self.linear(self.dropout(encoded)).float().log_softmax(dim=-1)  # (B, S, C)

    def losses(
        self,
        encoded: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_lengths: Tensor,
        on_host: HostSizes | None = None,
    ) -> tuple[Tensor, int]:
        """Return the sum of the CTC losses, and the number of targets that no path can spell (loss 0).

        Args:
            encoded: (B, S, E).
            lengths: (B,) real steps.
            targets: (B, L) labels, 1 to C - 1.
            target_lengths: (B,) real labels.
            on_host: the last three on the host, for encoded steps on another device.
        """
        host = on_host or HostSizes(lengths, targets, target_lengths)
        losses = ctc_losses(self(encoded), host.lengths, targets, host.target_lengths)  # (B,)
        return losses.sum(), count_impossible(*host)

    def consistent_losses(
        self,
        encoded: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_lengths: Tensor,
        weight: float,
        on_host: HostSizes | None = None,
    ) -> tuple[Tensor, int]:
        """Return the sum of the losses of a batch that was computed in two views, and as `losses` a count.

        The loss of an utterance is the mean of its CTC losses over both views, plus `weight` times the
        difference between the views.

        Args:
            encoded: (2 B, S, E), the first views, and then the second views in the same order.
            lengths: (B,) real steps of both views.
            targets: (B, L) labels from 1 on.
            target_lengths: (B,) real labels.
            weight: weight of `consistency_losses`.
            on_host: as for `losses`.
        """
        first, second = self(encoded).chunk(2)  # (B, S, C) each
        host = on_host or HostSizes(lengths, targets, target_lengths)
        rest = (host.lengths, targets, host.target_lengths)
        losses = 0.5 * (ctc_losses(first, *rest) + ctc_losses(second, *rest))  # (B,)
        total = losses + weight * consistency_losses(first, second, lengths)
        return total.sum(), count_impossible(*host)


class FrameHead(CTCHead):
    """Log-probabilities of one label for each step, with the layers of CTCHead; class 0 is no label."""

    def losses(
        self,
        encoded: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_lengths: Tensor,
        on_host: HostSizes | None = None,
    ) -> tuple[Tensor, int]:
        """Return the sum over the sequences of the mean cross-entropy of their steps, and 0.

        Args:
            encoded: (B, S, E).
            lengths: (B,) real steps.
            targets: (B, S) labels, 0 to C - 1.
            target_lengths: (B,), equal to `lengths`.
            on_host: not needed.
        """
        assert targets.shape[1] == encoded.shape[1], "a label for each step"
        per_step = functional.nll_loss(self(encoded).transpose(1, 2), targets, reduction="none")  # (B, S)
        real = torch.arange(targets.shape[1], device=targets.device) < lengths.unsqueeze(1)  # (B, S)
        return ((per_step * real).sum(1) / lengths.clamp(min=1)).sum(), 0


class SequenceHead(nn.Module):
    """Log-probabilities of one label for a whole sequence: its steps are pooled into one, then classified.

    Args:
        input_size: E, values of an encoded step.
        classes: C; class c is label c + 1.
        pooling: "last": the encoder's output after it has read the whole sequence, in each direction; "mean":
            the mean of the real steps; "attention": their mean weighted by the softmax over the steps of
            v . tanh(W e) (Bahdanau et al. 2015; as pooling: Yang et al. 2016).
        bidirectional: whether the second half of E was read from the end; "last" takes its first step then.
        dropout: share of values set to 0 in training.

    Raises:
        ValueError: an unknown pooling.
    """

    def __init__(
        self,
        input_size: int,
        classes: int,
        pooling: Pooling = "attention",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if pooling not in ("last", "mean", "attention"):
            raise ValueError(f"pooling is {pooling!r}; it must be last, mean or attention")
        self.pooling, self.bidirectional = pooling, bidirectional
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, classes)
        attentive = pooling == "attention"
        self.energy = (
            nn.Sequential(nn.Linear(input_size, 64), nn.Tanh(), nn.Linear(64, 1)) if attentive else None
        )

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """Return log-probabilities (B, C), in float32, for `encoded` (B, S, E), `lengths` (B,) steps long."""
        pooled = self._pooled(encoded, lengths)  # (B, E)
        return self.linear(self.dropout(pooled)).float().log_softmax(dim=-1)  # (B, C)

    def _pooled(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """Return one step (B, E) for each sequence."""
        if self.pooling == "last":
            return summary(encoded, lengths, self.bidirectional)
        real = torch.arange(encoded.shape[1], device=encoded.device) < lengths.unsqueeze(1)  # (B, S)
        if self.energy is None:
            weights = real / lengths.unsqueeze(1).clamp(min=1)  # (B, S)
        else:
            energies = self.energy(encoded).squeeze(2).float()  # (B, S)
            weights = energies.masked_fill(~real, -torch.inf).softmax(dim=1)
        return (encoded * weights.unsqueeze(2)).sum(1)  # (B, E)

    def losses(
        self,
        encoded: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_lengths: Tensor,
        on_host: HostSizes | None = None,
    ) -> tuple[Tensor, int]:
        """Return the sum of the cross-entropies, and 0.

        Args:
            encoded: (B, S, E).
            lengths: (B,) real steps.
            targets: (B, 1) labels, 1 to C.
            target_lengths: (B,), all 1.
            on_host: not needed.
        """
        return functional.nll_loss(self(encoded, lengths), targets[:, 0] - 1, reduction="sum"), 0


class AttentionHead(nn.Module):
    """An attention decoder, which predicts labels in any order, and optionally a CTC head beside it.

    With both, the loss is (1 - w) times the decoder's loss plus w times the CTC loss (Kim et al. 2017): CTC
    soon teaches the encoder where the labels are.

    Args:
        decoder: reads the encoded steps.
        ctc: the CTC head, or None.
        ctc_weight: w, the share of the CTC loss.
        smoothing: label smoothing of the decoder's targets, see `attention_losses`.
        sampling: the probability that the decoder is fed its own prediction, see `AttentionDecoder.forward`.
    """

    def __init__(
        self,
        decoder: AttentionDecoder,
        ctc: CTCHead | None = None,
        ctc_weight: float = 0.0,
        smoothing: float = 0.0,
        sampling: float = 0.0,
    ) -> None:
        super().__init__()
        self.decoder, self.ctc = decoder, ctc
        self.ctc_weight, self.smoothing, self.sampling = ctc_weight, smoothing, sampling

    def losses(
        self,
        encoded: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_lengths: Tensor,
        on_host: HostSizes | None = None,
    ) -> tuple[Tensor, int]:
        """Return the sum of the losses, and the number of targets that CTC cannot spell (0 without CTC).

        Args:
            encoded: (B, S, E).
            lengths: (B,) real steps.
            targets: (B, L) labels, 1 to C - 1.
            target_lengths: (B,) real labels.
            on_host: as for `CTCHead.losses`.
        """
        log_probs = self.decoder(encoded, lengths, targets, target_lengths, self.sampling)  # (B, L + 1, C)
        total = attention_losses(log_probs, targets, target_lengths, self.smoothing).sum()
        if self.ctc is None:
            return total, 0
        aside, impossible = self.ctc.losses(encoded, lengths, targets, target_lengths, on_host)
        return (1 - self.ctc_weight) * total + self.ctc_weight * aside, impossible


def head_outputs(head: nn.Module, encoded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities (B, S', C) of a head and their lengths (B,); S' is 1 for a SequenceHead.

    Args:
        head: one of this module.
        encoded: (B, S, E).
        lengths: (B,) real steps.

    Raises:
        ValueError: the head is an attention decoder without CTC, which has no probabilities of steps.
    """
    if isinstance(head, AttentionHead):
        if head.ctc is None:
            raise ValueError(
                "an attention decoder alone gives no probabilities of steps; train with --ctc-weight"
                " above 0, or with --task ctc"
            )
        return head.ctc(encoded), lengths  # (B, S, C)
    if isinstance(head, SequenceHead):
        return head(encoded, lengths).unsqueeze(1), torch.ones_like(lengths)  # (B, 1, C)
    return head(encoded), lengths  # (B, S, C)
