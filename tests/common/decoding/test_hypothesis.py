import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.decoding.hypothesis import tempered


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_tempered_probabilities_are_the_softmax_of_divided_log_probabilities(seed, temperature):
    rng = np.random.default_rng(seed)
    scores, labels = 4 * rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    expected = torch.from_numpy(log_probs / temperature).softmax(-1)[range(6), labels]
    np.testing.assert_allclose(tempered(log_probs, labels, temperature), expected.numpy(), rtol=1e-9)
