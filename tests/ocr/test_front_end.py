from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ocr.front_end import FrontEndConfig, ImageFrontEnd
from ocr.signal import SignalConfig

SMALL = FrontEndConfig(channels=(4, 6, 8, 10))
SETTINGS = list(product([4, 8], ["fold", "pool"], [False, True]))
"""stride, height, deep"""


def front_end_of(
    stride: int = 4, height: str = "fold", deep: bool = False, height_px: int = 24
) -> ImageFrontEnd:
    """Return a front end in float64 whose biases and gains differ from the initial ones."""
    torch.manual_seed(0)
    config = replace(SMALL, stride=stride, height=height, deep=deep)
    front_end = ImageFrontEnd(config, SignalConfig(height_px=height_px))
    with torch.no_grad():
        for parameter in front_end.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return front_end.double().eval()


def lines_of(widths: list[int], height_px: int = 24) -> list[Tensor]:
    return [torch.rand(width, height_px, dtype=torch.float64) for width in widths]


def padded(lines: list[Tensor], rubbish: float = 0.0) -> tuple[Tensor, Tensor]:
    return nn.utils.rnn.pad_sequence(lines, batch_first=True, padding_value=rubbish), torch.tensor(
        [len(line) for line in lines]
    )


@pytest.mark.parametrize(("stride", "height", "deep"), SETTINGS)
def test_a_line_has_the_same_features_alone_and_among_fifteen_others(stride, height, deep):
    front_end = front_end_of(stride, height, deep)
    lines = lines_of([40, 41, 42, 43, 44, 45, 46, 47, 8, 9, 15, 16, 100, 151, 97, 160])
    together, lengths = front_end(*padded(lines))
    for row, length, line in zip(together, lengths.tolist(), lines, strict=True):
        alone, alone_length = front_end(line[None], torch.tensor([len(line)]))
        assert alone.shape[1] == alone_length.item() == length
        torch.testing.assert_close(row[:length], alone[0], rtol=1e-9, atol=1e-10)
        assert not row[length:].any()


@pytest.mark.parametrize(("stride", "height", "deep"), SETTINGS)
def test_what_stands_behind_the_lengths_changes_nothing(stride, height, deep):
    front_end = front_end_of(stride, height, deep)
    lines = lines_of([40, 61, 83, 100])
    clean, lengths = front_end(*padded(lines))
    dirty, dirty_lengths = front_end(*padded(lines, rubbish=7e3))
    assert torch.equal(dirty_lengths, lengths)
    assert torch.equal(dirty, clean)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SETTINGS), st.integers(8, 90))
def test_output_lengths_are_exactly_the_steps_that_come_out(settings, width):
    front_end = front_end_of(*settings)
    features, lengths = front_end(*padded(lines_of([width])))
    assert features.shape[1] == lengths.item() == front_end.output_lengths(torch.tensor([width])).item()
    assert abs(lengths.item() - width / front_end.stride) < 1


@pytest.mark.parametrize(("stride", "height", "deep"), SETTINGS)
def test_a_line_moved_by_one_stride_has_features_moved_by_one_step(stride, height, deep):
    front_end = front_end_of(stride, height, deep)
    line, W, edge = lines_of([200])[0], 160, 40 // stride
    here, _ = front_end(*padded([line[:W]]))
    for steps in (1, 3):
        moved, _ = front_end(*padded([line[steps * stride : W + steps * stride]]))
        torch.testing.assert_close(
            moved[0, edge : -edge - steps], here[0, edge + steps : -edge], rtol=1e-9, atol=1e-10
        )
    moved, _ = front_end(*padded([line[stride // 2 : W + stride // 2]]))
    assert not torch.allclose(moved[0, edge : -edge - 1], here[0, edge + 1 : -edge], atol=1e-3)


@pytest.mark.parametrize(("stride", "height", "deep"), SETTINGS)
def test_a_step_looks_at_columns_around_its_own(stride, height, deep):
    """The columns that a step depends on, over many lines, are symmetric about the middle of its own."""
    front_end = front_end_of(stride, height, deep)
    columns = torch.stack(lines_of([160] * 24)).requires_grad_()
    features, _ = front_end(columns, torch.full((24,), 160))
    step = 80 // stride
    features[:, step].square().sum().backward()
    seen = columns.grad.abs().sum(dim=(0, 2)).nonzero()[:, 0]
    middle = (seen.min() + seen.max() + 1).item() / 2  # column c goes from c to c + 1
    assert step * stride <= middle < (step + 1) * stride
    assert middle == (step + 0.5) * stride + front_end.offset


@pytest.mark.parametrize("height_px", [16, 17, 31, 32, 40, 47, 48, 64, 96])
@pytest.mark.parametrize("height", ["fold", "pool"])
def test_the_feature_size_is_what_comes_out_at_any_height(height_px, height):
    front_end = front_end_of(height=height, height_px=height_px)
    features, _ = front_end(*padded(lines_of([20], height_px)))
    assert features.shape == (1, 5, front_end.feature_size)


@pytest.mark.parametrize("stride", [4, 8])
def test_the_shortest_line_gives_a_step(stride):
    front_end = front_end_of(stride)
    features, lengths = front_end(*padded(lines_of([front_end.shortest])))
    assert lengths.tolist() == [1]
    assert features.shape[1] == 1


def test_a_line_shorter_than_four_halvings_is_refused():
    with pytest.raises(ValueError, match=r"height_px is 15; .* 16"):
        ImageFrontEnd(SMALL, SignalConfig(height_px=15))


def test_batches_do_not_mix_in_training_either():
    front_end = front_end_of(deep=True)
    for module in front_end.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    lines = lines_of([40, 90])
    together, _ = front_end.train()(*padded(lines))
    alone, _ = front_end.eval()(*padded(lines[:1]))
    torch.testing.assert_close(together[0, :10], alone[0], rtol=1e-9, atol=1e-10)
