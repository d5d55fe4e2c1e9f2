"""Measure the delay of streams and their processor time, on one core.

    python recipes/benchmarks/streaming.py [MODEL]

Times are processor time, so that other programs on the machine have little influence.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from asr.front_end import FrontEndConfig
from asr.modality import ASR
from asr.signal import SignalConfig
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.signal import Signal
from common.decoding.decoder import Decoder
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.recognizer import Recognizer
from common.recognition.streams.transcription import Stream
from common.text.symbols import Alphabet

PIECES_MS = (30, 100, 300)


@dataclass(frozen=True)
class Streaming:
    """Measure the delay and the cost of streams."""

    model: Positional[Path | None] = None
    """Model file; by default an untrained model of the default size."""
    duration_s: int = 30
    """Duration of the noise that is streamed."""


def untrained() -> Recognizer:
    """Return a recognizer of the default size that can follow a stream."""
    torch.manual_seed(0)
    config = ModelConfig(
        SignalConfig(), FrontEndConfig(normalise="global"), EncoderConfig(bidirectional=False)
    )
    return Recognizer(ASR, config, Alphabet(tuple(" 'abcdefghijklmnopqrstuvwxyz")))


def measure(arguments: Streaming) -> None:
    """Print delays and processor times."""
    torch.set_num_threads(1)
    recognizer = Recognizer.load(ASR, arguments.model) if arguments.model else untrained()
    rate_hz = recognizer.signal_config.sample_rate_hz
    noise = 0.1 * np.random.default_rng(0).standard_normal(rate_hz * arguments.duration_s)
    samples = noise.astype(np.float32)
    step_ms, after_ms = (
        1000 * count / rate_hz for count in (recognizer.stride, recognizer.front_end.context[1])
    )
    print(f"{recognizer.parameter_count} parameters; steps of {step_ms:.0f} ms, each decoded", end=" ")
    print(f"{after_ms:.1f} ms after its end ({after_ms + step_ms:.1f} ms after its start) at the soonest")
    stored = recognizer.decoder
    for name in ("greedy", "beam"):
        config = replace(stored.config, decoder=name)
        recognizer.decoder = Decoder(recognizer.alphabet, config, stored.models, stored.words)
        list(recognizer.transcribe([Signal(samples[:rate_hz], 1 / rate_hz)]))  # warm-up
        began = time.process_time()
        list(recognizer.transcribe([Signal(samples, 1 / rate_hz)]))
        print(f"{name}, whole: {(time.process_time() - began) / arguments.duration_s:.3f} s for a second")
        for piece_ms in PIECES_MS:
            stream, size, took_s = Stream(recognizer), rate_hz * piece_ms // 1000, []
            for start in range(0, len(samples), size):
                began = time.process_time()
                stream.feed(samples[start : start + size])
                took_s.append(time.process_time() - began)
            stream.finish()
            share, middle, most = sum(took_s) / arguments.duration_s, *np.quantile(took_s, [0.5, 0.95])
            print(
                f"{name}, pieces of {piece_ms} ms: {share:.3f} s for a second;"
                f" a piece takes {1000 * middle:.1f} ms, 95 % of them {1000 * most:.1f} ms or less"
            )


if __name__ == "__main__":
    measure(parse(Streaming))
