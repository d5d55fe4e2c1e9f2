"""Error rates on development data."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from common.data.batching import Batch
from common.data.manifest import Example
from common.recognition.transcriber import LogProbs
from common.text.phonetic.phones import Phones
from common.text.phonetic.pronunciations import Pronunciation
from common.text.symbols import Alphabet
from common.training.evaluation import WRITTEN, measure

TARGETS = [[0, 1, 1, 2], [2, 0, -1, 0]]
FOUND = [[0, 1, 2, 2], [2, 1, 0, 0]]
LENGTHS = [4, 3]


def loader_of(batch: Batch, texts: tuple[str, ...] = ()) -> Any:
    examples = SimpleNamespace(examples=[Example(text, text) for text in texts])
    return SimpleNamespace(batches=lambda: iter([batch]), examples=examples)


def batch_of(targets: list[list[int]]) -> Batch:
    rows, lengths = torch.tensor(targets), torch.tensor(LENGTHS)
    return Batch(torch.zeros(2, 4), lengths, rows, lengths, ["a", "b"], [0, 1], 2, [])


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_wrong_steps_are_counted_in_an_array_and_in_a_tensor(kind: Any) -> None:
    """On CUDA log-probabilities are a tensor. Steps 2 of the first row, 1 and 2 of the second are wrong."""
    log_probs = np.log(np.eye(3, dtype=np.float32)[FOUND] + 1e-3)  # (2, 4, 3)
    recognizer: Any = SimpleNamespace(
        task="frames",
        eval=lambda: None,
        step_log_probs=lambda *_: LogProbs(kind(log_probs), np.array(LENGTHS)),
    )
    assert measure(recognizer, loader_of(batch_of(TARGETS))) == {"frame_error_rate": (3, 7)}


@pytest.mark.parametrize(
    ("texts", "cer", "written"),
    [(("ab", "c d"), (0, 5), 5), (("", ""), (5, 5), 0), (("abb", "c"), (3, 5), 4)],
)
def test_how_much_is_written_is_measured_beside_the_error_rates(
    texts: tuple[str, ...], cer: tuple[int, int], written: int
) -> None:
    recognizer: Any = SimpleNamespace(
        task="ctc", eval=lambda: None, output=lambda *_: None, texts=lambda _: texts, alphabet=Alphabet(())
    )
    found = measure(recognizer, loader_of(batch_of(TARGETS), ("ab", "c d")))
    assert found["cer"] == cer and found[WRITTEN] == (written, 5)


def test_a_model_of_phones_is_judged_by_phones_so_that_homophones_are_alike() -> None:
    """Labels: the blank 0, the space 1, A 2, B 3, T 4. The first path says TWO or TO, and then CAB."""
    said = ["TWO T A", "TO T A", "CAB B A B"]
    phones = Phones.of([Pronunciation(word, tuple(rest)) for word, *rest in map(str.split, said)])
    paths = [[4, 0, 2, 2, 1, 3, 2, 3], [1, 4, 1, 3, 3, 0, 3, 1]]
    log_probs = np.log(np.eye(5, dtype=np.float32)[paths] + 1e-3)  # (2, 8, 5)
    recognizer: Any = SimpleNamespace(
        task="ctc",
        eval=lambda: None,
        step_log_probs=lambda *_: LogProbs(log_probs, np.array([8, 8])),
        alphabet=phones,
    )
    found = measure(recognizer, loader_of(batch_of(TARGETS), ("TO CAB", "TWO DOG CAB")))
    # the first path says "TA BAB", the second "T BB" in place of "TA ? BAB"
    assert found["wer"] == (3, 5)
    assert found["cer"][1] == len("TA BAB") + len("TA ? BAB")
    assert found["cer"][0] == 4  # two A, "?" and a space are missing
