from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ocr.augment import AugmentConfig, build_augment, evenly
from ocr.drawing.lines import draw_line
from ocr.signal import SignalConfig

SIGNAL = SignalConfig(height_px=48)
CHANGES = [field.name for field in fields(AugmentConfig) if field.name != "strength"]
NONE = dict.fromkeys(CHANGES, 0.0)


def line(width: int = 400, height: int = 48) -> np.ndarray:
    """Return letters as columns (W, H), ink 1."""
    image = draw_line("some letters on paper", None, np.random.default_rng(3), 48).resize((width, height))
    grey = np.asarray(image, dtype=np.float32).T
    return np.ascontiguousarray(np.clip(1.3 * (np.median(grey) - grey) / np.median(grey) - 0.1, 0, 1))


def alter(values: np.ndarray, seed: int, **config: float) -> np.ndarray:
    return build_augment(AugmentConfig(**config), SIGNAL)(values, np.random.default_rng(seed))


def test_no_probability_is_no_change():
    values = line()
    assert np.array_equal(alter(values, 0, **NONE), values)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_alone_alters_the_line_and_keeps_its_form(name):
    values = line()
    before = values.copy()
    changed = 0
    for seed in range(20):
        result = alter(values, seed, **{**NONE, name: 1.0})
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        assert result.shape[1] == 48
        assert 0.79 * len(values) <= len(result) <= 1.5 * len(values)
        assert result.min() >= 0
        assert result.max() <= 1
        changed += result.shape != values.shape or not np.allclose(result, values, atol=1e-3)
    assert changed >= 18
    assert np.array_equal(values, before)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(8, 64), st.integers(0, 2**32), st.floats(0, 3))
def test_lines_of_any_size_stay_lines(width, height, seed, strength):
    values = np.random.default_rng(seed).random((width, height), dtype=np.float32)
    config = AugmentConfig(strength=strength, **dict.fromkeys(CHANGES, 0.7))
    result = build_augment(config, SignalConfig(height_px=height))(values, np.random.default_rng(seed))
    assert result.shape[1] == height
    assert len(result) >= min(width, height) or len(result) >= 0.79 * width
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1


def test_the_same_generator_gives_the_same_line():
    values = line()
    for seed in range(20):
        assert np.array_equal(alter(values, seed), alter(values, seed))
    assert not np.array_equal(alter(values, 1)[:300], alter(values, 2)[:300])


def test_randomness_comes_from_nowhere_else():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for seed in range(30):
        alter(line(), seed, **dict.fromkeys(CHANGES, 1.0))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_writing_stays_where_it_was():
    # without a change of width, most of the ink lies within two pixels of where it lay
    values = line()
    rows, columns = slice(2, -2), slice(2, -2)
    kept = {**dict.fromkeys(CHANGES, 0.5), "stretch": 0.0, "warp": 0.0, "ground": 0.0, "noise": 0.0}
    for seed in range(20):
        result = alter(values, seed, **kept)
        near = np.max([np.roll(values, (i, j), (0, 1)) for i in range(-2, 3) for j in range(-2, 3)], axis=0)
        dark = result[columns, rows] > 0.5 * result.max()
        assert (near[columns, rows][dark] > 0.3).mean() > 0.6


def test_ink_is_neither_lost_nor_flooded():
    values = line()
    amounts = np.array([alter(values, seed).sum() for seed in range(200)]) / values.sum()
    assert np.quantile(amounts, 0.02) > 0.2
    assert np.quantile(amounts, 0.9) < 2.5


@pytest.mark.parametrize(
    ("name", "value"), [("blur", 1.5), ("warp", -0.1), ("strength", 4.0), ("noise", float("nan"))]
)
def test_what_is_no_probability_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        AugmentConfig(**{name: value})


def test_evenly_changed_a_mark_stays_at_its_share_of_the_line():
    everything = AugmentConfig(strength=1.0, **dict.fromkeys(CHANGES, 1.0))
    kept = [getattr(evenly(everything), name) for name in CHANGES]
    assert kept == [0.0 if name == "warp" else 1.0 for name in CHANGES]
    layout = evenly(AugmentConfig(**{**NONE, "stretch": 1.0, "warp": 1.0, "elastic": 1.0}))
    values = np.zeros((400, 48), dtype=np.float32)
    values[60:64] = 1
    for seed in range(30):
        ink = build_augment(layout, SIGNAL)(values, np.random.default_rng(seed)).sum(axis=1)
        middle = (ink * (np.arange(len(ink)) + 0.5)).sum() / ink.sum()
        assert middle / len(ink) * 400 == pytest.approx(62, abs=3)  # a step is four columns
