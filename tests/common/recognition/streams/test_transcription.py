"""The truth is the same recognizer given the whole signal."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from untrained import recognizer_of, signals_of

from common.data.signal import Signal
from common.decoding.decoder import Decoder, DecodingConfig
from common.language.kneser_ney import estimate
from common.recognition.configuration import EncoderConfig
from common.recognition.export import export_onnx
from common.recognition.recognizer import Recognizer
from common.recognition.runtime import OnnxRecognizer
from common.recognition.streams.transcription import Stream
from common.text.transcript import Transcript

ENCODER = EncoderConfig(hidden_size=8, layers=2, bidirectional=False)
SIZES = {"ocr": 30, "asr": 1200}
"""longest pieces: a few steps"""


def one_way(name: str, encoder: EncoderConfig = ENCODER, **front_end: object) -> Recognizer:
    return recognizer_of(name, encoder, **({"normalise": "global"} if name == "asr" else {}) | front_end)


def pieces_of(values: np.ndarray, longest: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return `values` in pieces of 0 to `longest` steps."""
    cuts = np.cumsum(rng.integers(0, longest + 1, len(values)))
    return np.split(values, cuts[cuts < len(values)])


def assert_same(streamed: Transcript, whole: Transcript) -> None:
    assert streamed.text == whole.text
    for one, other in zip(streamed.characters, whole.characters, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert [other.text for other in streamed.alternatives] == [other.text for other in whole.alternatives]


def only(stream: Stream) -> Transcript:
    """Return the transcript of a stream that is one utterance."""
    (passage,) = stream.finish()
    assert passage.whole
    return passage.transcript


def check(
    recognizer: Recognizer | OnnxRecognizer, signal: Signal, longest: int, rng: np.random.Generator
) -> None:
    """Assert that pieces give what the whole gives, and that no settled text is taken back."""
    others = 2 if recognizer.decoder.config.decoder == "beam" else 0
    stream, settled = Stream(recognizer, unit_per_step=signal.unit_per_step, alternatives=others), ""
    for piece in pieces_of(signal.values, longest, rng):
        partial = stream.feed(piece)
        assert partial.settled.startswith(settled)
        settled = partial.settled
    transcript = only(stream)
    assert_same(transcript, next(recognizer.transcribe([signal], alternatives=others)))
    assert transcript.text.startswith(settled)


@pytest.mark.parametrize("name", ["ocr", "asr"])
def test_pieces_give_what_the_whole_gives(name):
    recognizer, rng = one_way(name), np.random.default_rng(0)
    for signal in signals_of(name):
        check(recognizer, signal, SIZES[name], rng)


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_so_they_do_exported(decoder, tmp_path):
    recognizer, rng = one_way("asr"), np.random.default_rng(0)
    export_onnx(recognizer, tmp_path / "model.onnx")
    exported = OnnxRecognizer.load(recognizer.modality, tmp_path / "model.onnx", threads=1)
    exported.decoder = Decoder(recognizer.alphabet, DecodingConfig(decoder, beam_width=16))
    for signal in signals_of("asr"):
        check(exported, signal, SIZES["asr"], rng)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ocr", "asr"])
def test_so_they_do_in_any_sizes(name):
    recognizer, signals = one_way(name), signals_of(name)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, len(signals) - 1), st.integers(1, SIZES[name]), st.integers(0, 2**32))
    def checked(place, longest, seed):
        check(recognizer, signals[place], longest, np.random.default_rng(seed))

    checked()


@pytest.mark.parametrize("temperature", [1.0, 1.7])
@pytest.mark.parametrize("lm", [False, True])
def test_so_they_do_in_the_beam_search_with_language_models(lm, temperature):
    recognizer = one_way("asr")
    models = [estimate(["a bad cab", "dad fed abe", "éa bé"], 3)] if lm else []
    config = DecodingConfig("beam", beam_width=16, temperature=temperature)
    recognizer.decoder = Decoder(recognizer.alphabet, config, models)
    for signal in signals_of("asr")[:6]:
        check(recognizer, signal, 700, np.random.default_rng(2))


def test_the_text_grows_while_the_signal_comes():
    recognizer, signal = one_way("asr"), signals_of("asr")[1]
    stream = Stream(recognizer)
    texts = [stream.feed(piece).text for piece in np.array_split(signal.values, 20)]
    assert len(set(texts)) > 5
    assert only(stream).text.startswith(texts[-1])
    assert all(len(text) <= len(later) for text, later in pairwise(texts))


def test_places_are_seconds_without_being_told():
    recognizer, (_, signal, *_) = one_way("asr"), signals_of("asr")
    stream = Stream(recognizer, "talk")
    stream.feed(signal.values)
    transcript = only(stream)
    assert transcript.source == "talk"
    assert_same(transcript, next(recognizer.transcribe([signal])))
