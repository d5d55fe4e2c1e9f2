"""A recognizer whose labels are pieces of several characters, a kind of symbols that only this file knows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from untrained import HEIGHT_PX, KINDS

from common.data.batching import Batch, pad
from common.data.signal import Signal
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.storage import decoder_from
from common.decoding.tuning import ReferenceBatch, calibrate, kept_classes
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.known_text.aligner import Aligner
from common.recognition.recognizer import Recognizer
from common.recognition.transcriber import LogProbs
from common.text.direction import Read
from common.text.symbols import Alphabet, Symbols


@dataclass(frozen=True)
class Pieces:
    """Pieces of words; the first of a word has its space. A text is cut into the longest from the left."""

    symbols: tuple[str, ...]

    separator = ""
    unicode_form = "NFC"
    whitespace = "collapse"
    direction = None
    writes_text = True
    noun = "pieces"

    @property
    def classes(self) -> int:
        return len(self.symbols) + 1

    @cached_property
    def labels(self) -> dict[str, int]:
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}

    def normalise(self, text: str) -> str:
        return Alphabet(()).normalise(text)

    def _cut(self, text: str) -> list[str]:
        rest, pieces = f" {self.normalise(text)}", []
        while rest:
            known = [symbol for symbol in self.symbols if rest.startswith(symbol)]
            pieces.append(max(known, key=len, default=rest[0]))
            rest = rest.removeprefix(pieces[-1])
        return pieces

    def unknown(self, text: str) -> list[str]:
        return [piece for piece in dict.fromkeys(self._cut(text)) if piece not in self.labels]

    def encode(self, text: str) -> list[int]:
        return [self.labels[piece] for piece in self._cut(text)]

    def spell(self, text: str) -> str:
        return self.normalise(text)

    def read(self, pieces: Sequence[str]) -> list[Read]:
        return [Read(place, piece) for place, piece in enumerate(pieces) if piece]

    def pieces(self, labels: Iterable[int]) -> list[str]:
        return [self.symbols[label - 1] for label in labels]

    def decode(self, labels: Iterable[int]) -> str:
        return "".join(self.pieces(labels))

    def to_dict(self) -> dict[str, Any]:
        return {"pieces": list(self.symbols)}


PIECES: Symbols = Pieces((" the", " c", "at", "a", "t", " a"))
SIGNAL = Signal(np.zeros((48, HEIGHT_PX), np.float32), 2.0)
STRIDE_PX = 8
"""a step is 4 columns of the signal, each 2 px of the original"""


@pytest.fixture
def recognizer() -> Recognizer:
    torch.manual_seed(0)
    kind = KINDS["ocr"]
    config = ModelConfig(kind.signal, kind.front_end, EncoderConfig(hidden_size=8, layers=1))
    return Recognizer(kind.modality, config, PIECES).eval()


def reading(recognizer: Recognizer, *labels: int, sure: float = 0.9) -> np.ndarray:
    """Make the recognizer read these labels, one a step, in any signal; return log-probabilities (S, C)."""
    rest = (1 - sure) / (PIECES.classes - 1)
    path = np.log(np.where(np.eye(PIECES.classes)[list(labels)] > 0, sure, rest))

    def fixed(signals: Any) -> LogProbs:
        return LogProbs(np.stack([path] * len(signals)), np.full(len(signals), len(path)))

    recognizer.log_probs = recognizer.compute = fixed  # type: ignore[method-assign]
    return path


def test_a_text_is_trained_on_as_its_pieces(recognizer):
    assert PIECES.encode(" the  cat") == [1, 2, 3]
    signals, lengths = pad([SIGNAL.values])
    targets = torch.tensor([PIECES.encode("the cat")])
    total, impossible = recognizer.losses(
        Batch(signals, lengths, targets, torch.tensor([3]), ["x"], [0], 1, [])
    )
    log_probs, steps = recognizer(signals, lengths)
    wanted = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, steps, torch.tensor([3]), reduction="sum"
    )
    assert (total.item(), impossible) == (pytest.approx(wanted.item()), 0)


def test_a_transcript_has_the_characters_of_each_piece_within_its_place(recognizer):
    reading(recognizer, 1, 1, 2, 3, 0, 0)
    (transcript,) = recognizer.transcribe([SIGNAL])
    assert transcript.text == "the cat"
    assert [word.text for word in transcript.words] == ["the", "cat"]
    places = {word.text: (word.start, word.end) for word in transcript.words}
    # a step of 8 px starts half a column before its stride
    assert places["the"] == (0, 2 * STRIDE_PX - 1)
    the = [(one.start, one.end) for one in transcript.characters[:3]]
    assert the == [pytest.approx((5 * place, 5 * (place + 1))) for place in range(3)]
    starts = [one.start for one in transcript.characters]
    assert starts == sorted(starts)


def test_the_confidence_of_a_piece_is_the_product_of_its_characters(recognizer):
    reading(recognizer, 1, 2, 3)
    (transcript,) = recognizer.transcribe([SIGNAL])
    assert transcript.words[0].confidence == pytest.approx(0.9)
    lengths = [3, 2, 2]  # "the", " c", "at"
    assert transcript.confidence == pytest.approx(sum(n * 0.9 ** (1 / n) for n in lengths) / 7)


def test_a_text_is_aligned_by_its_pieces(recognizer):
    reading(recognizer, 1, 0, 2, 3, 0, 0)
    (transcript,) = Aligner(recognizer).align([SIGNAL], ["the  cat"])
    assert [word.text for word in transcript.words] == ["the", "cat"]
    assert transcript.words[0].end <= transcript.words[1].start
    with pytest.raises(ValueError, match="its text has ' ', 'd', 'o', 'g', not in the alphabet of 6 symbols"):
        list(Aligner(recognizer).align([SIGNAL], ["the dog"]))


def test_the_beam_finds_what_greedy_decoding_finds_and_alternatives_are_told_apart_by_text(recognizer):
    reading(recognizer, 1, 2, 3, sure=0.5)
    recognizer.decoder = Decoder(PIECES, DecodingConfig("beam", beam_width=20))
    (transcript,) = recognizer.transcribe([SIGNAL], alternatives=10)
    assert transcript.text == "the cat"
    texts = [transcript.text, *(one.text for one in transcript.alternatives)]
    assert len(set(texts)) == len(texts) > 5
    assert texts == [" ".join(text.split()) for text in texts]


def test_a_model_file_keeps_a_decoder_of_running_text(recognizer):
    header, tensors = recognizer.described()
    assert header["alphabet"] == PIECES.to_dict()
    decoder, _ = decoder_from(PIECES, header["decoding"], tensors)
    assert isinstance(decoder, Decoder)


def test_each_character_is_judged_by_the_confidence_of_its_piece(recognizer):
    log_probs = reading(recognizer, 1, 2, 3)
    examples = [type("Example", (), {"text": " the cat", "source": "x"})()]
    _, _, own = calibrate(recognizer.decoder, [ReferenceBatch([kept_classes(log_probs)], examples)])
    assert len(own.confidences) == len(own.right) == len(" the cat")
    np.testing.assert_allclose(own.confidences, 0.9 ** np.repeat([1 / 4, 1 / 2, 1 / 2], [4, 2, 2]))
