import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.greedy import Hit, greedy
from common.decoding.hypothesis import missing_labels, tempered
from common.text.symbols import Alphabet


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_tempered_probabilities_are_the_softmax_of_divided_log_probabilities(seed, temperature):
    rng = np.random.default_rng(seed)
    scores, labels = 4 * rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    expected = torch.from_numpy(log_probs / temperature).softmax(-1)[range(6), labels]
    np.testing.assert_allclose(tempered(log_probs, labels, temperature), expected.numpy(), rtol=1e-9)


ALPHABET = Alphabet(("a", "b", "c"))
#                      blank  a    b    c
STEPS = np.log([
    [0.7, 0.05, 0.05, 0.2],  # before "a": "b" and "c" count, "a" does not
    [0.1, 0.8, 0.05, 0.05],  # "a"
    [0.6, 0.1, 0.1, 0.2],  # between "a" and "b": only "c" counts
    [0.55, 0.05, 0.1, 0.3],
    [0.1, 0.05, 0.8, 0.05],  # "b"
    [0.9, 0.02, 0.05, 0.03],  # after "b": "a" and "c" count
])  # fmt: skip
MISSING = 0.05 + 0.2 + 0.2 + 0.3 + 0.02 + 0.03


def test_labels_that_were_nearly_read_are_missing():
    assert missing_labels(STEPS, greedy(STEPS)) == pytest.approx(MISSING)
    assert missing_labels(STEPS, []) == pytest.approx((1 - np.exp(STEPS[:, 0])).sum())
    assert missing_labels(STEPS[:0], []) == 0


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_decoders_say_how_many_labels_are_missing(decoder):
    padded = np.concatenate([STEPS, STEPS])[None]  # the padding says something else
    ((best, *_),) = Decoder(ALPHABET, DecodingConfig(decoder)).decode(padded, np.array([6]))
    assert [hit.label for hit in best.hits] == [1, 2]
    assert best.missing == pytest.approx(MISSING)


def test_an_empty_reading_is_only_as_sure_as_its_blanks():
    unsure = np.log([[0.6, 0.4, 1e-12, 1e-12]] * 5)
    ((best, *_),) = Decoder(ALPHABET).decode(unsure[None], np.array([5]))
    assert (best.hits, best.missing) == ([], pytest.approx(5 * 0.4))


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3))
def test_missing_labels_are_those_of_the_softmax_at_any_temperature(seed, temperature):
    scores = 3 * np.random.default_rng(seed).standard_normal((8, 4))
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    soft = torch.from_numpy(log_probs / temperature).softmax(-1).numpy()
    hits = [Hit(2, 3, 5, 1.0, 3)]
    outside = soft[[0, 1, 2, 5, 6, 7]]
    wanted = outside[:, [1, 3]].sum()
    assert missing_labels(log_probs, hits, temperature) == pytest.approx(wanted)
