from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.decoding.decoder import DecodingConfig
from common.decoding.labelled import LabelDecoder
from common.text.symbols import Names

NAMES = Names(("ice cream", "no", "yes"))
WORDS = Names(("a", "b"), " ")
SCORES = arrays(np.float32, st.tuples(st.integers(0, 8), st.just(3)), elements=st.floats(-9, 9, width=32))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def of_labels(labels: list[int], sure: list[float] | None = None) -> np.ndarray:
    """Return log-probabilities (S, 3) in which the label of each step has the given probability."""
    probabilities = np.full((len(labels), 3), 0.0)
    for row, label, probability in zip(probabilities, labels, sure or [0.9] * len(labels), strict=True):
        row[:] = (1 - probability) / 2
        row[label] = probability
    return np.log(probabilities)


# --- one label to the whole


def test_the_likeliest_class_comes_first_with_its_probability():
    log_probs = np.log([[[0.2, 0.7, 0.1]], [[0.5, 0.2, 0.3]]])
    decoder = LabelDecoder(NAMES, whole=True)
    found = decoder.decode(log_probs, np.array([1, 1]), count=2)
    assert [[(one.hits[0].label, one.hits[0].confidence) for one in of_one] for of_one in found] == [
        [(2, pytest.approx(0.7)), (1, pytest.approx(0.2))],
        [(1, pytest.approx(0.5)), (3, pytest.approx(0.3))],
    ]
    assert [one.score for one in found[0]] == pytest.approx(np.log([0.7, 0.2]).tolist())
    assert decoder.texts(log_probs, np.array([1, 1])) == ["no", "ice cream"]


def test_there_are_no_more_hypotheses_than_classes():
    (found,) = LabelDecoder(NAMES, whole=True).decode(np.log([[[0.2, 0.7, 0.1]]]), np.array([1]), count=9)
    assert [one.hits[0].label for one in found] == [2, 1, 3]


# --- one label to a step


def test_runs_of_equal_labels_are_one_name_and_label_0_is_no_name():
    decoder = LabelDecoder(WORDS, whole=False)
    ((found,),) = decoder.decode(of_labels([0, 1, 1, 0, 2, 1, 1, 0])[None], np.array([8]))
    assert [(hit.label, hit.start, hit.end) for hit in found.hits] == [(1, 1, 3), (2, 4, 5), (1, 5, 7)]
    assert decoder.texts(of_labels([0, 1, 1, 0, 2, 1, 1, 0])[None], np.array([8])) == ["a b a"]


def test_the_confidence_of_a_run_is_the_mean_of_its_steps_and_its_peak_the_surest():
    log_probs = of_labels([1, 1, 1], [0.6, 0.9, 0.6])[None]
    ((found,),) = LabelDecoder(WORDS, whole=False).decode(log_probs, np.array([3]))
    assert found.hits[0].confidence == pytest.approx(0.7)
    assert found.hits[0].peak == 1
    assert found.score == pytest.approx(np.log([0.6, 0.9, 0.6]).sum())


def test_padding_is_not_read():
    log_probs = np.stack([of_labels([1, 2, 2]), of_labels([0, 1, 2])])
    decoder = LabelDecoder(WORDS, whole=False)
    assert decoder.texts(log_probs, np.array([1, 2])) == ["a", "a"]
    assert decoder.texts(log_probs, np.array([0, 3])) == ["", "a b"]


@given(SCORES)
def test_runs_are_those_of_the_likeliest_labels(scores):
    log_probs = log_softmax(scores.astype(np.float64))
    ((found,),) = LabelDecoder(WORDS, whole=False).decode(log_probs[None], np.array([len(scores)]))
    place, expected = 0, []
    for label, run in groupby(log_probs.argmax(1).tolist()):
        end = place + len(list(run))
        if label:
            expected.append((label, place, end))
        place = end
    assert [(hit.label, hit.start, hit.end) for hit in found.hits] == expected
    assert all(hit.start <= hit.peak < hit.end and 0 < hit.confidence <= 1 + 1e-9 for hit in found.hits)


@pytest.mark.parametrize("whole", [True, False])
def test_tensors_are_read_as_arrays(whole):
    log_probs = of_labels([2])[None]
    decoder = LabelDecoder(NAMES, whole)
    assert decoder.texts(torch.from_numpy(log_probs), np.array([1])) == decoder.texts(
        log_probs, np.array([1])
    )


def test_it_has_no_settings():
    decoder = LabelDecoder(NAMES, whole=True)
    assert (decoder.config, decoder.models, decoder.words, decoder.hot_words) == (
        DecodingConfig(),
        (),
        None,
        (),
    )
