"""From samples to features: log-mel spectrogram, normalisation, SpecAugment, and a CNN with a stride in time.

    samples (B, N) -> log-mel (B, 1, mels, frames) -> 5x5, stride -> 3x3, pool -> 3x3, pool -> (B, S, D)

The spectrogram is part of the model, so that training, evaluation, export and serving use the same one.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, MelSpectrogram

from asr.configuration import FrontEndConfig
from asr.signal import SignalConfig
from common.network.convolution import ConvBlock, ConvBlocks, zero_padding

SILENCE = 1e-6
"""Power that is added before the logarithm with a fixed floor: about -100 dB of a full-scale tone."""
QUIET = 1e-8
"""Power of the relative floor, as a share of the power of the loudest window of the utterance: -80 dB."""
FAINTEST = 1e-20
"""Power that the loudest window of an utterance has at least: digital silence has a logarithm, too."""


class ConvolvedSpectrogram(nn.Module):
    """A mel spectrogram by convolution with windowed cosines and sines; equal to `like` except for rounding.

    It needs more arithmetic than a fast Fourier transform, but every runtime has a fast convolution.
    """

    def __init__(self, like: MelSpectrogram) -> None:
        super().__init__()
        spectrogram, self.hop = like.spectrogram, like.spectrogram.hop_length
        fft, window = spectrogram.n_fft, spectrogram.win_length
        self.before = (fft - window) // 2  # the window is in the middle of the transform, zeros around it
        self.after = fft - window - self.before
        self.bins = fft // 2 + 1
        time = torch.arange(self.before, self.before + window, dtype=torch.float64)
        angles = torch.arange(self.bins).unsqueeze(1) * time * (2 * torch.pi / fft)  # (bins, window)
        waves = torch.cat([angles.cos(), angles.sin()]) * spectrogram.window.double().cpu()
        self.register_buffer("waves", waves.float().unsqueeze(1))  # (2 bins, 1, window)
        self.register_buffer("bands", like.mel_scale.fb.t().cpu().clone())  # (mels, bins)
        self.waves: Tensor
        self.bands: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        """Return energies (B, mels, frames) of `samples` (B, N)."""
        samples = samples[:, self.before : samples.shape[1] - self.after].unsqueeze(1)  # (B, 1, N')
        parts = functional.conv1d(samples, self.waves, stride=self.hop).square()  # (B, 2 bins, frames)
        return self.bands @ (parts[:, : self.bins] + parts[:, self.bins :])  # (B, mels, frames)


class SpectrogramFrontEnd(nn.Module):
    """The spectrogram and the CNN over it.

    Attributes:
        stride: exact number of samples in one step: step s covers [s x stride, (s + 1) x stride) + offset.
        offset: in samples: minus half a hop, or minus one hop with `subsampling` 3, because the first
            convolution is centred on the first of its two or three windows.
        feature_size: D.
        shortest: shorter recordings are padded to this many samples, which give one step.
    """

    def __init__(self, config: FrontEndConfig, signal: SignalConfig) -> None:
        super().__init__()
        self.config = config
        rate = signal.sample_rate_hz
        if config.mels < 8 or len(config.channels) != 3 or not 1 <= config.hop_ms <= config.window_ms:
            raise ValueError(
                f"mels {config.mels}, channels {config.channels}, hop_ms {config.hop_ms}, window_ms"
                f" {config.window_ms}: 8 mels or more, three channels and 1 <= hop_ms <= window_ms are wanted"
            )
        self.hop = round(rate * config.hop_ms / 1000)
        self.window = window = round(rate * config.window_ms / 1000)
        self.fft = 1 << (window - 1).bit_length()
        self.spectrogram: nn.Module = MelSpectrogram(
            rate, n_fft=self.fft, win_length=window, hop_length=self.hop, n_mels=config.mels, center=False
        )
        for buffer in ("spectrogram.window", "mel_scale.fb"):  # rebuilt from the configuration, not saved
            owner, _, name = buffer.rpartition(".")
            self.spectrogram.get_submodule(owner)._non_persistent_buffers_set.add(name)
        self.register_buffer("band_mean", torch.zeros(config.mels))
        self.register_buffer("band_deviation", torch.ones(config.mels))
        self.band_mean: Tensor
        self.band_deviation: Tensor
        first, second = {2: (2, 1), 3: (3, 1), 4: (2, 2)}[config.subsampling]
        one, two, three = config.channels
        self.blocks = ConvBlocks(
            [
                ConvBlock(1, one, kernel=(5, 5), stride=(2, first)),
                ConvBlock(one, two, pool=(2, second), residual=config.deep),
                ConvBlock(two, three, pool=(2, 1), residual=config.deep, dropout=config.feature_dropout),
            ]
        )
        self.stride = self.shortest = self.hop * config.subsampling
        self.offset = -self.hop * (first - 1) / 2
        self.feature_size = three * ((config.mels + 1) // 2 // 4)

    @property
    def context(self) -> tuple[int, int]:
        """The number of samples that a step depends on before its own samples, and after them.

        Raises:
            ValueError: each step depends on the whole utterance.
        """
        if self.config.normalise == "utterance":
            raise ValueError(
                "its front end normalises over the whole utterance (train with --normalise global)"
            )
        before, after = self.blocks.context  # hops
        lead = (self.fft - self.hop) // 2 - (self.fft - self.window) // 2  # part of a window before its hop
        return before * self.hop + lead, after * self.hop + self.window - self.hop - lead

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of steps (B,) for signals of `lengths` (B,) samples."""
        return self.blocks.output_lengths(lengths // self.hop)

    def mel(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the powers (B, mels, frames) of the bands of samples (B, N), and their lengths (B,)."""
        samples = torch.arange(signals.shape[1], device=signals.device)
        padding = samples >= lengths.to(signals.device).unsqueeze(1)  # (B, N)
        side = (self.fft - self.hop) // 2  # centres window f on hop f, so that N / hop windows fit
        padded = functional.pad(signals.float().masked_fill(padding, 0.0), (side, self.fft - self.hop - side))
        with torch.autocast(signals.device.type, enabled=False):
            return self.spectrogram(padded), lengths // self.hop

    def fit(self, signals: Iterable[Tensor]) -> None:
        """Set the global mean and deviation of each band from `signals`, each (N,)."""
        total, square, count = torch.zeros(self.config.mels), torch.zeros(self.config.mels), 0
        for signal in signals:
            powers, _ = self.mel(signal.unsqueeze(0), torch.tensor([signal.shape[0]]))
            bands = (powers + SILENCE).log()
            total += bands[0].sum(1)
            square += bands[0].square().sum(1)
            count += bands.shape[2]
        if count == 0:
            raise ValueError("global normalisation needs at least one training example with a full window")
        self.band_mean.copy_(total / count)
        self.band_deviation.copy_((square / count - self.band_mean.square()).clamp_min(1e-4).sqrt())

    def exportable(self) -> "SpectrogramFrontEnd":
        """Return an equal front end that can be exported: other formats have no STFT, or a slow one."""
        twin = copy.deepcopy(self)
        twin.spectrogram = ConvolvedSpectrogram(self.spectrogram)
        return twin

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, S, D) and their lengths (B,) for `signals` (B, N) of `lengths` (B,) samples."""
        powers, lengths = self.mel(signals, lengths)  # (B, mels, frames)
        maps = self._normalise(powers.unsqueeze(1), lengths)  # (B, 1, mels, frames)
        if self.training:
            maps = self._mask(maps, lengths)
        maps, lengths = self.blocks(maps, lengths)  # (B, channels, height, S)
        return maps.permute(0, 3, 1, 2).flatten(2), lengths  # (B, S, channels x height)

    def _normalise(self, powers: Tensor, lengths: Tensor) -> Tensor:
        """Return the logarithm of `powers` (B, 1, mels, frames) with each band scaled."""
        if self.config.normalise == "global":
            return ((powers + SILENCE).log() - self.band_mean[:, None]) / self.band_deviation[:, None]
        if self.config.floor == "fixed":
            maps = (powers + SILENCE).log()
            count = lengths.to(maps.device).clamp_min(1)[:, None, None, None]
            mean = zero_padding(maps, lengths).sum(3, keepdim=True) / count  # (B, 1, mels, 1)
            counted = centred = zero_padding(maps - mean, lengths)
        else:
            maps, heard = self._above_floor(powers, lengths)
            count = heard.sum(3, keepdim=True).clamp_min(1)
            mean = maps.where(heard, 0.0).sum(3, keepdim=True) / count  # (B, 1, mels, 1)
            centred = zero_padding(maps - mean, lengths)
            counted = centred.where(heard, 0.0)
        deviation = (counted.square().sum(3, keepdim=True) / count).sqrt()
        return centred / (deviation + 0.05)  # 0.05 keeps a silent band silent

    def _above_floor(self, powers: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithm (B, 1, mels, frames) of `powers`, and the windows (B, 1, 1, frames) heard.

        A window is heard if it is above the floor. The others become like the quietest one that is heard, as
        if a pause that was muted had been recorded.
        """
        loudness = powers.mean(2, keepdim=True)  # (B, 1, 1, frames)
        real = zero_padding(torch.ones_like(loudness), lengths) > 0
        loudest = loudness.where(real, 0.0).amax(3, keepdim=True).clamp_min(FAINTEST)  # (B, 1, 1, 1)
        heard = real & ((loudness >= QUIET * loudest) | (loudest <= FAINTEST))  # all of digital silence
        maps = (powers + QUIET * loudest).log()
        quietest = maps.where(heard, torch.inf).amin(3, keepdim=True)  # (B, 1, mels, 1)
        return maps.maximum(quietest), heard

    def _mask(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """Set stripes of bands to 0, and stripes of windows in proportion to the length of each utterance."""
        config, (B, _, _, frames) = self.config, maps.shape
        if config.mask_bands:
            bands = FrequencyMasking(config.mask_bands, iid_masks=True)
            maps = bands(bands(maps))
        if config.mask_frames and config.mask_share:
            stripes = max(2, int(frames * config.mask_share / config.mask_frames))
            real = lengths.to(maps.device).unsqueeze(1)  # (B, 1)
            position = torch.arange(frames, device=maps.device)
            for _ in range(stripes):
                longest = (real * config.mask_share / stripes).clamp_max(config.mask_frames)
                width = (torch.rand(B, 1, device=maps.device) * longest).round().clamp_max(longest.floor())
                start = (torch.rand(B, 1, device=maps.device) * (real - width + 1)).floor()
                hidden = (position >= start) & (position < start + width)  # (B, frames)
                maps = maps.masked_fill(hidden[:, None, None, :], 0.0)
        return maps
