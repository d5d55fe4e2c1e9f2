"""Measure streams with torch and with ONNX: delay of words, processor time, and memory after an hour.

    python recipes/benchmarks/streaming.py [MODEL] [--data MANIFEST]

    word spoken   |== end                     arrives in pieces of 100 ms
    word read          |-- delay -->|         the piece after which it is in the text, plus computing

Times of computing are processor time, so that other programs on the machine have little influence.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from asr.front_end import FrontEndConfig
from asr.modality import ASR
from asr.signal import SignalConfig
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Part
from common.data.signal import Signal
from common.decoding.decoder import Decoder
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.export import export_onnx
from common.recognition.recognizer import Recognizer
from common.recognition.runtime import OnnxRecognizer
from common.recognition.streams.transcription import Stream
from common.recognition.streams.utterance import EndpointConfig
from common.text.symbols import Alphabet

PIECES_MS = (30, 100, 300)
SPOKEN_PIECE_MS = 100
PAUSE_S = 1.5
"""after each utterance of the spoken stream; above the silence that ends an utterance"""
HOUR_PIECE_S = 1
QUIET = 1e-4
"""deviation of the noise in pauses: -80 dB"""


@dataclass(frozen=True)
class Streaming:
    """Measure the delay and the cost of streams."""

    model: Positional[Path | None] = None
    """Model file (.safetensors); by default an untrained model of the default size."""
    data: str | None = None
    """Manifest with the times of words, for the delay of words and the hour; by default noise is streamed."""
    duration_s: int = 30
    """Duration of the sound for processor times."""
    hour_s: int = 3600
    """Duration of the stream whose memory is measured."""


class Spoken(NamedTuple):
    """Utterances with pauses between them.

    samples: (N,) at the rate of the model.
    words: the words with their places in seconds.
    """

    samples: np.ndarray
    words: list[Part]


class Read(NamedTuple):
    """A word of the transcript, and the seconds at which it was shown, settled and written."""

    word: Part
    times_s: tuple[float, ...]


def untrained() -> Recognizer:
    """Return a recognizer of the default size that can follow a stream."""
    torch.manual_seed(0)
    config = ModelConfig(
        SignalConfig(), FrontEndConfig(normalise="global"), EncoderConfig(bidirectional=False)
    )
    return Recognizer(ASR, config, Alphabet(tuple(" 'abcdefghijklmnopqrstuvwxyz")))


def read_spoken(recognizer: Recognizer, data: str | None, least_s: int) -> Spoken:
    """Return the utterances of a corpus, or noise of at least this duration."""
    rate_hz, rng = recognizer.signal_config.sample_rate_hz, np.random.default_rng(0)
    if data is None:
        return Spoken((0.1 * rng.standard_normal(rate_hz * least_s)).astype(np.float32), [])
    parts, words, time_s = list[np.ndarray](), list[Part](), 0.0
    for example in ASR.examples(data, ASR.corpus_config()).examples:
        signal = ASR.read(example.source, recognizer.signal_config)
        words += [Part(word.text, time_s + word.start, time_s + word.end) for word in example.words]
        pause = QUIET * rng.standard_normal(round(PAUSE_S * rate_hz)).astype(np.float32)
        parts += [signal.values, pause.astype(np.float32)]
        time_s += (len(signal.values) + len(pause)) / rate_hz
    return Spoken(np.concatenate(parts), words)


def pieces_of(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield `samples` in pieces of `size`."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def measure_cost(recognizer: Recognizer | OnnxRecognizer, samples: np.ndarray, duration_s: float) -> str:
    """Return the processor time for a second of sound, as a whole and in pieces."""
    rate_hz = recognizer.signal_config.sample_rate_hz
    list(recognizer.transcribe([Signal(samples[:rate_hz], 1 / rate_hz)]))  # warm-up
    began = time.process_time()
    list(recognizer.transcribe([Signal(samples, 1 / rate_hz)]))
    found = [f"whole {(time.process_time() - began) / duration_s:.4f}"]
    for piece_ms in PIECES_MS:
        stream, took_s = Stream(recognizer, endpoints=EndpointConfig()), list[float]()
        for piece in pieces_of(samples, rate_hz * piece_ms // 1000):
            began = time.process_time()
            stream.feed(piece)
            took_s.append(time.process_time() - began)
        share, most = sum(took_s) / duration_s, np.quantile(took_s, 0.95)
        found.append(f"{piece_ms} ms {share:.4f} (95 % within {1000 * most:.1f} ms)")
    return "; ".join(found)


def measure_delay(recognizer: Recognizer | OnnxRecognizer, spoken: Spoken) -> str:
    """Return the delay from the end of a word to its text, over the words that were read in their places."""
    rate_hz, size, read = recognizer.signal_config.sample_rate_hz, 0, list[Read]()
    stream = Stream(recognizer, endpoints=EndpointConfig())
    shown, settled = list[tuple[str, float]](), list[tuple[str, float]]()
    for piece in pieces_of(spoken.samples, rate_hz * SPOKEN_PIECE_MS // 1000):
        size += len(piece)
        began = time.process_time()
        partial = stream.feed(piece)
        now_s = size / rate_hz + time.process_time() - began
        for passage in partial.passages:
            for place, word in enumerate(passage.transcript.words):
                times = [
                    seen[place][1] if seen[place : place + 1] and seen[place][0] == word.text else now_s
                    for seen in (shown, settled)
                ]
                read.append(Read(Part(word.text, *astuple(passage.place_of(word))), (*times, now_s)))
            shown, settled = [], []
        _note(shown, partial.text, now_s)
        _note(settled, partial.settled, now_s)
    delays = [
        [time_s - one.end for time_s in other.times_s]
        for one in spoken.words
        for other in read
        if other.word.text == one.text and _overlap(one, other.word)
    ]
    if not delays:
        return f"0 of {len(spoken.words)} words"
    parts = [
        f"{name} {middle:.2f} s (95 % within {most:.2f})"
        for name, middle, most in zip(
            ("shown", "settled", "written as a line"), *np.quantile(delays, [0.5, 0.95], axis=0), strict=True
        )
    ]
    return f"{len(delays)} of {len(spoken.words)} words: {', '.join(parts)}"


def _overlap(one: Part, other: Part) -> bool:
    """Return whether the middle of each word is within the other."""
    middles = ((word.start + word.end) / 2 for word in (one, other))
    return all(word.start <= middle <= word.end for word, middle in zip((other, one), middles, strict=True))


def _note(seen: list[tuple[str, float]], text: str, now_s: float) -> None:
    """Note the words of `text` that are new or have changed, with the time."""
    words = text.split()
    del seen[len(words) :]
    for place, word in enumerate(words):
        if place == len(seen):
            seen.append((word, now_s))
        elif seen[place][0] != word:
            seen[place] = (word, now_s)


def measure_hour(recognizer: Recognizer | OnnxRecognizer, samples: np.ndarray, hour_s: int) -> str:
    """Return the memory of the process after a minute and at the end of a long stream, and its cost."""
    rate_hz = recognizer.signal_config.sample_rate_hz
    stream, utterances, early = Stream(recognizer, endpoints=EndpointConfig()), 0, 0.0
    began = time.process_time()
    pieces = cycle(pieces_of(samples, HOUR_PIECE_S * rate_hz))
    while stream.received < hour_s * rate_hz:
        utterances += len(stream.feed(next(pieces)).passages)
        if not early and stream.received >= 60 * rate_hz:
            early = resident_mb()
    share = (time.process_time() - began) / hour_s
    return (
        f"{stream.received / rate_hz:.0f} s in pieces of {HOUR_PIECE_S} s: {utterances} utterances,"
        f" {share:.4f} s for a second, {early:.0f} MB after a minute, {resident_mb():.0f} MB at the end"
    )


def resident_mb() -> float:
    """Return the memory of this process; Linux only."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def measure(arguments: Streaming) -> None:
    """Print delays, processor times and memory of each runtime and decoder."""
    torch.set_num_threads(1)
    recognizer = Recognizer.load(ASR, arguments.model) if arguments.model else untrained().eval()
    rate_hz = recognizer.signal_config.sample_rate_hz
    step_ms, after_ms = (1000 * count / rate_hz for count in (recognizer.stride, recognizer.context[1]))
    print(f"{recognizer.parameter_count} parameters; steps of {step_ms:.0f} ms, each decoded", end=" ")
    print(f"{after_ms:.1f} ms after its end ({after_ms + step_ms:.1f} ms after its start) at the soonest")
    spoken = read_spoken(recognizer, arguments.data, max(60, arguments.duration_s))
    samples = np.resize(spoken.samples, arguments.duration_s * rate_hz)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("float32", "int8"):
            export_onnx(recognizer, Path(folder) / f"{name}.onnx", int8=name == "int8")
        runtimes = {
            "torch": recognizer,
            **{
                f"onnx {name}": OnnxRecognizer.load(ASR, Path(folder) / f"{name}.onnx", threads=1)
                for name in ("float32", "int8")
            },
        }
    stored = recognizer.decoder
    for runtime, one in runtimes.items():
        for name in ("greedy", "beam"):
            config = replace(stored.config, decoder=name)
            one.decoder = Decoder(recognizer.alphabet, config, stored.models, stored.words)
            print(f"{runtime}, {name}: {measure_cost(one, samples, arguments.duration_s)}", flush=True)
            if spoken.words:
                print(f"{runtime}, {name}: {measure_delay(one, spoken)}", flush=True)
        one.decoder = Decoder(recognizer.alphabet, replace(stored.config, decoder="greedy"))
        print(f"{runtime}, greedy: {measure_hour(one, spoken.samples, arguments.hour_s)}", flush=True)


if __name__ == "__main__":
    measure(parse(Streaming))
