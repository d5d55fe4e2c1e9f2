import math

import pytest

from common.language.kneser_ney import estimate
from common.language.perplexity import perplexity

TEXTS = ("the cat sat", "the cat ran", "a cat", "the dog sat on the cat", "on the dog a cat ran", "a a a")


def test_perplexity_is_that_of_the_log_probs_with_ends_and_without_unknown_tokens():
    model = estimate(TEXTS, 2, "word")
    texts = ["the cat", "", "a zebra sat", "  "]
    log_probs = [model.log_probs(text.split()) for text in texts if text.strip()]
    total = sum(part.sum() for part in log_probs)
    found = perplexity(model, texts)
    assert (found.tokens, found.oovs) == (7, 1)
    assert found.perplexity == pytest.approx(math.exp(-total / 7), rel=1e-5)
    assert found.perplexity_known == pytest.approx(math.exp(-(total - log_probs[1][1]) / 6), rel=1e-5)
    assert found.bits_per_token == pytest.approx(math.log2(found.perplexity))


def test_perplexity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no text"):
        perplexity(estimate(TEXTS, 2, "word"), ["", " "])
