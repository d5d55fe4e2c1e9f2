"""Gradients are compared with matrix powers (linear recurrence) and finite differences (cells)."""

import math
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from gradients import (
    CLIPPED,
    HIDDEN_SIZE,
    INPUT_SIZE,
    Case,
    build_encoder,
    gradient_norms,
    main,
    mean_norms,
    spread,
    train,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

RECIPE = Path(__file__).parents[2] / "recipes" / "core" / "gradients.sh"
SEEDS = (1, 2, 3)


def inputs(steps: int, seed: int = 0, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences (B, S, D) and directions (B, H), float64."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, steps, INPUT_SIZE, dtype=torch.float64, generator=random)
    return x, torch.randn(batch, HIDDEN_SIZE, dtype=torch.float64, generator=random)


def rate(case: Case, seed: int) -> float:
    """Return the factor of the norm for each step back, between distance 50 and 100."""
    norms = mean_norms(case, 1, 16, seed)
    return math.exp((norms[100].log() - norms[50].log()).item() / 50)


# --- what is measured


def test_norms_of_a_linear_recurrence_are_those_of_its_matrix_powers():
    """With no value below zero, rnn_relu is linear: d (u . h_S) / d x_t = u W^(S - t) U."""
    encoder = build_encoder(Case("rnn_relu", "xavier"), seed=0)
    U, W, _, _ = encoder.forwards[0].parameters()
    with torch.no_grad():
        U.abs_()
        W.abs_().mul_(0.2)
    x, u = inputs(steps=12)
    norms = gradient_norms(encoder, x.abs(), u)
    for distance in range(12):
        expected = (u @ torch.linalg.matrix_power(W, distance) @ U).norm(dim=1)
        torch.testing.assert_close(norms[:, distance], expected, rtol=1e-10, atol=0)


def test_a_scaled_identity_scales_the_norm_with_each_step():
    encoder = build_encoder(Case("rnn_relu", "identity", scale=1.25), seed=0)
    with torch.no_grad():
        encoder.forwards[0].weight_ih_l0.abs_()
    x, u = inputs(steps=40)
    norms = gradient_norms(encoder, x.abs(), u)
    torch.testing.assert_close(norms[:, 39], 1.25**39 * norms[:, 0], rtol=1e-10, atol=0)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_norms_are_those_of_finite_differences(cell):
    encoder = build_encoder(Case(cell, "orthogonal"), seed=0)
    x, u = inputs(steps=6)

    def losses(sequences: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            encoded, _, _ = encoder(sequences, torch.full((2,), 6))
        return (encoded[:, -1] * u).sum(1)

    norms, step = gradient_norms(encoder, x, u), 1e-6
    for t in range(6):
        slopes = []
        for feature in range(INPUT_SIZE):
            change = torch.zeros_like(x)
            change[:, t, feature] = step
            slopes.append((losses(x + change) - losses(x - change)) / (2 * step))
        torch.testing.assert_close(torch.stack(slopes).norm(dim=0), norms[:, 5 - t], rtol=1e-5, atol=1e-9)


# --- what is claimed


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_vanish_with_the_weights_torch_gives(seed):
    for cell in ("rnn_tanh", "rnn_relu", "lstm", "gru"):
        assert rate(Case(cell), seed) < 0.8


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_explode_when_the_recurrent_matrix_is_large_enough(seed):
    assert rate(Case("rnn_tanh", "orthogonal"), seed) < 0.9
    assert rate(Case("rnn_tanh", "orthogonal", scale=3), seed) > 1.1


@pytest.mark.parametrize("seed", SEEDS)
def test_an_lstm_with_a_forget_bias_forgets_more_slowly_than_plain_cells_and_the_more_so_the_larger(seed):
    plain = max(rate(Case("rnn_tanh"), seed), rate(Case("rnn_tanh", "orthogonal"), seed))
    biased = [rate(Case("lstm", forget_bias=bias), seed) for bias in (1.0, 2.0, 3.0)]
    assert biased[0] > 1.1 * plain
    assert all(more > less + 0.02 for less, more in pairwise(biased))


@pytest.mark.training
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_without_clipping_the_training_overflows_and_with_it_an_update_is_never_longer_than_1(seed):
    """Each update moves the weights by 0.05 at most, so that ten of them cannot overflow in float64."""
    free, clipped = train(CLIPPED, math.inf, 10, seed), train(CLIPPED, 1.0, 10, seed)
    assert not math.isfinite(free.norms[-1])
    assert free.norms[0] == clipped.norms[0] > 10
    assert len(clipped.losses) == 10
    assert clipped.applied == pytest.approx([min(norm, 1) for norm in clipped.norms], rel=1e-5)


# --- the picture


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=6))
def test_labels_are_moved_apart_and_keep_their_order(places):
    moved = spread(places, 3.0)
    order = sorted(range(len(places)), key=lambda index: places[index])
    assert all(moved[after] - moved[before] > 3 - 1e-9 for before, after in pairwise(order))
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)


def test_labels_that_have_room_stay():
    assert spread([10.0, 0.0, 4.0], 3.0) == [10.0, 0.0, 4.0]
    assert spread([1.0, 0.0, 10.0], 3.0) == [2.0, -1.0, 10.0]


@pytest.mark.slow
def test_the_recipe_prints_a_table_and_draws_a_picture(tmp_path, monkeypatch, capsys):
    assert 'gradients.py" --picture "${RUN:-runs}/gradients.png" "$@"' in RECIPE.read_text()
    picture = tmp_path / "runs" / "gradients.png"
    flags = ("--networks", "1", "--sequences", "2", "--updates", "3")
    monkeypatch.setattr(sys, "argv", ["gradients.py", "--picture", str(picture), *flags])
    main()
    printed = capsys.readouterr().out.splitlines()
    rows = {line[:30].strip(): line[30:].split() for line in printed if line[:30].strip()}
    assert rows["distance T - t"] == ["1", "10", "50", "100"]
    one, ten, fifty, hundred = map(float, rows["rnn_tanh uniform"])
    assert one > ten > fifty > hundred > 0
    with Image.open(picture) as image:
        assert len(image.convert("RGB").getcolors(2**20)) > 100
