"""Drawing texts: the reference is probabilities computed by hand, and the frequency of each text."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from random_language_model import LETTERS, model_of

from common.network.sampling import restrict, sample


def test_restricted_probabilities_are_those_computed_by_hand():
    probabilities = torch.tensor([[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4]])
    log_probs = probabilities.log()
    for settings, expected in [
        ({}, probabilities.tolist()),
        (
            {"temperature": 0.5},
            [[x * x / 0.345 for x in (0.5, 0.25, 0.15, 0.1)], [1 / 30, 4 / 30, 0.3, 16 / 30]],
        ),
        ({"top_k": 2}, [[2 / 3, 1 / 3, 0, 0], [0, 0, 3 / 7, 4 / 7]]),
        ({"top_k": 9}, probabilities.tolist()),
        ({"top_p": 0.6}, [[2 / 3, 1 / 3, 0, 0], [0, 0, 3 / 7, 4 / 7]]),
        ({"top_p": 0.4}, [[1, 0, 0, 0], [0, 0, 0, 1]]),
        ({"top_p": 0.8}, [[0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0], [0, 2 / 9, 3 / 9, 4 / 9]]),
        ({"top_k": 3, "top_p": 0.6}, [[2 / 3, 1 / 3, 0, 0], [0, 0, 3 / 7, 4 / 7]]),
    ]:
        np.testing.assert_allclose(
            restrict(log_probs, **settings), expected, atol=1e-6, err_msg=str(settings)
        )


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"temperature": math.inf}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}],
)
def test_a_number_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        restrict(torch.zeros(1, 3), **settings)


def test_texts_are_drawn_as_often_as_their_probability():
    model = model_of(cell="gru").float()
    texts = sample(model, 20_000, 2, "a", temperature=0.8, generator=torch.Generator().manual_seed(1))
    counts = Counter(texts)
    assert all(text.startswith("a") and "\ufffd" not in text for text in texts)
    expected: dict[str, float] = {}
    allowed = [label for label in range(LETTERS.classes) if label != LETTERS.unknown_label]

    def probabilities(labels: list[int]) -> np.ndarray:
        log_probs, _ = model(torch.tensor([[0, *labels]]), torch.tensor([len(labels) + 1]))
        scaled = np.exp(log_probs[0, -1].detach().numpy() / 0.8)
        return scaled / scaled[allowed].sum()

    first = probabilities([1])
    expected["a"] = first[0]
    for one in allowed[1:]:
        second = probabilities([1, one])
        expected["a" + LETTERS.decode([one])] = first[one] * second[0]
        for other in allowed[1:]:
            expected["a" + LETTERS.decode([one, other])] = first[one] * second[other]
    assert sum(expected.values()) == pytest.approx(1)
    for text, share in expected.items():
        assert counts[text] / 20_000 == pytest.approx(share, abs=0.013), text


def test_the_same_seed_draws_the_same_and_one_text_may_be_prompted_alone():
    model = model_of().float()
    one, same, other = (
        sample(model, 4, 30, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one == same != other
    assert sample(model, 1, 5, "fed", top_k=1) == sample(model, 1, 5, "fed", top_p=1e-9)
