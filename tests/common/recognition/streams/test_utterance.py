"""The signals here are paths of classes: the recognizer gives the probabilities that it is fed.

"--hi-----" is a signal of nine steps, at the third of which the network is sure of an "h"
"""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.decoding.beam.fusion import Table
from common.decoding.beam.search import BeamSearch
from common.decoding.decoder import Decoder, DecodingConfig
from common.language.kneser_ney import estimate
from common.recognition.placing import Placing
from common.recognition.streams.transcription import Stream
from common.recognition.streams.utterance import EndpointConfig
from common.text.document import Passage
from common.text.symbols import Alphabet

ALPHABET = Alphabet(tuple(" abcdefghijklmnopqrstuvwxyz"))
STEP_S = 0.03
GREEDY = Decoder(ALPHABET)
BEAM = Decoder(ALPHABET, DecodingConfig("beam", beam_width=8))
WITH_LM = Decoder(ALPHABET, DecodingConfig("beam", beam_width=8), [estimate(["hi you all", "yes"], 3)])
DECODERS = pytest.mark.parametrize("decoder", [GREEDY, BEAM, WITH_LM], ids=["greedy", "beam", "lm"])


class Echo:
    """A recognizer whose signal (T, C) is the log-probabilities, with steps of STEP_S."""

    stride, shortest, context, offset = 1, 0, (0, 0), 0.0
    step_shape = (ALPHABET.classes,)
    alphabet, task, signal_config = ALPHABET, "ctc", None
    placing = Placing(ALPHABET, 1, 0.0, "s")

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.modality = SimpleNamespace(steps_per_length=per_second)

    def next_steps(
        self, values: np.ndarray, first: int, end: int | None, state: Any = None
    ) -> tuple[np.ndarray, Any]:
        return values[first:end], state


def per_second(_config: Any) -> float:
    return 1 / STEP_S


def log_probs_of(path: str, sure: float = 0.98) -> np.ndarray:
    """Return log-probabilities (S, C), float32: each step has its symbol of `path`, "-" for the blank."""
    labels = [0 if symbol == "-" else 1 + ALPHABET.symbols.index(symbol) for symbol in path]
    probs = np.full((len(path), ALPHABET.classes), (1 - sure) / (ALPHABET.classes - 1))
    probs[np.arange(len(path)), labels] = sure
    return np.log(probs).astype(np.float32)


def stream_of(decoder: Decoder, silence: float = 1.0, longest: float = 60.0) -> Stream:
    return Stream(Echo(decoder), "talk", endpoints=EndpointConfig(silence, longest))  # type: ignore[arg-type]


def passages_of(stream: Stream, log_probs: np.ndarray, *cuts: int) -> list[Passage]:
    """Return the passages of a stream that is fed in pieces."""
    found = [passage for piece in np.split(log_probs, cuts) for passage in stream.feed(piece).passages]
    return [*found, *stream.finish()]


def texts_of(passages: list[Passage]) -> list[str]:
    return [passage.transcript.text for passage in passages]


PAUSE = "-" * 34  # 1.02 s


@DECODERS
@pytest.mark.parametrize(
    ("path", "texts"),
    [
        (f"--hi{PAUSE}yes--", ["hi", "yes"]),
        (f"--hi{PAUSE[:-2]}yes--", ["hiyes"]),
        (f"h-i---y-o-u{PAUSE}{PAUSE}{PAUSE}yes{PAUSE}", ["hiyou", "yes"]),
        (f"{PAUSE}{PAUSE}hi", ["hi"]),
        ("hi", ["hi"]),
        ("--------", [""]),
        (f"{PAUSE}{PAUSE}", []),
        (f"hi {' ' * 20}{PAUSE}{' ' * 40}yes{' ' * 40}", ["hi", "yes"]),  # a network may write spaces there
        (f"hi{' ' * 90}", ["hi"]),
    ],
)
def test_an_utterance_ends_after_a_silence(decoder, path, texts):
    assert texts_of(passages_of(stream_of(decoder), log_probs_of(path))) == texts


def test_it_ends_when_the_silence_is_long_enough_and_no_step_earlier():
    stream = stream_of(GREEDY, silence=0.9)
    assert stream.feed(log_probs_of("hi" + "-" * 29)).passages == ()
    partial = stream.feed(log_probs_of("-"))
    assert texts_of(list(partial.passages)) == ["hi"]
    assert (partial.settled, partial.tentative) == ("", "")
    assert stream.feed(log_probs_of("y--")).text == "y"


@DECODERS
def test_places_are_times_since_the_start_of_the_stream(decoder):
    path = f"--hi{PAUSE}yes{PAUSE}{PAUSE}{PAUSE}you-ask"
    passages = passages_of(stream_of(decoder), log_probs_of(path))
    assert texts_of(passages) == ["hi", "yes", "youask"]
    for passage, first in zip(passages, map(path.index, ["hi", "yes", "you"]), strict=True):
        times = [passage.place_of(character) for character in passage.transcript.characters]
        steps = [step for step in range(first, first + 7) if path[step : step + 1] not in ("", "-")]
        for place, step in zip(times, steps[: len(times)], strict=True):
            assert place.start <= (step + 0.5) * STEP_S <= place.end
            assert place.end - place.start < 3.1 * STEP_S
        assert passage.place.start <= times[0].start < times[-1].end <= passage.place.end
    for before, after in pairwise(passages):
        assert before.place.end <= after.place.start
    assert not any(passage.whole for passage in passages)


def test_without_endpoints_there_is_one_utterance():
    (passage,) = passages_of(stream_of(GREEDY, silence=0), log_probs_of(f"hi{PAUSE}{PAUSE}yes"))
    assert passage.whole
    assert passage.transcript.text == "hiyes"


words = st.lists(st.sampled_from(["hi", "y-es", "a ll", "o-o", "you"]), min_size=1, max_size=5)
pauses = st.lists(st.integers(0, 90), min_size=6, max_size=6)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", [GREEDY, BEAM], ids=["greedy", "beam"])
def test_the_pieces_change_nothing_and_the_texts_are_the_text_of_the_whole(decoder):
    @settings(max_examples=25, deadline=None)
    @given(words, pauses, st.integers(0, 2**32))
    def checked(spoken, silences, seed):
        rng = np.random.default_rng(seed)
        path = "".join("-" * silence + word for silence, word in zip(silences, spoken, strict=False))
        log_probs = log_probs_of(path + "-" * silences[-1], sure=0.8)
        at_once = passages_of(stream_of(decoder), log_probs)
        cuts = np.unique(rng.integers(0, len(log_probs) + 1, 8))
        in_pieces = passages_of(stream_of(decoder), log_probs, *cuts)
        assert texts_of(in_pieces) == texts_of(at_once)
        assert [one.place for one in in_pieces] == [one.place for one in at_once]
        (whole,) = decoder.texts(log_probs[None], np.array([len(log_probs)]))
        assert "".join(texts_of(at_once)).replace(" ", "") == whole.replace(" ", "")

    checked()


# --- streams of any length


def kept_bytes(thing: Any) -> int:
    """Return the size of all arrays and lists that a stream keeps, without the decoder's own."""
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, dict | list | tuple):
        return 8 * len(thing) + sum(map(kept_bytes, thing.values() if isinstance(thing, dict) else thing))
    if isinstance(thing, Decoder | Echo | BeamSearch | Table | Alphabet) or not hasattr(thing, "__dict__"):
        return 0
    return kept_bytes(vars(thing))


@DECODERS
def test_what_is_kept_does_not_grow_from_utterance_to_utterance(decoder):
    spoken, silent = (log_probs_of(path) for path in (f"-h-i- -y-o-u{PAUSE}--y-es{PAUSE}{PAUSE}", PAUSE * 4))
    stream, sizes, texts = stream_of(decoder), list[int](), list[str]()
    for _ in range(3):
        for piece in [*[spoken] * 3, *[silent] * 3]:
            texts += texts_of(list(stream.feed(piece).passages))
        sizes.append(kept_bytes(stream))
    assert texts == ["hi you", "yes"] * 9
    assert sizes[2] == pytest.approx(sizes[0], abs=500)
    assert 1000 < sizes[0] < 300_000


@DECODERS
def test_an_utterance_without_a_silence_is_divided_between_words(decoder):
    said = ["hi", "you", "all", "yes"] * 25
    path = "".join(f"-{'-'.join(word)}- -" for word in said)
    stream, found, kept = stream_of(decoder, longest=3.0), list[Passage](), list[int]()
    for piece in np.array_split(log_probs_of(path), 50):
        found += stream.feed(piece).passages
        kept.append(sum(map(len, stream._utterance._pieces)))
    found += stream.finish()
    assert " ".join(texts_of(found)).split() == said
    assert max(kept) <= 100
    assert len(path) * STEP_S / 3 <= len(found) <= len(path) * STEP_S
    for before, after in pairwise(found):
        assert before.place.end == pytest.approx(after.place.start)


@DECODERS
def test_so_is_one_without_spaces_after_a_letter(decoder):
    path = "-h-i-y-e-s" * 60
    found = passages_of(stream_of(decoder, longest=3.0), log_probs_of(path))
    assert "".join(texts_of(found)) == path.replace("-", "")
    assert len(found) > 5


@pytest.mark.parametrize("silence", [-1.0, 0.3, 31.0, float("nan"), float("inf")])
def test_a_silence_that_the_decoder_cannot_tell_or_that_never_comes_is_refused(silence):
    with pytest.raises(ValueError, match=r"a silence of .*, where 0\.51 to 30 was wanted for this model"):
        stream_of(GREEDY, silence=silence)  # 17 steps of 0.03 s
