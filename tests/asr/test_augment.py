"""Level, time and pitch of augmented sound are measured on the result, against direct computation."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.augment import (
    AugmentConfig,
    add_noise,
    build_augment,
    change_speed,
    evenly,
    keep_band,
    make_noise,
    make_response,
    put_into_room,
    tilt,
)
from asr.signal import SignalConfig

RATE_HZ = 16_000
NOTHING = {f"{name}_probability": 0.0 for name in ("speed", "room", "noise", "gain")}


def speech(duration_s: float = 2.0, seed: int = 0) -> np.ndarray:
    """Return noise whose level rises and falls like that of syllables."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * RATE_HZ)
    envelope = np.clip(np.sin(2 * np.pi * 3 * np.arange(count) / RATE_HZ), 0, None)
    return (0.2 * envelope * rng.standard_normal(count)).clip(-1, 1).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    for name, duration_s in (("short", 0.5), ("long", 35.0)):
        (tmp_path / "noises" / "deep").mkdir(parents=True, exist_ok=True)
        noise = 0.1 * rng.standard_normal(int(duration_s * RATE_HZ))
        soundfile.write(tmp_path / "noises" / "deep" / f"{name}.wav", noise, RATE_HZ)
    (tmp_path / "rooms").mkdir()
    response = np.zeros(RATE_HZ)
    response[2192:] = 0.001 * rng.standard_normal(RATE_HZ - 2192) * np.exp(-np.arange(RATE_HZ - 2192) / 3000)
    response[2192] = 0.01
    soundfile.write(tmp_path / "rooms" / "hall.wav", response, RATE_HZ, subtype="FLOAT")
    return tmp_path


def test_without_any_probability_nothing_changes() -> None:
    augment = build_augment(AugmentConfig(**NOTHING), SignalConfig())
    values = speech()
    assert augment(values, np.random.default_rng(0)) is values


@given(st.integers(0, 10_000), st.integers(400, 60_000), st.sampled_from([0.0, 0.01, 1.0]))
@settings(max_examples=40, deadline=None)
def test_whatever_is_drawn_the_result_is_a_signal_and_the_input_stays(
    seed: int, length: int, level: float
) -> None:
    values = (level * speech(4)[-length:]).astype(np.float32)
    before = values.copy()
    result = build_augment(AugmentConfig(), SignalConfig())(values, np.random.default_rng(seed))
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert np.abs(result).max() <= 1 + 1e-6
    assert 0.9 * length <= len(result) <= 1.12 * length + 1
    assert np.array_equal(values, before)


def test_the_same_seed_gives_the_same_result_in_another_process_too(sounds: Path) -> None:
    config = AugmentConfig(rooms=str(sounds / "rooms"), noises=str(sounds / "noises"))
    augment = build_augment(config, SignalConfig())
    other = pickle.loads(pickle.dumps(augment))
    for seed in range(20):
        first = augment(speech(), np.random.default_rng(seed))
        assert np.array_equal(first, other(speech(), np.random.default_rng(seed)))


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.05, 1.1])
def test_speed_changes_duration_and_pitch_by_its_factor(factor: float) -> None:
    seconds = np.arange(2 * RATE_HZ) / RATE_HZ
    faster = change_speed(np.sin(2 * np.pi * 1000 * seconds).astype(np.float32), factor)
    assert len(faster) == pytest.approx(2 * RATE_HZ / factor, abs=1)
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(len(faster))))
    assert spectrum.argmax() * RATE_HZ / len(faster) == pytest.approx(1000 * factor, abs=1)


@pytest.mark.parametrize("length", [1, 100, 5000, 70_000])
@pytest.mark.parametrize("room", [1, 50, 3000])
def test_a_room_is_a_convolution_moved_by_its_peak_at_the_same_level(length: int, room: int) -> None:
    rng = np.random.default_rng(length + room)
    samples = rng.standard_normal(length).astype(np.float32)
    response = 0.01 * rng.standard_normal(room).astype(np.float32)
    peak = room // 3
    response[peak] = 0.05 + np.abs(response).max()
    expected = np.convolve(samples.astype(np.float64), response)[peak : peak + length]
    expected *= math.sqrt(np.square(samples).sum() / np.square(expected).sum())
    wet = put_into_room(samples, response)
    assert wet.dtype == np.float32
    assert wet == pytest.approx(expected, abs=1e-4)


def test_a_room_leaves_the_direct_sound_where_it_was(sounds: Path) -> None:
    click = np.zeros(8000, np.float32)
    click[3000] = 0.5
    config = AugmentConfig(**NOTHING | {"room_probability": 1.0}, rooms=str(sounds / "rooms"))
    augment = build_augment(config, SignalConfig())
    for seed in range(10):  # of the file and of generated rooms
        wet = augment(click, np.random.default_rng(seed))
        assert np.abs(wet).argmax() == 3000
        assert not np.abs(wet[: 3000 - 41]).max() > 1e-6


def test_silence_stays_silence_in_a_room_and_in_noise() -> None:
    silence = np.zeros(5000, np.float32)
    assert not put_into_room(silence, np.ones(10, np.float32)).any()
    assert not add_noise(silence, np.ones(5000, np.float32), 10).any()
    assert np.array_equal(add_noise(speech(), np.zeros(32_000, np.float32), 10), speech())


@given(st.floats(-10, 40), st.floats(1e-4, 100))
@settings(max_examples=20, deadline=None)
def test_noise_has_the_ratio_that_was_asked_for_whatever_its_level(snr_db: float, level: float) -> None:
    noise = (level * speech(seed=1)).astype(np.float32)
    added = add_noise(speech(), noise, snr_db).astype(np.float64) - speech()
    assert level_db(speech()) - level_db(added) == pytest.approx(snr_db, abs=0.05)


def test_noise_from_files_short_and_long_is_added_at_the_drawn_ratio(sounds: Path) -> None:
    config = AugmentConfig(
        **NOTHING | {"noise_probability": 1.0}, noises=str(sounds / "noises"), noise_snr_db=(12, 12)
    )
    augment = build_augment(config, SignalConfig())
    for seed in range(20):
        values = speech(3)
        noisy = augment(values, np.random.default_rng(seed))
        assert len(noisy) == len(values)
        assert level_db(values) - level_db(noisy.astype(np.float64) - values) == pytest.approx(12, abs=0.05)


@pytest.mark.parametrize("treble_db", [-40.0, 0.0, 10.0])
def test_a_tilt_changes_each_frequency_by_its_share_and_not_the_level(treble_db: float) -> None:
    seconds = np.arange(8000) / 8000
    tones = sum(0.1 * np.sin(2 * np.pi * hz * seconds) for hz in (1000, 2000, 3000)).astype(np.float32)
    tilted = tilt(tones, treble_db)
    power = np.abs(np.fft.rfft(tilted))[[1000, 2000, 3000]]
    steps_db = 20 * np.log10(power[1:] / power[:-1])
    np.testing.assert_allclose(steps_db, treble_db / 4, atol=0.05)  # the highest frequency is 4000 Hz
    np.testing.assert_allclose(np.dot(tilted, tilted), np.dot(tones, tones), rtol=1e-4)


def test_a_band_keeps_its_frequencies_as_they_are_and_nothing_beyond_its_edges() -> None:
    seconds = np.arange(RATE_HZ) / RATE_HZ
    hz = [100, 199, 250, 300, 1000, 3400, 3475, 3501, 7000]
    tones = sum(0.05 * np.sin(2 * np.pi * one * seconds) for one in hz).astype(np.float32)
    kept = keep_band(tones, 300, 3400, RATE_HZ)
    assert kept.dtype == np.float32
    heard = np.abs(np.fft.rfft(kept))[hz] / (0.05 * RATE_HZ / 2)
    np.testing.assert_allclose(heard, [0, 0, 0.5, 1, 1, 1, 0.25, 0, 0], atol=1e-3)


def test_a_drawn_band_lies_between_its_edges_and_moves_nothing() -> None:
    edges = {"band_low_hz": (200, 300), "band_high_hz": (3000, 3400)}
    augment = build_augment(AugmentConfig(**NOTHING | {"band_probability": 1.0}, **edges), SignalConfig())
    click = np.zeros(RATE_HZ, np.float32)
    click[5000] = 0.5
    for seed in range(5):
        heard = augment(click, np.random.default_rng(seed))
        assert np.abs(heard).argmax() == 5000
        power = np.abs(np.fft.rfft(heard))
        assert power[[50, 99, 3501, 6000]].max() < 1e-4
        assert power[[301, 1000, 2999]].min() > 0.49


def test_a_band_of_nothing_is_nothing_and_one_above_all_frequencies_is_refused() -> None:
    assert not len(keep_band(np.zeros(0, np.float32), 300, 3400, RATE_HZ))
    config = AugmentConfig(band_probability=0.1, band_low_hz=(300, 500))
    with pytest.raises(ValueError, match="1000 samples a second is 500; choose less"):
        build_augment(config, SignalConfig(sample_rate_hz=1000))
    build_augment(config, SignalConfig(sample_rate_hz=1002))
    build_augment(AugmentConfig(band_low_hz=(300, 500)), SignalConfig(sample_rate_hz=1000))


@pytest.mark.parametrize(
    "edges",
    [
        {"band_low_hz": (400, 300)},
        {"band_low_hz": (-1, 300)},
        {"band_high_hz": (400, 4000)},
        {"band_high_hz": (4000, 3000)},
        {"band_high_hz": (4000, float("nan"))},
    ],
)
def test_a_band_whose_edges_do_not_rise_is_refused(edges: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="give four rising numbers, such as 50 400 and 3000 4000"):
        AugmentConfig(**edges)


def test_gain_changes_the_level_as_drawn_and_never_clips() -> None:
    for gain_db in (-15.0, 3.0, 60.0):
        config = AugmentConfig(**NOTHING | {"gain_probability": 1.0}, gain_db=(gain_db, gain_db))
        louder = build_augment(config, SignalConfig())(speech(), np.random.default_rng(0))
        peak_db = 20 * math.log10(np.abs(speech()).max())
        assert level_db(louder) - level_db(speech()) == pytest.approx(min(gain_db, -peak_db), abs=0.01)
        assert np.abs(louder).max() <= 1 + 1e-6


def test_made_noise_lies_between_white_and_brown() -> None:
    slopes = []
    for seed in range(60):
        noise = make_noise(RATE_HZ * 4, RATE_HZ, np.random.default_rng(seed))
        assert noise.shape == (RATE_HZ * 4,)
        power = np.square(np.abs(np.fft.rfft(noise * np.hanning(len(noise)))))
        bands = [10 * np.log10(power[4 * low : 8 * low].mean()) for low in (1000, 2000, 4000)]
        slopes.append((bands[2] - bands[0]) / 2)  # dB an octave
    assert min(slopes) > -6.7
    assert max(slopes) < 0.7
    assert min(slopes) < -5
    assert max(slopes) > -1


def test_noise_longer_than_what_is_made_repeats_without_a_seam() -> None:
    noise = make_noise(300_000, RATE_HZ, np.random.default_rng(3))
    steps = np.abs(np.diff(noise))
    assert np.array_equal(noise[: 300_000 - 2**17], noise[2**17 :])
    assert steps.max() < 8 * steps.mean()


@pytest.mark.parametrize("decay_s", [0.15, 0.4, 0.7])
@pytest.mark.parametrize("direct_db", [0.0, 10.0])
def test_a_made_room_decays_and_is_as_direct_as_asked(decay_s: float, direct_db: float) -> None:
    response = make_response(decay_s, direct_db, RATE_HZ, np.random.default_rng(2)).astype(np.float64)
    assert np.abs(response).argmax() == 0
    assert -level_db(response[1:]) - 10 * math.log10(len(response) - 1) == pytest.approx(direct_db, abs=0.1)
    left = np.cumsum(np.square(response[1:])[::-1])[::-1]  # Schroeder 1965: energy that is still to come
    early, late = (int(share * decay_s * RATE_HZ) for share in (0.15, 0.65))
    fallen_db = 10 * math.log10(left[early] / left[late])
    assert fallen_db == pytest.approx(30, abs=3)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    for fields, reason in (
        ({"noise_probability": 1.5}, "noise_probability is 1.5"),
        ({"gain_db": (3.0, -3.0)}, "lower number first"),
        ({"speeds": ()}, "speeds are"),
        ({"speeds": (0.0,)}, "speeds are"),
        ({"room_decay_s": (0.0, 1.0)}, "more than 0"),
    ):
        with pytest.raises(ValueError, match=reason):
            AugmentConfig(**fields)
    with pytest.raises(ValueError, match="has no sound files"):
        build_augment(AugmentConfig(noises=str(tmp_path)), SignalConfig())
    with pytest.raises(ValueError, match="gone: cannot be read"):
        build_augment(AugmentConfig(rooms=str(tmp_path / "gone")), SignalConfig())
    (tmp_path / "broken.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"broken\.wav: cannot be read as sound"):
        build_augment(AugmentConfig(noises=str(tmp_path)), SignalConfig())


def test_evenly_changed_a_click_stays_at_its_share_of_the_recording():
    config = evenly(AugmentConfig(speed_probability=1.0, room_probability=1.0, noise_probability=0.0))
    assert config.speed_probability == 1
    samples = np.zeros(RATE_HZ, dtype=np.float32)
    samples[4000:4016] = 0.5
    for seed in range(20):
        result = build_augment(config, SignalConfig())(samples, np.random.default_rng(seed))
        assert len(result) != RATE_HZ
        assert np.abs(result).argmax() / len(result) == pytest.approx(0.25, abs=0.002)
