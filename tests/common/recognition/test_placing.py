import numpy as np
import pytest

from common.data.signal import Signal
from common.decoding.greedy import greedy
from common.decoding.hypothesis import Hypothesis
from common.recognition.placing import Placing
from common.text.symbols import Alphabet

ALEF, BET = "\u05d0", "\u05d1"
TEXT, LINE = f"{ALEF}{BET} (1)", f"(1) {BET}{ALEF}"
ALPHABET = Alphabet.from_texts([TEXT], direction="rtl")
PATH = [0, *(label for letter in ALPHABET.encode(TEXT) for label in (letter, 0))]
SIGNAL = Signal(np.zeros((4 * len(PATH), 8), np.float32), 1.0)
PLACING = Placing(ALPHABET, 4, 0.0, "px")
LOG_PROBS = np.log(np.where(np.eye(ALPHABET.classes)[PATH] > 0, 0.9, 0.1 / (ALPHABET.classes - 1)))


@pytest.mark.parametrize("aligned", [False, True])
def test_a_right_to_left_line_is_written_in_the_order_of_reading_with_places_on_the_line(aligned):
    if aligned:
        transcript = PLACING.aligned(LOG_PROBS, ALPHABET.encode(TEXT), SIGNAL, "a.png")
    else:
        hits = Hypothesis(greedy(LOG_PROBS), 0.0)
        transcript = PLACING.transcript([hits, hits._replace(hits=hits.hits[1:])], len(PATH), SIGNAL)
        assert [other.text for other in transcript.alternatives] == [f"{ALEF}{BET} (1"]
    assert transcript.text == TEXT
    # the bracket that opens stands to the right of the number; label number n starts at 8 n + 4 px
    for character, place in zip(transcript.characters, (5, 4, 3, 2, 1, 0), strict=True):
        assert character.start <= 8 * place + 4 < character.end
    first, second = transcript.words
    assert (first.text, second.text) == (f"{ALEF}{BET}", "(1)")
    assert second.start < second.end <= first.start < first.end
