"""The truth of the spectrogram is NumPy, one window at a time, with O'Shaughnessy's mel scale (1987)."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr.front_end import SILENCE, FrontEndConfig, SpectrogramFrontEnd
from asr.signal import SignalConfig
from common.recognition.configuration import build_config

SMALL = FrontEndConfig(mels=24, channels=(4, 6, 8))
RATE = 4000
HOP = 40
SETTINGS = list(product([2, 3, 4], ["utterance", "global"], [False, True]))
"""subsampling, normalise, deep"""


def front_end_of(
    subsampling: int = 3, normalise: str = "utterance", deep: bool = False, rate: int = RATE, **more
) -> SpectrogramFrontEnd:
    """Return a front end whose biases, gains and band statistics differ from the initial ones."""
    torch.manual_seed(0)
    config = replace(SMALL, subsampling=subsampling, normalise=normalise, deep=deep, **more)
    front_end = SpectrogramFrontEnd(config, SignalConfig(sample_rate_hz=rate))
    with torch.no_grad():
        for parameter in front_end.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        front_end.band_mean.copy_(torch.linspace(-8, -4, config.mels))
        front_end.band_deviation.copy_(torch.linspace(1, 3, config.mels))
    return front_end.eval()


def sounds_of(lengths: list[int], seed: int = 1) -> list[Tensor]:
    """Return noises of different colours and levels."""
    rng = np.random.default_rng(seed)
    sounds = []
    for length in lengths:
        noise = rng.standard_normal(length + 8)
        colour = np.convolve(noise, rng.standard_normal(5), mode="same")[:length]
        sounds.append(torch.from_numpy((0.1 * rng.random() * colour).astype(np.float32)))
    return sounds


def padded(sounds: list[Tensor], rubbish: float = 0.0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(sound) for sound in sounds])
    return nn.utils.rnn.pad_sequence(sounds, batch_first=True, padding_value=rubbish), lengths


# --- the spectrogram


def mel_filters(rate: int, fft: int, mels: int) -> np.ndarray:
    """Return triangles (bins, mels); each extends from the peak of one neighbour to that of the other."""
    bins_hz = np.arange(fft // 2 + 1) * rate / fft
    edges_mel = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), mels + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    filters = np.zeros((len(bins_hz), mels))
    for band in range(mels):
        left, peak, right = edges_hz[band : band + 3]
        rising, falling = (bins_hz - left) / (peak - left), (right - bins_hz) / (right - peak)
        filters[:, band] = np.clip(np.minimum(rising, falling), 0, None)
    return filters


@pytest.mark.parametrize(
    ("rate", "window_ms", "hop_ms", "fft", "mels"),
    [(16_000, 25.0, 10.0, 512, 80), (8000, 25.0, 10.0, 256, 40), (16_000, 32.0, 12.5, 512, 64)],
)
def test_a_frame_is_the_log_of_mel_filtered_power_of_its_window(rate, window_ms, hop_ms, fft, mels):
    front_end = front_end_of(rate=rate, window_ms=window_ms, hop_ms=hop_ms, mels=mels)
    samples = sounds_of([rate // 2])[0]
    powers, lengths = front_end.mel(samples[None], torch.tensor([len(samples)]))
    bands = (powers + SILENCE).log()
    hop, window = round(rate * hop_ms / 1000), round(rate * window_ms / 1000)
    assert bands.shape == (1, mels, lengths.item())
    assert lengths.item() == len(samples) // hop
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    for frame in (0, 1, 20, lengths.item() - 1):
        centre = frame * hop + hop // 2
        wanted = np.arange(centre - window // 2, centre - window // 2 + window)
        inside = (wanted >= 0) & (wanted < len(samples))
        heard = np.where(inside, samples.numpy()[wanted.clip(0, len(samples) - 1)], 0.0)
        power = np.abs(np.fft.rfft(heard * hann, n=fft)) ** 2
        expected = np.log(power @ mel_filters(rate, fft, mels) + SILENCE)
        np.testing.assert_allclose(bands[0, :, frame].numpy(), expected, rtol=1e-4, atol=2e-3)


def test_the_spectrogram_is_computed_in_float32_under_mixed_precision():
    front_end, (samples,) = front_end_of(), sounds_of([RATE])
    whole, _ = front_end.mel(samples[None], torch.tensor([RATE]))
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = front_end.mel(samples[None], torch.tensor([RATE]))
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, whole)


def test_window_and_filters_are_rebuilt_not_stored():
    names = {name.split(".")[0] for name in front_end_of().state_dict()}
    assert names == {"band_mean", "band_deviation", "blocks"}


# --- padding


@pytest.mark.parametrize(("subsampling", "normalise", "deep"), SETTINGS)
def test_an_utterance_has_the_same_features_alone_and_among_fifteen_others(subsampling, normalise, deep):
    front_end = front_end_of(subsampling, normalise, deep)
    lengths = [800, 801, 839, 840, 880, 919, 920, 960, 1000, 160, 200, 319, 3000, 4000, 2999, 2345]
    sounds = sounds_of(lengths)
    together, steps = front_end(*padded(sounds))
    for row, length, sound in zip(together, steps.tolist(), sounds, strict=True):
        alone, alone_length = front_end(sound[None], torch.tensor([len(sound)]))
        assert alone.shape[1] == alone_length.item() == length
        torch.testing.assert_close(row[:length], alone[0], rtol=1e-4, atol=1e-4)
        assert not row[length:].any()


@pytest.mark.parametrize(("subsampling", "normalise", "deep"), SETTINGS)
def test_what_stands_behind_the_lengths_changes_nothing(subsampling, normalise, deep):
    front_end = front_end_of(subsampling, normalise, deep)
    sounds = sounds_of([800, 1333, 2000, 4000])
    clean, lengths = front_end(*padded(sounds))
    dirty, dirty_lengths = front_end(*padded(sounds, rubbish=0.9))
    assert torch.equal(dirty_lengths, lengths)
    assert torch.equal(dirty, clean)


# --- the stride


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([2, 3, 4]), st.booleans(), st.integers(160, 1500))
def test_output_lengths_are_exactly_the_steps_that_come_out(subsampling, deep, length):
    front_end = front_end_of(subsampling, deep=deep)
    features, lengths = front_end(*padded(sounds_of([length])))
    assert features.shape[1] == lengths.item() == front_end.output_lengths(torch.tensor([length])).item()
    assert abs(lengths.item() - length / front_end.stride) <= 1


@pytest.mark.parametrize(("subsampling", "normalise", "deep"), SETTINGS)
@pytest.mark.parametrize("hop_ms", [10.0, 12.5])
def test_sound_moved_by_one_stride_has_features_moved_by_one_step(subsampling, normalise, deep, hop_ms):
    """The sound moves within silence, so that the statistics of the utterance do not change."""
    front_end = front_end_of(subsampling, normalise, deep, hop_ms=hop_ms)
    stride = front_end.stride
    assert stride == round(RATE * hop_ms / 1000) * subsampling
    sound = torch.zeros(48 * stride)
    sound[20 * stride : 28 * stride] = sounds_of([8 * stride])[0]
    here, _ = front_end(*padded([sound]))
    for steps in (1, 5):
        moved, _ = front_end(*padded([sound.roll(steps * stride)]))
        expected = here[0, 12 - steps : 40 - steps]  # away from the ends, whose steps see less silence
        torch.testing.assert_close(moved[0, 12:40], expected, rtol=1e-4, atol=1e-4)
    moved, _ = front_end(*padded([sound.roll(stride // 2)]))
    assert not torch.allclose(moved[0, 12:40], here[0, 11:39], atol=1e-2)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("subsampling", [2, 3, 4])
def test_a_step_is_centred_on_samples_of_its_own(subsampling, deep):
    """The samples that a step depends on are symmetric about one of the samples in [s, s + 1) x stride."""
    front_end = front_end_of(subsampling, "global", deep)
    length = 40 * front_end.stride
    sounds = torch.stack(sounds_of([length] * 12)).requires_grad_()
    features, _ = front_end(sounds, torch.full((12,), length))
    features[:, 20].square().sum().backward()
    seen = sounds.grad.abs().sum(0).nonzero()[:, 0]
    middle = (seen.min() + seen.max() + 1).item() / 2  # sample n goes from n to n + 1
    assert 20 * front_end.stride <= middle < 21 * front_end.stride
    assert middle == pytest.approx(20.5 * front_end.stride + front_end.offset, abs=1.5)
    assert front_end.offset == {2: -HOP / 2, 3: -HOP, 4: -HOP / 2}[subsampling]


@pytest.mark.parametrize("subsampling", [2, 3, 4])
def test_the_shortest_utterance_gives_a_step(subsampling):
    front_end = front_end_of(subsampling)
    features, lengths = front_end(*padded(sounds_of([front_end.shortest])))
    assert lengths.tolist() == [1]
    assert features.shape == (1, 1, front_end.feature_size)


@pytest.mark.parametrize("mels", [8, 23, 40, 80, 81])
def test_the_feature_size_is_what_comes_out_with_any_number_of_bands(mels):
    front_end = front_end_of(rate=16_000, mels=mels)
    features, _ = front_end(*padded(sounds_of([8000])))
    assert features.shape[2] == front_end.feature_size


# --- normalisation


@pytest.mark.parametrize("floor", ["fixed", "relative"])
def test_each_band_of_an_utterance_has_mean_0_and_deviation_about_1(floor):
    front_end = front_end_of(floor=floor)
    powers, lengths = front_end.mel(*padded(sounds_of([2000, 4000])))
    normalised = front_end._normalise(powers[:, None], lengths)[:, 0]
    for utterance, before, length in zip(normalised, powers, lengths.tolist(), strict=True):
        power = before[:, :length].numpy()
        real = np.log(power + (1e-6 if floor == "fixed" else 1e-8 * power.mean(0).max()))
        expected = (real - real.mean(1, keepdims=True)) / (real.std(1, keepdims=True) + 0.05)
        np.testing.assert_allclose(utterance[:, :length].numpy(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("gain", [0.5, 0.01, 0.003, 0.001, 1e-5])
def test_the_level_of_a_recording_does_not_matter(gain):
    front_end, (sound,) = front_end_of(), sounds_of([RATE])
    sound[1000:2000] *= 1e-3  # a pause with a faint noise
    loud, _ = front_end(*padded([sound]))
    soft, _ = front_end(*padded([gain * sound]))
    torch.testing.assert_close(soft, loud, rtol=1e-3, atol=1e-3)


def muted(pause: int, front_end: SpectrogramFrontEnd) -> Tensor:
    """Return the features of the windows before and after a pause of `pause` strides of digital silence."""
    stride, (sound,) = front_end.stride, sounds_of([40 * front_end.stride])
    joined = torch.cat([sound[: 20 * stride], torch.zeros(pause * stride), sound[20 * stride :]])
    features, _ = front_end(*padded([joined]))
    return torch.cat([features[0, :15], features[0, -15:]])


def test_the_length_of_digital_silence_does_not_matter():
    front_end = front_end_of()
    torch.testing.assert_close(muted(300, front_end), muted(20, front_end), rtol=1e-4, atol=1e-4)
    fixed = front_end_of(floor="fixed")
    assert not torch.allclose(muted(300, fixed), muted(20, fixed), atol=0.1)


def test_digital_silence_is_as_the_quietest_window_that_is_heard():
    front_end = front_end_of()
    (sound,) = sounds_of([4000])
    powers, lengths = front_end.mel(*padded([torch.cat([sound, torch.zeros(2000)])]))
    normalised = front_end._normalise(powers[:, None], lengths)[0, 0]
    loudness = powers[0].mean(0)
    heard = loudness >= 1e-8 * loudness.max()
    assert heard[:100].all()
    assert not heard[103:].any()
    for frame in range(103, lengths.item()):
        torch.testing.assert_close(normalised[:, frame], normalised[:, heard].amin(1))
    torch.testing.assert_close(normalised[:, heard].mean(1), torch.zeros(24), rtol=0, atol=1e-4)


def test_a_model_that_was_stored_before_there_was_a_relative_floor_keeps_its_fixed_one():
    assert build_config(FrontEndConfig, {"mels": 24}) == FrontEndConfig(mels=24, floor="fixed")
    assert build_config(FrontEndConfig, {"floor": "relative"}) == FrontEndConfig()


@pytest.mark.parametrize("normalise", ["utterance", "global"])
def test_digital_silence_gives_finite_features(normalise):
    features, _ = front_end_of(normalise=normalise)(torch.zeros(1, RATE), torch.tensor([RATE]))
    assert torch.isfinite(features).all()


def test_fitting_gives_the_bands_of_the_sample_mean_0_and_deviation_1():
    front_end, sounds = front_end_of(normalise="global"), sounds_of([4000, 1200, 2345])
    front_end.fit(sounds)
    powers = [front_end.mel(sound[None], torch.tensor([len(sound)]))[0][0] for sound in sounds]
    joined = (torch.cat(powers, dim=1) + SILENCE).log().numpy()
    np.testing.assert_allclose(front_end.band_mean.numpy(), joined.mean(1), rtol=1e-4)
    np.testing.assert_allclose(front_end.band_deviation.numpy(), joined.std(1), rtol=1e-3)


def test_fitting_to_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one training example"):
        front_end_of(normalise="global").fit([])


# --- SpecAugment


def test_masks_stand_in_training_only():
    front_end = front_end_of(feature_dropout=0.0)
    batch = padded(sounds_of([2000, 4000]))
    assert torch.equal(front_end(*batch)[0], front_end(*batch)[0])
    torch.manual_seed(0)
    assert not torch.equal(front_end.train()(*batch)[0], front_end.eval()(*batch)[0])


def test_without_masks_training_and_evaluation_compute_the_same_function():
    front_end = front_end_of(feature_dropout=0.0, mask_bands=0, mask_frames=0)
    batch = padded(sounds_of([2000, 4000]))
    assert torch.equal(front_end.train()(*batch)[0], front_end.eval()(*batch)[0])


def silenced_shares(front_end: SpectrogramFrontEnd, lengths: list[int]) -> np.ndarray:
    """Return the mean share, over many draws, of each utterance's real windows that are 0 in all bands."""
    shares = []
    for seed in range(200):
        torch.manual_seed(seed)
        masked = front_end._mask(torch.ones(len(lengths), 1, 8, max(lengths)), torch.tensor(lengths))
        gone = ~masked[:, 0].any(dim=1)
        shares.append([one[:length].float().mean().item() for one, length in zip(gone, lengths, strict=True)])
    return np.array(shares)


@pytest.mark.parametrize("frames", [30, 200, 600])
def test_stripes_in_time_silence_no_more_than_their_share(frames):
    front_end = front_end_of(mask_bands=0, mask_share=0.15, mask_frames=40)
    shares = silenced_shares(front_end, [frames, frames, frames * 3])
    assert shares.max() <= 0.15 + 1e-6
    assert shares.mean() > 0.02
    assert not np.array_equal(shares[:, 0], shares[:, 1])  # each utterance has stripes of its own


# --- context


@pytest.mark.parametrize(("subsampling", "deep"), list(product([2, 3, 4], [False, True])))
@pytest.mark.parametrize("rate", [4000, 11_025])
def test_the_context_is_all_that_a_step_sees_and_little_more(subsampling, deep, rate):
    """The influence is small: a Hann window is almost 0 at its ends, and 0 at its first sample."""
    front_end = front_end_of(subsampling, "global", deep, rate)
    before, behind = front_end.context
    (sound,) = sounds_of([24 * front_end.stride])
    step = 12
    first, last = step * front_end.stride - before, (step + 1) * front_end.stride + behind
    assert first > 0
    assert last < len(sound)

    def features(changed: slice) -> Tensor:
        other = sound.clone()
        other[changed] += 1e3
        return front_end(other[None], torch.tensor([len(other)]))[0][0, step]

    truth = features(slice(0, 0))
    torch.testing.assert_close(features(slice(0, first)), truth, rtol=0, atol=0)
    torch.testing.assert_close(features(slice(last, None)), truth, rtol=0, atol=0)
    assert not torch.equal(features(slice(0, first + 4)), truth)
    assert not torch.equal(features(slice(last - 4, None)), truth)


def test_normalised_by_utterance_there_is_no_context():
    with pytest.raises(ValueError, match="--normalise global"):
        _ = front_end_of(normalise="utterance").context
