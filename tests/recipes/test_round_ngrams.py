"""The truth of these tests is the model before it is rounded."""

import numpy as np
import pytest
from round_ngrams import STEP, round_ngrams

from common.language.kneser_ney import estimate
from common.language.loading import load_ngrams

TEXTS = ["the cat sat", "the hat", "a cat that sat", "that is that"]


def test_each_number_is_the_nearest_multiple_and_what_is_impossible_stays(tmp_path):
    model = estimate(TEXTS, 3)
    model.save(tmp_path / "whole.npz")
    round_ngrams(str(tmp_path / "whole.npz"), str(tmp_path / "rounded.npz"))
    before, after = model.to_arrays(), load_ngrams(tmp_path / "rounded.npz").to_arrays()
    for name, values in before.items():
        if name not in ("log_prob", "backoff"):
            np.testing.assert_array_equal(after[name], values)
            continue
        possible = values >= -50
        assert possible.sum() > 20
        np.testing.assert_array_equal(after[name][~possible], values[~possible])
        np.testing.assert_allclose(after[name], values, rtol=0, atol=STEP / 2 + 1e-5)
        np.testing.assert_array_equal(after[name][possible] % STEP, 0)
    assert before["log_prob"].min() < -50, "the start of a text is never predicted"


def test_a_text_has_almost_the_same_probability(tmp_path):
    model = estimate(TEXTS, 3)
    model.save(tmp_path / "whole.npz")
    round_ngrams(str(tmp_path / "whole.npz"), str(tmp_path / "rounded.npz"))
    text = list("that cat")
    # each character adds one log-probability and at most two backoff weights
    assert load_ngrams(tmp_path / "rounded.npz").log_probs(text) == pytest.approx(
        model.log_probs(text), abs=3 * STEP / 2 + 1e-5
    )
