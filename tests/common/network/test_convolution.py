import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from common.network.convolution import RELU_GAIN, ConvBlock, ConvBlocks, StandardisedConv2d, zero_padding

BLOCKS = list(product([1, 2, 3], [1, 2, 3], [False, True], [(3, 3), (5, 5), (1, 3)]))
"""stride and pool in the direction of reading, residual, kernel"""


def unsettled(block: nn.Module, seed: int = 0) -> nn.Module:
    """Return `block` with biases and gains unlike its first ones, so that padding would show a bias."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return block.eval()


def block_of(stride: int, pool: int, residual: bool, kernel: tuple[int, int]) -> ConvBlock:
    block = ConvBlock(2, 4, kernel, stride=(2, stride), pool=(1, pool), residual=residual, dropout=0.3)
    return unsettled(block).double()


def padded(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([one.shape[-1] for one in maps])
    batch = torch.zeros(len(maps), *maps[0].shape[:-1], int(lengths.max()), dtype=maps[0].dtype)
    for row, one in zip(batch, maps, strict=True):
        row[..., : one.shape[-1]] = one
    return batch, lengths


@pytest.mark.parametrize(("stride", "pool", "residual", "kernel"), BLOCKS)
def test_padding_does_not_change_the_result(stride, pool, residual, kernel):
    block = block_of(stride, pool, residual, kernel)
    maps = [torch.randn(2, 6, steps, dtype=torch.float64) for steps in (9, 10, 11, 12, 13, 14, 23, 40)]
    together, lengths = block(*padded(maps))
    for row, length, one in zip(together, lengths.tolist(), maps, strict=True):
        alone, alone_length = block(one[None], torch.tensor([one.shape[-1]]))
        assert alone.shape[-1] == alone_length.item() == length
        torch.testing.assert_close(row[..., :length], alone[0], rtol=1e-10, atol=1e-12)
        assert not row[..., length:].any()


@settings(deadline=None)
@given(st.sampled_from(BLOCKS), st.integers(1, 60))
def test_output_lengths_are_exactly_the_steps_that_come_out(settings, steps):
    block = block_of(*settings)
    stride, pool = settings[:2]
    expected = math.ceil(steps / stride) // pool
    assert block.output_lengths(torch.tensor([steps])).tolist() == [expected]
    if expected:
        maps, lengths = block(torch.zeros(1, 2, 6, steps, dtype=torch.float64), torch.tensor([steps]))
        assert maps.shape[-1] == lengths.item() == expected


def test_a_pooling_window_is_whole_or_not_used():
    block = unsettled(ConvBlock(1, 3, pool=(1, 2))).double()
    maps = torch.randn(1, 1, 4, 6, dtype=torch.float64)
    shorter = maps.clone()
    shorter[..., 5:] = 0
    pooled, lengths = block(shorter, torch.tensor([5]))
    assert lengths.tolist() == [2]
    assert not pooled[..., 2:].any()


def test_steps_that_come_out_behind_the_length_pull_at_nothing():
    block = block_of(2, 2, True, (3, 3))
    lengths = torch.tensor([13, 30])
    maps = zero_padding(torch.randn(2, 2, 6, 30, dtype=torch.float64), lengths).requires_grad_()
    together, new_lengths = block(maps, lengths)
    together[0, ..., new_lengths[0] :].sum().backward()
    assert not maps.grad.any()


def test_kernels_have_zero_mean_and_the_variance_of_the_gain():
    convolution = unsettled(StandardisedConv2d(3, 8, (5, 3))).double()
    weight, gain = convolution.weight.detach().numpy(), convolution.gain.detach().numpy()
    flat = weight.reshape(8, -1)
    flat = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    expected = (flat * gain[:, None] * RELU_GAIN / math.sqrt(3 * 5 * 3)).reshape(weight.shape)
    np.testing.assert_allclose(convolution.standardised().detach().numpy(), expected, rtol=1e-5)


def test_relu_times_the_gain_has_unit_variance():
    normal = np.random.default_rng(0).standard_normal(1_000_000)
    assert (RELU_GAIN * np.maximum(normal, 0)).var() == pytest.approx(1, abs=0.01)


def test_activations_keep_unit_variance_through_many_layers():
    torch.manual_seed(0)
    maps, lengths = torch.randn(2, 16, 24, 60), torch.tensor([60, 60])
    for _ in range(8):
        maps, lengths = ConvBlock(maps.shape[1], 64)(maps, lengths)
        interior = maps[:, :, 9:-9, 9:-9].detach()
        assert 0.5 < interior.var(dim=(0, 2, 3)).mean() < 1.6


def test_the_scale_of_the_weights_does_not_matter():
    block = unsettled(ConvBlock(2, 4)).double()
    maps, lengths = torch.randn(1, 2, 6, 9, dtype=torch.float64), torch.tensor([9])
    before, _ = block(maps, lengths)
    with torch.no_grad():
        block.convolution.weight.mul_(100).add_(3)
    torch.testing.assert_close(block(maps, lengths)[0], before, rtol=1e-5, atol=1e-6)


def test_training_and_evaluation_compute_the_same_function():
    block = unsettled(ConvBlock(2, 4, residual=True))
    maps, lengths = torch.randn(3, 2, 6, 9), torch.tensor([9, 9, 9])
    assert torch.equal(block.train()(maps, lengths)[0], block.eval()(maps, lengths)[0])


def test_dropout_silences_whole_maps_and_in_training_only():
    torch.manual_seed(0)
    block = unsettled(ConvBlock(1, 64, dropout=0.5))
    maps, lengths = torch.randn(1, 1, 6, 9), torch.tensor([9])
    kept = block(maps, lengths)[0]
    dropped = block.train()(maps, lengths)[0]
    silenced = [not one.any() for one in dropped[0]]
    assert 10 < sum(silenced) < 54
    for one, before, silent in zip(dropped[0], kept[0], silenced, strict=True):
        if not silent:
            torch.testing.assert_close(one, 2 * before)


def test_gradients_of_standardised_kernels_equal_finite_differences():
    block = block_of(1, 1, True, (3, 3))
    maps = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    parameters = dict(block.named_parameters())

    def run(maps: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(block, named, (maps, torch.tensor([4])))[0]

    assert torch.autograd.gradcheck(run, (maps, *parameters.values()), atol=1e-4)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("stride", "pool", "kernel"), [(1, 1, (3, 3)), (3, 1, (5, 5)), (2, 3, (3, 5)), (2, 2, (1, 1))]
)
def test_the_context_is_exactly_what_a_step_sees(stride, pool, kernel, residual):
    """The reference is the set of inputs that have a gradient."""
    blocks = ConvBlocks([block_of(stride, pool, residual, kernel), ConvBlock(4, 3, (3, 3)).double()])
    before, behind = blocks.context
    step, own = 12, stride * pool
    seen = torch.zeros(24 * own, dtype=torch.bool)
    for seed in range(12):  # a maximum sees one at a time
        torch.manual_seed(seed)
        maps = torch.randn(1, 2, 8, len(seen), dtype=torch.float64, requires_grad=True)
        blocks.eval()(maps, torch.tensor([len(seen)]))[0][..., step].sum().backward()
        seen |= (maps.grad[0] != 0).any(dim=0).any(dim=0)
    assert seen.nonzero().flatten()[[0, -1]].tolist() == [step * own - before, (step + 1) * own + behind - 1]
