"""Results are compared with a list of all texts and of all CTC paths that spell each of them."""

from itertools import product

import numpy as np
import pytest
import torch
from ctc_texts import ctc_of, ctc_probabilities
from torch import Tensor

from common.decoding.attention.search import attention_search
from common.network.attention_decoder import AttentionDecoder, attention_losses

S, E, C = 5, 4, 3
LENGTHS = torch.tensor([5, 1, 3])
TEXTS = [text for count in range(4) for text in product((1, 2), repeat=count)]
"""all texts of at most three labels: 15"""


def decoder_of(arrangement: str = "location", seed: int = 0, classes: int = C, scale: float = 1.0):
    torch.manual_seed(seed)
    decoder = AttentionDecoder(E, classes, 8, 4, arrangement, "gru", attention_size=6).double().eval()
    for parameter in decoder.parameters():  # far from uniform probabilities
        parameter.data.mul_(3.0)
    decoder.output.weight.data.mul_(scale)
    if decoder.attention:
        decoder.attention.query.weight.data.mul_(5.0)  # different hypotheses attend to different steps
    return decoder


def encoded_of(batch: int = 3, steps: int = S, seed: int = 1) -> Tensor:
    return torch.randn(batch, steps, E, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def attention_score(decoder: AttentionDecoder, encoded: Tensor, text: tuple[int, ...]) -> float:
    """Return the log-probability of `text` and its end given `encoded` (S, E)."""
    targets, count = torch.tensor([text], dtype=torch.int64), torch.tensor([len(text)])
    with torch.no_grad():
        log_probs = decoder(encoded[None], torch.tensor([len(encoded)]), targets, count)
    return -attention_losses(log_probs, targets, count).item()


def ranked(decoder: AttentionDecoder, encoded: Tensor, penalty: float, ctc: Tensor | None, weight: float):
    """Return all possible texts of at most three labels with their scores, best first."""
    spoken = {} if ctc is None else ctc_probabilities(ctc)
    scores = {}
    for text in TEXTS:
        score = (1 - weight) * attention_score(decoder, encoded, text)
        if weight and text not in spoken:
            continue
        score += weight * np.log(spoken[text]) if weight else 0.0
        scores[text] = score / ((5 + len(text) + 1) / 6) ** penalty
    return sorted(scores.items(), key=lambda item: -item[1])


def check_same(found, expected) -> None:
    assert [tuple(one.labels) for one in found] == [text for text, _ in expected]
    assert [one.score for one in found] == pytest.approx([score for _, score in expected], rel=1e-9)


# --- beam search


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("arrangement", ["every", "location", "dot"])
def test_a_beam_wide_enough_finds_all_texts_in_order(arrangement, penalty):
    decoder, encoded = decoder_of(arrangement), encoded_of()
    found = attention_search(decoder, encoded, LENGTHS, width=20, length_penalty=penalty, longest=3)
    for row, length in enumerate(LENGTHS.tolist()):
        check_same(found[row], ranked(decoder, encoded[row, :length], penalty, None, 0.0))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_with_ctc_it_finds_all_texts_that_some_path_spells(weight, penalty):
    decoder, encoded, ctc = decoder_of(), encoded_of(), ctc_of()
    found = attention_search(decoder, encoded, LENGTHS, 20, penalty, ctc, weight, longest=3)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = ranked(decoder, encoded[row, :length], penalty, ctc[row, :length], weight)
        check_same(found[row], expected)
    assert [len(one) for one in found] == [15, 3, 9]  # three steps spell 9, one step 3


@pytest.mark.parametrize("arrangement", ["first", "additive", "dot"])
def test_width_1_is_greedy(arrangement):
    lengths = set()
    for seed in range(10):
        decoder = decoder_of(arrangement, seed, scale=0.5)
        state, label, labels = decoder.begin(encoded_of(1), LENGTHS[:1]), torch.tensor([0]), []
        with torch.no_grad():
            while len(labels) < 8:
                log_probs, state = decoder.step(state, label)
                label = log_probs.argmax(1)
                if label == 0:
                    break
                labels.append(label.item())
        found = attention_search(decoder, encoded_of(1), LENGTHS[:1], width=1, longest=8)
        assert [one.labels for one in found[0]] == [labels]
        lengths.add(len(labels))
    assert len(lengths) > 1


@pytest.mark.parametrize("weight", [0.0, 0.4])
@pytest.mark.parametrize("width", [2, 5])
def test_the_parts_of_a_hypothesis_of_a_narrow_beam_fit_together(width, weight):
    """Labels, score, confidences and steps belong together; each text occurs once, the best first."""
    classes = 5
    decoder, encoded, ctc = decoder_of(classes=classes, scale=0.5), encoded_of(), ctc_of(classes=classes)
    found = attention_search(decoder, encoded, LENGTHS, width, 0.5, ctc, weight, longest=6)
    for row, length in enumerate(LENGTHS.tolist()):
        spoken = ctc_probabilities(ctc[row, :length])
        texts = [tuple(one.labels) for one in found[row]]
        assert 0 < len(texts) <= width
        assert len(set(texts)) == len(texts)
        assert sorted(found[row], key=lambda one: -one.score) == found[row]
        for one in found[row]:
            score = (1 - weight) * attention_score(decoder, encoded[row, :length], tuple(one.labels))
            score += weight * np.log(spoken[tuple(one.labels)]) if weight else 0.0
            assert one.score == pytest.approx(score / ((6 + len(one.labels)) / 6) ** 0.5)
            state = decoder.begin(encoded[row : row + 1, :length], torch.tensor([length]))
            previous = 0
            for label, confidence, step in zip(one.labels, one.confidences, one.steps, strict=True):
                log_probs, state = decoder.step(state, torch.tensor([previous]))
                assert confidence == pytest.approx(log_probs[0, label].exp().item())
                assert step == state.weights.argmax().item()
                previous = label


def test_without_attention_there_are_no_steps():
    for arrangement in ("first", "every"):
        found = attention_search(decoder_of(arrangement), encoded_of(), LENGTHS, longest=3)
        assert all(one.steps is None for row in found for one in row)


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_batch_mates_and_padding_change_nothing(weight):
    decoder, encoded, ctc = decoder_of(), encoded_of(), ctc_of()
    behind = (torch.arange(S) >= LENGTHS[:, None])[:, :, None]
    dirty, dirty_ctc = (torch.where(behind, float("nan"), part) for part in (encoded, ctc))
    together = attention_search(decoder, dirty, LENGTHS, 3, 0.5, dirty_ctc, weight)
    for row, length in enumerate(LENGTHS.tolist()):
        one = slice(row, row + 1)
        alone = attention_search(
            decoder, encoded[one, :length], LENGTHS[one], 3, 0.5, ctc[one, :length], weight
        )
        assert [found.labels for found in together[row]] == [found.labels for found in alone[0]]
        assert [found.steps for found in together[row]] == [found.steps for found in alone[0]]
        assert [found.score for found in together[row]] == pytest.approx([found.score for found in alone[0]])


# --- where it ends


class Script(AttentionDecoder):
    """A decoder that returns given probabilities for any input, and counts its steps."""

    def __init__(self, probabilities: list[list[float]]) -> None:
        super().__init__(E, len(probabilities[0]), arrangement="first")
        self.log_probs, self.at = torch.tensor(probabilities, dtype=torch.float64).log(), 0

    def step(self, state, labels):
        self.at += 1
        return self.log_probs[min(self.at, len(self.log_probs)) - 1].expand(len(labels), -1), state


def test_an_ended_hypothesis_is_kept_while_others_run_on():
    script = Script([[0.4, 0.5, 0.1], [0.3, 0.6, 0.1], [0.9, 0.06, 0.04]])
    found = attention_search(script, encoded_of(1).float(), LENGTHS[:1], width=2)[0]
    assert [one.labels for one in found] == [[], [1, 1]]
    assert [one.score for one in found] == pytest.approx([np.log(0.4), np.log(0.5 * 0.6 * 0.9)])
    assert found[1].confidences == pytest.approx([0.5, 0.6])


def test_the_search_stops_when_nothing_can_beat_what_has_ended():
    script = Script([[0.98, 0.01, 0.01]])
    attention_search(script, encoded_of(1).float(), LENGTHS[:1], width=1, longest=1000)
    assert script.at == 1
    script = Script([[0.01, 0.98, 0.01], [0.5, 0.3, 0.2]])
    found = attention_search(script, encoded_of(1).float(), LENGTHS[:1], width=2, longest=1000)[0]
    assert [one.labels for one in found] == [[1], [1, 1]]
    assert script.at == 3


def test_the_length_penalty_lets_the_search_go_on_to_longer_texts():
    certain_after_all = [[0.5, 0.49, 0.01]] + 8 * [[0.001, 0.998, 0.001]] + [[0.998, 0.001, 0.001]]
    for width, penalty, labels in [(1, 0.0, []), (2, 0.0, []), (1, 1.0, [1] * 9), (2, 1.0, [1] * 9)]:
        script = Script(certain_after_all)
        found = attention_search(script, encoded_of(1).float(), LENGTHS[:1], width, penalty, longest=20)
        assert found[0][0].labels == labels


def test_after_the_largest_number_of_labels_only_the_end_follows():
    never = Script([[1e-6, 1 - 2e-6, 1e-6]])
    found = attention_search(never, encoded_of(2, 40).float(), torch.tensor([40, 2]), width=1)
    assert [len(one[0].labels) for one in found] == [40, 32]  # one for each step, at least 32
    never.at = 0
    assert attention_search(never, encoded_of(1).float(), LENGTHS[:1], 3, longest=0)[0][0].labels == []
    assert never.at == 1


def test_one_step_is_enough():
    decoder, ctc = decoder_of(), ctc_of(1, 1)
    found = attention_search(decoder, encoded_of(1, 1), torch.tensor([1]), 20, 0.0, ctc, 0.5)
    check_same(found[0], ranked(decoder, encoded_of(1, 1)[0], 0.0, ctc[0], 0.5))
    assert sorted(one.labels for one in found[0]) == [[], [1], [2]]


# --- errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width is 0"),
        ({"longest": -1}, "longest -1"),
        ({"length_penalty": -0.5}, "length_penalty -0.5"),
        ({"ctc_weight": 1.5}, "ctc_weight is 1.5"),
        ({"ctc_weight": 0.3}, "needs log-probabilities of shape .*; none came"),
        ({"ctc_weight": 0.3, "ctc_log_probs": ctc_of(classes=4)}, "their shape is"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        attention_search(decoder_of(), encoded_of(), LENGTHS, **settings)
