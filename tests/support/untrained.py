"""Small untrained recognizers of both sides and signals for them, for the tests of what is made of those."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

import asr.front_end
import asr.signal
import ocr.front_end
import ocr.signal
from asr.modality import ASR
from common.data.signal import Signal
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Alphabet
from ocr.modality import OCR

ALPHABET = Alphabet(tuple(" abcdefé"))
HEIGHT_PX, RATE_HZ = 24, 4000


class Kind(NamedTuple):
    """A modality and a small front end for it."""

    modality: Modality
    signal: Any
    front_end: Any


KINDS = {
    "ocr": Kind(
        OCR,
        ocr.signal.SignalConfig(height_px=HEIGHT_PX),
        ocr.front_end.FrontEndConfig(channels=(4, 6, 8, 10)),
    ),
    "asr": Kind(
        ASR,
        asr.signal.SignalConfig(sample_rate_hz=RATE_HZ),
        asr.front_end.FrontEndConfig(mels=24, channels=(4, 6, 8)),
    ),
}


def recognizer_of(
    name: str, encoder: EncoderConfig | None = None, card: dict[str, Any] | None = None, **front_end: Any
) -> Recognizer:
    """Return an untrained recognizer, sure enough of what it reads that it writes something."""
    torch.manual_seed(0)
    kind, encoder = KINDS[name], encoder or EncoderConfig(hidden_size=8, layers=2)
    config = ModelConfig(kind.signal, replace(kind.front_end, **front_end), encoder)
    recognizer = Recognizer(kind.modality, config, ALPHABET, card)
    with torch.no_grad():
        for parameter in recognizer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if name == "asr":
            recognizer.front_end.band_mean.fill_(-6)
            recognizer.front_end.band_deviation.fill_(2.5)
        recognizer.eval()
        values = torch.from_numpy(signals_of(name)[1].values)[None]
        encoded, _, _ = recognizer.encoder(*recognizer.front_end(values, torch.tensor([values.shape[1]])))
        head = recognizer.head.linear
        head.weight.mul_(8)
        head.bias.copy_(-head.weight @ encoded[0].mean(dim=0))  # no class is likely everywhere
    return recognizer


def signals_of(name: str) -> list[Signal]:
    """Return signals of many lengths, the shortest shorter than a step, the second long."""
    rng = np.random.default_rng(2)
    if name == "ocr":
        widths = [3, 160, 40, 41, 42, 43, *rng.integers(8, 160, 10)]
        shapes = [rng.random((width, HEIGHT_PX), dtype=np.float32).repeat(8, 0)[:width] for width in widths]
        return [Signal(values, 1.5) for values in shapes]
    lengths = [39, 4000, 800, 801, 839, 840, *rng.integers(160, 4000, 10)]
    levels = [0.2 * rng.random(length, dtype=np.float32).repeat(500)[:length] for length in lengths]
    sounds = [level * rng.standard_normal(len(level), dtype=np.float32) for level in levels]
    return [Signal(sound, 1 / RATE_HZ) for sound in sounds]
