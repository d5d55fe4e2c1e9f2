"""Paths are made by hand; which words stay is listed beside them."""

import numpy as np

from common.decoding.gapped.islands import SMALL, WIDE, without_islands
from common.decoding.gapped.viterbi import REST, SOUND, Words
from common.decoding.greedy import Hit

WORDS = Words.of([[2, 3, 4, 5]] * 200, 1)


def path_of(*parts: int | range) -> tuple[np.ndarray, list[Hit]]:
    """Return a path, and a label heard at every step: words of a range, or a number of steps of sound."""
    path: list[int] = []
    for part in parts:
        if isinstance(part, int):
            path += [SOUND] * part
        else:
            path += [label for word in part for label in range(5 * word, 5 * word + 5)] + [REST]
    return np.array(path), [Hit(2, step, step + 1, 0.9, step) for step in range(len(path))]


def said(path: np.ndarray) -> list[int]:
    return sorted({label // 5 for label in path.tolist() if label >= 0})


def test_a_word_alone_between_wide_gaps_is_taken_back():
    path, heard = path_of(range(50), WIDE, range(70, 71), WIDE, range(100, 200))
    assert said(without_islands(path, WORDS, heard)) == [*range(50), *range(100, 200)]
    path, heard = path_of(WIDE, range(70, 71), 10, range(120, 200))  # not said: 280 and 196 labels
    assert said(without_islands(path, WORDS, heard)) == [*range(120, 200)]


def test_words_beside_a_short_gap_or_the_end_and_many_words_stay():
    few = SMALL // 4
    for parts in (
        (range(50), WIDE, range(50, 51), WIDE // 2, range(51, 200)),
        (range(50), WIDE, range(70, 70 + few), WIDE, range(100, 200)),
        (range(2), WIDE, range(60, 198), WIDE, range(198, 200)),
        (range(1), range(2, 3), range(4, 200)),
    ):
        path, heard = path_of(*parts)
        assert without_islands(path, WORDS, heard).tolist() == path.tolist()


def test_paths_without_words_or_sound_stay():
    for path, heard in (path_of(range(200)), path_of(5), path_of()):
        assert without_islands(path, WORDS, heard).tolist() == path.tolist()
