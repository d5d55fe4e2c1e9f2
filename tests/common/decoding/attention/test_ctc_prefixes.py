"""Results are compared with a sum over all CTC paths, or with the CTC loss."""

from itertools import product

import numpy as np
import pytest
import torch
from ctc_texts import ctc_of, ctc_probabilities

from common.decoding.attention.ctc_prefixes import CTCPrefixScorer

S = 5
LENGTHS = torch.tensor([5, 1, 3])


@pytest.mark.parametrize("classes", [2, 3])
def test_prefix_scores_are_sums_over_all_alignments(classes):
    log_probs = ctc_of(classes=classes)
    behind = (torch.arange(S) >= LENGTHS[:, None])[:, :, None]
    scorer = CTCPrefixScorer(torch.where(behind, float("nan"), log_probs), LENGTHS)
    spoken = [ctc_probabilities(log_probs[row, :length]) for row, length in enumerate(LENGTHS.tolist())]
    texts = [text for count in range(4) for text in product(range(1, classes), repeat=count)]
    for text in texts:
        prefixes = scorer.begin()
        for label in text:
            prefixes = scorer.extend(
                prefixes, torch.zeros(3, 1, dtype=torch.int64), torch.full((3, 1), label)
            )
        scores = scorer.score(prefixes)[:, 0]  # (B, C)
        for row, probabilities in enumerate(spoken):
            expected = [probabilities.get(text, 0.0)] + [
                sum(p for other, p in probabilities.items() if other[: len(text) + 1] == (*text, label))
                for label in range(1, classes)
            ]
            np.testing.assert_allclose(scores[row].exp().numpy(), expected, rtol=1e-9, atol=1e-300)


def test_prefixes_of_a_beam_are_extended_from_their_origins():
    log_probs = ctc_of()
    scorer = CTCPrefixScorer(log_probs, torch.full((3,), S))
    prefixes = scorer.begin(2)
    prefixes = scorer.extend(prefixes, torch.tensor([[0, 1]] * 3), torch.tensor([[1, 2]] * 3))
    prefixes = scorer.extend(
        prefixes, torch.tensor([[1, 0], [0, 0], [1, 1]]), torch.tensor([[2, 2], [1, 2], [1, 2]])
    )
    assert prefixes.last.tolist() == [[2, 2], [1, 2], [1, 2]]
    texts = [[(2, 2), (1, 2)], [(1, 1), (1, 2)], [(2, 1), (2, 2)]]
    whole = scorer.score(prefixes)[..., 0]
    for row, pair in enumerate(texts):
        probabilities = ctc_probabilities(log_probs[row])
        expected = [np.log(probabilities[text]) for text in pair]
        assert whole[row].tolist() == pytest.approx(expected, rel=1e-9)


def test_long_and_certain_sequences_keep_their_precision():
    """In 400 steps of float32 with classes of probability 1e-30, the score of the whole is the CTC loss."""
    labels = [1, 2, 2, 3, 1] * 20
    scores = torch.full((1, 400, 4), -70.0)
    path = [part for label in labels for part in (label, label, 0, 0)]
    scores[0, range(400), path] = 0.0
    log_probs = (scores + torch.randn(400, 4, generator=torch.Generator().manual_seed(0))).log_softmax(-1)
    scorer = CTCPrefixScorer(log_probs, torch.tensor([400]))
    prefixes = scorer.begin()
    for label in labels:
        likeliest = scorer.score(prefixes)[0, 0]
        assert likeliest[1:].argmax() + 1 == label
        prefixes = scorer.extend(prefixes, torch.zeros(1, 1, dtype=torch.int64), torch.tensor([[label]]))
    loss = torch.nn.functional.ctc_loss(
        log_probs.double().transpose(0, 1),
        torch.tensor([labels]),
        torch.tensor([400]),
        torch.tensor([100]),
        reduction="sum",
    )
    assert scorer.score(prefixes)[0, 0, 0].item() == pytest.approx(-loss.item(), rel=1e-9)


def test_a_class_of_probability_zero_gives_no_nan():
    log_probs = torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]], dtype=torch.float64).log()
    scorer = CTCPrefixScorer(log_probs, torch.tensor([3]))
    probabilities = ctc_probabilities(log_probs[0])
    for text in [(), (1,), (2,), (1, 2), (1, 1), (2, 2), (1, 2, 1)]:
        prefixes = scorer.begin()
        for label in text:
            prefixes = scorer.extend(prefixes, torch.zeros(1, 1, dtype=torch.int64), torch.tensor([[label]]))
        whole = scorer.score(prefixes)[0, 0, 0].item()
        assert whole == pytest.approx(np.log(probabilities[text]) if probabilities.get(text) else -np.inf)
