"""The reference is one step's equations in float64 NumPy, and a network unrolled and detached by hand."""

import copy
import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from random_language_model import LETTERS, model_of
from torch import Tensor

from common.data.batching import Batch, BatchLoader
from common.data.text_streams import Lines, Streams, join
from common.files.model_file import read_model, write_model
from common.language.recurrent_model import LanguageModelConfig, RecurrentModel
from common.network.language_model import LanguageModel, Truncation
from common.network.recurrent import State
from common.network.scoring import label_log_probs, measure_bits, text_log_probs

CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
SETTINGS = (
    *({"cell": cell} for cell in CELLS),
    *({"cell": cell, "layers": 3, "residual": True} for cell in CELLS),
    {"tied": True},
    {"tied": True, "embedding_size": 8},
    *({"cell": cell, "layers": 2, "condition": "first"} for cell in CELLS),
    {"condition": "every", "residual": True},
)


def text_of(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, LETTERS.classes, length).astype(np.int32)


def conditioned(model: LanguageModel, rows: int) -> Tensor | None:
    return None if model.condition is None else torch.arange(rows) % 3


# --- one step


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def one_step(model: LanguageModel, label: int, h: np.ndarray, c: np.ndarray, given: np.ndarray | None):
    """Return log-probabilities (C,), h' and c' of a model with one layer, from the published equations."""
    w = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    x = w["embedding.weight"][label] + (0 if given is None else given)
    U, W = w["encoder.forwards.0.weight_ih_l0"], w["encoder.forwards.0.weight_hh_l0"]
    b, d = w["encoder.forwards.0.bias_ih_l0"], w["encoder.forwards.0.bias_hh_l0"]
    if model.config.cell == "lstm":
        i, f, g, o = np.split(U @ x + W @ h + b + d, 4)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(c)
    elif model.config.cell == "gru":
        (r, z, n), (hr, hz, hn) = np.split(U @ x + b, 3), np.split(W @ h + d, 3)
        r, z = logistic(r + hr), logistic(z + hz)
        h = (1 - z) * np.tanh(n + r * hn) + z * h
    else:
        a = U @ x + W @ h + b + d
        h = np.tanh(a) if model.config.cell == "rnn_tanh" else np.maximum(a, 0)
    if model.config.tied:
        logits = w["embedding.weight"] @ (w["projection.weight"] @ h + w["projection.bias"]) + w["bias"]
    else:
        logits = w["head.weight"] @ h + w["head.bias"]
    return logits - np.log(np.exp(logits).sum()), h, c


@pytest.mark.parametrize(
    "settings",
    [*({"cell": cell} for cell in CELLS), {"tied": True}, {"condition": "every"}, {"condition": "first"}],
)
def test_a_model_computes_the_published_equations(settings):
    model = model_of(**settings)
    labels = torch.from_numpy(text_of(18)).long().reshape(3, 6)
    log_probs, state = model(labels, torch.full((3,), 6), condition=conditioned(model, 3))
    for row in range(3):
        h, c, given = np.zeros(8), np.zeros(8), None
        if model.condition is not None:
            given = model.condition.weight.detach().numpy()[row]
        if settings.get("condition") == "first":
            bridged = np.tanh(
                model.bridge.weight.detach().numpy() @ given + model.bridge.bias.detach().numpy()
            )
            h, c, given = bridged[:8], bridged[8:], None
        for step in range(6):
            expected, h, c = one_step(model, int(labels[row, step]), h, c, given)
            np.testing.assert_allclose(log_probs[row, step].detach(), expected, rtol=1e-10)
        np.testing.assert_allclose(state.hidden[0, row].detach(), h, rtol=1e-10)


def test_a_condition_may_be_a_vector():
    model = model_of(condition="every", condition_size=2)
    vector = torch.tensor([[0.5, -2.0]]).double()
    log_probs, _ = model(torch.tensor([[3]]), torch.tensor([1]), condition=vector)
    given = (model.condition.weight @ vector[0] + model.condition.bias).detach().numpy()
    np.testing.assert_allclose(
        log_probs[0, 0].detach(), one_step(model, 3, np.zeros(8), np.zeros(8), given)[0], rtol=1e-10
    )


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_state_carried_over_pieces_equals_the_whole(settings):
    model = model_of(**settings)
    labels, condition = torch.from_numpy(text_of(36)).long().reshape(3, 12), conditioned(model, 3)
    whole, last = model(labels, torch.full((3,), 12), condition=condition)
    state, pieces = None, []
    for part in labels.split([5, 1, 6], 1):
        piece, state = model(part, torch.full((3,), part.shape[1]), state, condition)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state.hidden, last.hidden)


@pytest.mark.parametrize("settings", SETTINGS)
def test_numpy_computes_the_same(settings, tmp_path):
    model = model_of(**settings).float()
    model.save(tmp_path / "lm.safetensors")
    condition = "y" if model.conditions else None
    ours = RecurrentModel.load(tmp_path / "lm.safetensors", condition)
    texts = ["", "abc", "fedcab", "a", "xa"]
    expected = label_log_probs(model, texts, [condition] * 5 if condition else None)
    for one, other in zip(ours.log_probs(texts), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)
    again = RecurrentModel.from_arrays(ours.to_arrays())
    np.testing.assert_array_equal(again.score(texts), ours.score(texts))


def test_log_probabilities_are_a_distribution_over_all_that_may_come():
    model = model_of()
    log_probs, _ = model(torch.tensor([[0, 1, 2]]), torch.tensor([3]))
    torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(1, 3).double())


# --- truncated back-propagation through time


def unrolled_loss(model: LanguageModel, text: Tensor, k1: int, k2: int, update: int, condition) -> Tensor:
    """Return the loss of update number `update` on streams (B, n + 1), detached by hand k2 steps back.

    Step by step from the very start; the state is cut off once, in front of the window.
    """
    end = (update + 1) * k1
    losses, state = [], None
    for step in range(end):
        if step == end - k2 and state is not None:
            state = State(*(part if part is None else part.detach() for part in state))
        log_probs, state = model(text[:, step : step + 1], torch.ones(len(text)), state, condition)
        losses.append(-log_probs[torch.arange(len(text)), 0, text[:, step + 1]])
    return torch.stack(losses[-k1:], 1).mean(1).sum()


def gradients(loss: Tensor, model: LanguageModel) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(model.parameters(), found, strict=True)]


@pytest.mark.parametrize("condition", ["none", "every", "first"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("k1", "k2"), [(3, 3), (1, 4), (2, 4), (3, 9), (2, 100), (12, 12)])
def test_gradients_are_those_of_a_network_detached_by_hand(k1, k2, cell, condition):
    """With k2 of 100 and 12, which cover the sequence, these are the gradients of full back-propagation."""
    model = model_of(cell=cell, layers=2, condition=condition)
    values = [np.array([0.0], np.float32)] if condition != "none" else None
    data = Streams([text_of(24)], 2, k1, k2, values, seed=0)
    model.truncation = Truncation(k1, k2)
    seen = torch.zeros(2, 0, dtype=torch.int64)
    given = None if condition == "none" else torch.zeros(2, dtype=torch.int64)
    for update, batch in enumerate(BatchLoader(data, plan=data.plan).batches()):
        loss, impossible = model.losses(batch)
        new = batch.targets[:, -k1:] if update else batch.targets
        seen = torch.cat([seen, new], 1)
        expected = unrolled_loss(model, seen, k1, k2, update, given)
        assert impossible == 0
        torch.testing.assert_close(loss, expected)
        pairs = zip(gradients(loss, model), gradients(expected, model), strict=True)
        for (name, _), (ours, truth) in zip(model.named_parameters(), pairs, strict=True):
            torch.testing.assert_close(ours, truth, rtol=1e-8, atol=1e-12, msg=lambda text, n=name: n + text)


def test_truncation_changes_the_gradient_but_not_the_loss():
    losses, found = [], []
    for k2 in (2, 12):
        model = model_of()
        data = Streams([text_of(12)], 1, 2, k2, seed=0)
        model.truncation = Truncation(2, k2)
        for batch in BatchLoader(data, plan=data.plan).batches():
            loss, _ = model.losses(batch)
        losses.append(loss)
        found.append(gradients(loss, model)[2])
    torch.testing.assert_close(*losses)
    assert not torch.allclose(*found)


def test_a_new_epoch_starts_afresh_and_a_carried_state_goes_on_exactly():
    data = Streams([text_of(60)], 3, 4, 8, seed=0)
    batches = list(BatchLoader(data, plan=data.plan).batches())
    model = model_of()
    model.truncation = Truncation(4, 8)
    wanted = [model.losses(batch)[0].item() for batch in batches]
    assert [model.losses(batch)[0].item() for batch in batches] == wanted
    for at in range(len(batches)):
        before = model_of()
        before.truncation = Truncation(4, 8)
        for batch in batches[:at]:
            before.losses(batch)
        after = model_of()
        after.truncation = Truncation(4, 8)
        after.carried = copy.deepcopy(before.carried)
        assert [after.losses(batch)[0].item() for batch in batches[at:]] == wanted[at:]
    assert {name: tuple(part.shape) for name, part in before.carried.items()} == {
        "hidden": (1, 3, 8),
        "memory": (1, 3, 8),
    }


def test_a_state_that_is_not_finite_is_not_carried_on():
    data = Streams([text_of(60)], 2, 4, seed=0)
    model = model_of()
    model.truncation = Truncation(4, 4)
    broken = model_of()
    with torch.no_grad():
        broken.embedding.weight.fill_(math.nan)
    broken.truncation = model.truncation
    batches = BatchLoader(data, plan=data.plan).batches()
    assert torch.isnan(broken.losses(next(batches))[0])
    model.carried = broken.carried
    assert torch.isfinite(model.losses(next(batches))[0])


def test_the_loss_of_a_whole_text_does_not_depend_on_the_batch():
    model = model_of()
    lines = [[1, 2, 3], [4], [5, 6, 1, 2]]
    data = Lines(lines, budget=100)
    (batch,) = BatchLoader(data, plan=data.plan).batches()
    total, _ = model.losses(batch)
    alone = 0.0
    for line in lines:
        labels = torch.tensor([[0, *line, 0]])
        log_probs, _ = model(labels[:, :-1], torch.tensor([len(line) + 1]))
        alone += float(-log_probs[0, torch.arange(len(line) + 1), labels[0, 1:]].mean())
    assert total.item() == pytest.approx(alone)


# --- files


def test_a_file_brings_back_the_model_and_its_facts(tmp_path):
    model = model_of(condition="every", tied=True).float()
    model.card["licence"] = "CC0"
    model.save(tmp_path / "lm.safetensors")
    again = LanguageModel.load(tmp_path / "lm.safetensors")
    assert (again.config, again.vocabulary, again.conditions, again.card) == (
        model.config, model.vocabulary, model.conditions, model.card,
    )  # fmt: skip
    np.testing.assert_array_equal(
        text_log_probs(again, ["abc"], ["y"]), text_log_probs(model, ["abc"], ["y"])
    )
    header = read_model(tmp_path / "lm.safetensors").header
    assert header["modality"] == "language model"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"modality": "ocr"}, "`ocr`"),
        ({"config": {"colour": 1}}, "colour"),
        ({"config": {"cell": "lstm", "hidden_size": 9, "embedding_size": 5}}, "weight"),
        ({"conditions": ["x"]}, "both or neither"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, change, named):
    path = tmp_path / "lm.safetensors"
    model_of().float().save(path)
    header, tensors = read_model(path)
    write_model(path, tensors, header | change)
    with pytest.raises(ValueError, match=named) as caught:
        LanguageModel.load(path)
    assert str(path) in str(caught.value)


def test_a_condition_that_is_missing_unknown_or_not_wanted_is_refused():
    with pytest.raises(ValueError, match="wants one"):
        text_log_probs(model_of(condition="first"), ["a"])
    with pytest.raises(ValueError, match="takes none"):
        model_of()(torch.tensor([[0]]), torch.tensor([1]), condition=torch.tensor([0]))
    with pytest.raises(ValueError, match=r"label 'w'.*x, y, z"):
        text_log_probs(model_of(condition="first"), ["a"], ["w"])


# --- learning


def losses_of(model: LanguageModel, batches: Iterable[Batch]) -> list[float]:
    """Return the mean loss of each of `batches`, after each of which an update is made."""
    optimizer, losses = torch.optim.AdamW(model.parameters(), 1e-2), []
    for batch in batches:
        loss, _ = model.losses(batch)
        optimizer.zero_grad()
        (loss / batch.planned).backward()
        optimizer.step()
        losses.append(loss.item() / batch.planned)
    return losses


@pytest.mark.training
@pytest.mark.parametrize("condition", ["first", "every"])
def test_the_loss_of_lines_falls_and_each_language_is_likelier_under_its_own_name(condition):
    torch.manual_seed(0)
    texts = {"abc": "abcabcabc", "fed": "fedfedfed"}
    config = LanguageModelConfig("gru", 24, embedding_size=8, condition=condition)
    model = LanguageModel(config, LETTERS, tuple(texts))
    lines = [LETTERS.encode(text) for text in texts.values()]
    data = Lines(lines, [np.array([number], np.float32) for number in range(2)], 100, seed=0)
    loader = BatchLoader(data, plan=data.plan)
    losses = losses_of(model, (batch for epoch in range(40) for batch in loader.batches(epoch)))
    assert len(losses) == 40  # each epoch is the same batch
    assert losses[-1] < losses[0] / 2
    for name, other in (("abc", "fed"), ("fed", "abc")):
        right, wrong = text_log_probs(model, [texts[name]] * 2, [name, other])
        assert right > wrong + 1


@pytest.mark.training
def test_the_loss_of_streams_falls_and_so_do_the_bits_that_are_measured():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    text = join([[1 + int(rng.integers(2)), 3, 3, 3] for _ in range(40)])
    model = LanguageModel(LanguageModelConfig("gru", 16, embedding_size=8), LETTERS)
    model.truncation = Truncation(5, 10)
    data, whole = Streams([text], 8, 5, 10, seed=0), Streams([text], 1, 50)
    measured = BatchLoader(whole, plan=whole.plan)
    before = np.divide(*measure_bits(model, measured)["bits_per_character"])
    model.train()
    loader = BatchLoader(data, plan=data.plan)
    losses = losses_of(model, (batch for epoch in range(15) for batch in loader.batches(epoch)))
    after = np.divide(*measure_bits(model, measured)["bits_per_character"])
    assert losses[-1] < losses[0] / 2
    assert after < before / 2
