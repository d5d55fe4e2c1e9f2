"""The settings of the front end, of augmentation and of segmentation.

They are not beside the code that they configure, because that imports torch and help must do without.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from common.command_line.flag import Flag


@dataclass(frozen=True)
class SegmentationConfig:
    """How a recording of more than --vad-max-speech-duration-s is cut into utterances."""

    vad: Literal["activity", "none"] = "activity"
    """Voice activity detection. activity: recordings are cut in pauses, and long pauses are not transcribed.
    none: they are read in overlapping windows, all of them."""
    vad_threshold: float = 0.5
    """Probability of speech from which on a step is speech."""
    vad_neg_threshold: Annotated[float | None, Flag(default="0.15 below --vad-threshold")] = None
    """Probability of speech below which a pause begins."""
    vad_min_silence_duration_ms: float = 1000.0
    """Pauses that are at least as long end an utterance and are not transcribed."""
    vad_max_speech_duration_s: float = 30.0
    """Longer utterances are cut, in a shorter pause if there is one."""
    vad_speech_pad_ms: float = 400.0
    """Time before and after speech that is transcribed with it."""

    def __post_init__(self) -> None:
        low = self.vad_threshold if self.vad_neg_threshold is None else self.vad_neg_threshold
        if not 0 < low <= self.vad_threshold < 1:
            raise ValueError(
                f"vad_threshold {self.vad_threshold:g}, vad_neg_threshold {low:g}: numbers between 0 and 1"
                " are wanted, the second not above the first"
            )
        if not 5 <= self.vad_max_speech_duration_s <= 600:
            raise ValueError(
                f"vad_max_speech_duration_s is {self.vad_max_speech_duration_s:g}; choose 5 to 600 seconds"
            )
        if not (self.vad_min_silence_duration_ms >= 100 and self.vad_speech_pad_ms >= 0):
            raise ValueError(
                f"vad_min_silence_duration_ms is {self.vad_min_silence_duration_ms:g} and vad_speech_pad_ms"
                f" {self.vad_speech_pad_ms:g}; choose 100 or more, and 0 or more milliseconds"
            )


@dataclass(frozen=True)
class SubtitleConfig:
    """Subtitles: srt, vtt and lrc."""

    max_line_width: int = 42
    """Characters in a line of subtitles at most; a longer word stands alone."""
    max_line_count: int = 2
    """Lines that are shown together at most."""
    max_words_per_line: int = 0
    """Words in a line of subtitles at most; 0: as many as there is room for."""
    highlight_words: bool = False
    """Show which word is spoken: underlined in srt, with its time in vtt."""
    case: Literal["keep", "lower", "sentence"] = "keep"
    """Letters of subtitles. sentence: small ones, with a capital after full stops and long pauses."""

    def __post_init__(self) -> None:
        if self.max_line_width < 1 or self.max_line_count < 1 or self.max_words_per_line < 0:
            raise ValueError(
                f"max_line_width {self.max_line_width}, max_line_count {self.max_line_count},"
                f" max_words_per_line {self.max_words_per_line}: numbers from 1 (words: from 0) are wanted"
            )


@dataclass(frozen=True)
class FrontEndConfig:
    """The spectrogram and the convolutional network over it."""

    mels: int = 80
    """Bands of the mel spectrogram."""
    window_ms: float = 25.0
    """Length of an analysis window."""
    hop_ms: float = 10.0
    """Time from one window to the next."""
    normalise: Literal["utterance", "global"] = "utterance"
    """Scale each band to mean 0 and deviation 1, over the utterance or over a sample of the training data."""
    floor: Literal["relative", "fixed"] = field(default="relative", metadata={"unstored": "fixed"})
    """Lowest energy of the spectrogram. relative: 80 dB below the loudest window of the utterance; windows
    below it do not count in mean and deviation, so that neither the level nor digital silence matters. fixed:
    the same for all recordings, as with --normalise global."""
    subsampling: Literal[2, 3, 4] = 3
    """Windows in one step: 3 gives 33 steps a second; fast speech spelt in letters needs 2 or 3."""
    channels: tuple[int, int, int] = (32, 64, 96)
    """Feature maps of the three blocks."""
    deep: bool = False
    """Add a second convolution with a shortcut to the last two blocks."""
    feature_dropout: float = 0.1
    """Share of the feature maps of the last block that are set to 0 in training."""
    mask_bands: int = 15
    """SpecAugment (Park et al. 2019): largest width of each of two stripes of mel bands; 0 for none."""
    mask_frames: int = 40
    """SpecAugment: largest width of each of two or more stripes of windows; 0 for none."""
    mask_share: float = 0.15
    """SpecAugment: largest share of the windows that all stripes in time may mask together."""


@dataclass(frozen=True)
class AugmentConfig:
    """Which random changes are made to a recording, how often and how strongly."""

    speed_probability: float = 0.75
    """probability that tempo and pitch change together"""
    speeds: tuple[float, ...] = (0.9, 0.95, 1.05, 1.1)
    """factors of tempo and pitch, of which one is drawn; 1.1 is faster and higher"""
    room_probability: float = 0.3
    """probability that the reverberation of a room is added"""
    rooms: str | None = None
    """folder or manifest of impulse responses; without it they are generated: noise that decays"""
    room_decay_s: tuple[float, float] = (0.1, 0.7)
    """time in which the sound of a generated room decays by 60 dB, shortest and longest"""
    room_direct_db: tuple[float, float] = (-2.0, 14.0)
    """level of the direct sound over the reverberation of a generated room, lowest and highest"""
    tilt_probability: float = 0.0
    """probability that high frequencies become stronger or weaker, as with another microphone"""
    tilt_db: tuple[float, float] = (-40.0, 10.0)
    """change of the highest frequency, lowest and highest; the change falls linearly to 0 at frequency 0"""
    noise_probability: float = 0.5
    """probability that noise is added"""
    noises: str | None = None
    """folder or manifest of noises; without it noise is generated: white to brown, and mains hum"""
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    """level of the speech over the noise, lowest and highest"""
    band_probability: float = 0.0
    """probability that only the frequencies of a band are kept, as a telephone sends them"""
    band_low_hz: tuple[float, float] = (50.0, 400.0)
    """lower edge of the band, lowest and highest"""
    band_high_hz: tuple[float, float] = (3000.0, 4000.0)
    """upper edge of the band, lowest and highest"""
    gain_probability: float = 0.5
    """probability that the level changes"""
    gain_db: tuple[float, float] = (-15.0, 6.0)
    """change of the level, lowest and highest; the peak never goes above 1"""

    def __post_init__(self) -> None:
        for kind in ("speed", "room", "tilt", "noise", "band", "gain"):
            name = f"{kind}_probability"
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; choose a number from 0 to 1")
        for name in ("room_decay_s", "room_direct_db", "tilt_db", "noise_snr_db", "gain_db"):
            low, high = getattr(self, name)
            if not -200 <= low <= high <= 200:
                raise ValueError(f"{name} goes from {low} to {high}; put the lower number first")
        edges_hz = (*self.band_low_hz, *self.band_high_hz)
        if not 0 <= edges_hz[0] <= edges_hz[1] < edges_hz[2] <= edges_hz[3] < math.inf:
            raise ValueError(
                f"band_low_hz and band_high_hz are {self.band_low_hz} and {self.band_high_hz};"
                " give four rising numbers, such as 50 400 and 3000 4000"
            )
        if not self.speeds or not all(0.25 <= speed <= 4 for speed in self.speeds):
            raise ValueError(f"speeds are {self.speeds}; choose factors from 0.25 to 4, such as 0.9 1.1")
        if self.room_decay_s[0] <= 0:
            raise ValueError(f"room_decay_s starts at {self.room_decay_s[0]}; choose more than 0 seconds")
