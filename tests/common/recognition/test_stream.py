"""The truth is the same recognizer given the whole signal."""

import tracemalloc
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from untrained import KINDS, recognizer_of, signals_of

from common.data.signal import Signal
from common.decoding.decoder import Decoder, DecodingConfig
from common.language.kneser_ney import estimate
from common.recognition.configuration import EncoderConfig
from common.recognition.recognizer import Recognizer
from common.recognition.stream import Stream
from common.text.transcript import Transcript

ENCODER = EncoderConfig(hidden_size=8, layers=2, bidirectional=False)
SETTINGS = [
    *(("ocr", {"stride": stride, "deep": deep}) for stride, deep in product([4, 8], [False, True])),
    *(
        ("asr", {"normalise": "global", "subsampling": subsampling, "deep": deep})
        for subsampling, deep in product([2, 3, 4], [False, True])
    ),
]
SIZES = {"ocr": 30, "asr": 1200}
"""longest pieces: a few steps"""


class Watched(Stream):
    """A stream that remembers its log-probabilities."""

    def __init__(self, recognizer: Recognizer, signal: Signal) -> None:
        super().__init__(recognizer, unit_per_step=signal.unit_per_step)
        self.computed: list[np.ndarray] = []

    def _log_probs(self, end: int | None) -> np.ndarray:
        self.computed.append(super()._log_probs(end))
        return self.computed[-1]


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


def check(recognizer: Recognizer, signal: Signal, longest: int, rng: np.random.Generator) -> None:
    """Assert that pieces give what the whole gives, and that no settled text is taken back."""
    stream, settled = Watched(recognizer, signal), ""
    for piece in pieces_of(signal.values, longest, rng):
        partial = stream.feed(piece)
        assert partial.settled.startswith(settled)
        settled = partial.settled
    others = 2 if recognizer.decoder.config.decoder == "beam" else 0
    transcript = stream.finish(others)
    (log_probs,) = recognizer.log_probs([signal.values]).each()
    np.testing.assert_allclose(np.concatenate(stream.computed), log_probs, rtol=0, atol=1e-5)
    assert_same(transcript, next(recognizer.transcribe([signal], alternatives=others)))
    assert transcript.text.startswith(settled)


@pytest.mark.parametrize(("name", "front_end"), SETTINGS, ids=str)
def test_pieces_give_what_the_whole_gives(name, front_end):
    recognizer, rng = one_way(name, **front_end), np.random.default_rng(0)
    for signal in signals_of(name):
        check(recognizer, signal, SIZES[name], rng)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ocr", "asr"])
def test_so_they_do_in_any_sizes(name):
    recognizer, signals = one_way(name), signals_of(name)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, len(signals) - 1), st.integers(1, SIZES[name]), st.integers(0, 2**32))
    def checked(place, longest, seed):
        check(recognizer, signals[place], longest, np.random.default_rng(seed))

    checked()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_so_they_do_with_every_cell(cell, residual):
    encoder = EncoderConfig(cell=cell, hidden_size=8, layers=3, bidirectional=False, residual=residual)
    check(one_way("asr", encoder), signals_of("asr")[1], 500, np.random.default_rng(1))


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
    assert stream.finish().text.startswith(texts[-1])
    assert all(len(text) <= len(later) for text, later in pairwise(texts))


def test_a_step_is_computed_as_soon_as_what_it_sees_is_there():
    recognizer = one_way("asr")
    _, behind = recognizer.front_end.context
    stream = Stream(recognizer)
    last = 3 * recognizer.stride + behind  # of what the third step sees
    stream.feed(np.zeros(last - 1, np.float32))
    assert stream.steps == 2
    stream.feed(np.zeros(1, np.float32))
    assert stream.steps == 3


def test_what_was_heard_is_not_kept():
    recognizer = one_way("asr")
    stream, minute = Stream(recognizer), np.zeros(60 * 4000, np.float32)
    stream.feed(minute)
    tracemalloc.start()
    for _ in range(5):
        stream.feed(minute)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < minute.nbytes / 10
    assert stream.received == 6 * len(minute)


def test_places_are_seconds_without_being_told():
    recognizer, (_, signal, *_) = one_way("asr"), signals_of("asr")
    stream = Stream(recognizer, "talk")
    stream.feed(signal.values)
    transcript = stream.finish()
    assert transcript.source == "talk"
    assert_same(transcript, next(recognizer.transcribe([signal])))


@pytest.mark.parametrize("size", [0, 1, 60, 119])
def test_less_than_a_step_is_padded_as_it_is_alone(size):
    recognizer = one_way("asr")
    values = signals_of("asr")[1].values[2000 : 2000 + size]
    stream = Watched(recognizer, Signal(values, 1.0))
    stream.feed(values)
    stream.finish()
    (log_probs,) = recognizer.log_probs([values]).each()
    np.testing.assert_allclose(np.concatenate(stream.computed), log_probs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("bidirectional", "normalise", "wanted"),
    [
        (True, "global", ["--no-bidirectional"]),
        (False, "utterance", ["--normalise global"]),
        (True, "utterance", ["--no-bidirectional", "--normalise global"]),
    ],
)
def test_a_model_that_must_see_the_whole_says_how_to_train_another(bidirectional, normalise, wanted):
    encoder = EncoderConfig(hidden_size=8, layers=1, bidirectional=bidirectional)
    with pytest.raises(ValueError, match="cannot follow a stream") as caught:
        Stream(recognizer_of("asr", encoder, normalise=normalise))
    flags = ["--no-bidirectional", "--normalise global"]
    assert [flag for flag in flags if flag in str(caught.value)] == wanted


def test_a_piece_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 2\), where \(T\) was wanted"):
        Stream(one_way("asr")).feed(np.zeros((5, 2), np.float32))
    height = KINDS["ocr"].signal.height_px
    with pytest.raises(ValueError, match=rf"shape \(5,\), where \(T, {height}\) was wanted"):
        Stream(one_way("ocr")).feed(np.zeros(5, np.float32))
