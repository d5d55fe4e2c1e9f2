"""What voters agree on, listed by hand."""

import itertools
import math

import pytest

from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis
from common.recognition.voting.consensus import consensus


def hypothesis(text, share=1.0, sure=1.0, first=0, missing=0.0):
    """Return a hypothesis whose labels are code points, one every 10 steps from `first` on."""
    hits = [
        Hit(ord(letter), first + 10 * place, first + 10 * place + 4, sure, first + 10 * place + 1)
        for place, letter in enumerate(text)
    ]
    return Hypothesis(hits, math.log(share), missing)


def text_of(found):
    return "".join(chr(hit.label) for hit in found.hits)


def elected(*voters):
    return text_of(consensus(voters)[0])


def test_two_of_three_are_right_at_each_place():
    assert elected([hypothesis("cot")], [hypothesis("cat")], [hypothesis("bat")]) == "cat"
    # each voter is wrong somewhere, and none has the text
    voters = [hypothesis("xearly bird")], [hypothesis("early bxrd")], [hypothesis("erly bird")]
    assert elected(*voters) == "early bird"


def test_votes_are_those_of_the_docstring():
    voters = (
        [hypothesis("hear", 0.7), hypothesis("heat", 0.3)],
        [hypothesis("heat", 0.9), hypothesis("beat", 0.1)],
    )
    best, *others = consensus(voters, 4)
    assert text_of(best) == "heat"
    assert best.score == pytest.approx(math.log(1.2 / 2))
    assert [(text_of(one), one.score) for one in others] == [
        ("hear", pytest.approx(math.log(0.7 / 2))),
        ("beat", pytest.approx(math.log(0.1 / 2))),
    ]
    assert [text_of(one) for one in consensus(voters, 2)] == ["heat", "hear"]


def test_a_second_reading_of_an_unsure_voter_helps_a_sure_one():
    unsure = [hypothesis("modern", 0.55), hypothesis("modem", 0.45)]
    assert elected(unsure, [hypothesis("modem", 0.9), hypothesis("modern", 0.1)]) == "modem"


def test_the_surer_of_two_voters_wins_where_both_have_one_reading():
    for sure, unsure in itertools.permutations([("cat", 0.9), ("car", 0.6)]):
        voters = [hypothesis(sure[0], sure=sure[1])], [hypothesis(unsure[0], sure=unsure[1])]
        assert elected(*voters) == "cat"


def test_letters_that_one_voter_lacks_are_written_where_most_have_them():
    assert elected([hypothesis("")], [hypothesis("ab")], [hypothesis("ab")]) == "ab"
    assert elected([hypothesis("ab")], [hypothesis("")], [hypothesis("")]) == ""
    assert elected([hypothesis("")], [hypothesis("")]) == ""


def test_the_order_of_the_voters_does_not_matter():
    voters = [
        [hypothesis("abcd", 0.6, 0.8), hypothesis("abd", 0.4, 0.3)],
        [hypothesis("acbd", 0.5, 0.8, first=2), hypothesis("abc", 0.5, 0.5, first=2)],
        [hypothesis("bbcd", 0.7, 0.7, first=1), hypothesis("", 0.3)],
    ]
    for count in (2, 3):
        chosen = voters[:count]
        expected = consensus(chosen)
        assert all(consensus(order) == expected for order in itertools.permutations(chosen))


def test_voters_of_one_mind_find_what_each_finds_as_surely():
    found = [hypothesis("text", 0.8, 0.9, missing=0.25), hypothesis("next", 0.2, 0.1)]
    for count in (1, 2, 3):
        best, other = consensus([found] * count, 2)
        assert text_of(other) == "next"
        assert [hit._replace(confidence=0.9) for hit in best.hits] == found[0].hits
        assert [hit.confidence for hit in best.hits] == pytest.approx([0.9] * 4)
        assert best.missing == pytest.approx(0.25)


def test_confidence_falls_where_voters_disagree():
    (best,) = consensus([[hypothesis("cat")], [hypothesis("cat")], [hypothesis("bat")]])
    assert [hit.confidence for hit in best.hits] == pytest.approx([2 / 3, 1, 1])


def test_a_letter_that_was_voted_down_may_be_missing():
    (best,) = consensus([[hypothesis("cat")], [hypothesis("cat")], [hypothesis("cart", missing=0.5)]])
    assert text_of(best) == "cat"
    assert best.missing == pytest.approx((1 + 0.5) / 3)


def test_a_label_is_where_its_voters_place_it_on_average_and_never_before_its_neighbour():
    (best,) = consensus([[hypothesis("ab")], [hypothesis("ab", first=4)], [hypothesis("xb", first=40)]])
    assert [(hit.start, hit.end, hit.peak) for hit in best.hits] == [(2, 6, 3), (25, 29, 26)]
    late, early = [hypothesis("a", first=30)], [hypothesis("ab")]
    (best,) = consensus([late, early, early])
    starts, ends = ([getattr(hit, name) for hit in best.hits] for name in ("start", "end"))
    assert starts == sorted(starts) and ends == sorted(ends)
    assert all(hit.start <= hit.peak < hit.end for hit in best.hits)


def test_a_voter_for_whom_no_text_is_possible_votes_for_none():
    impossible = [Hypothesis([], -math.inf)]
    assert elected(impossible, [hypothesis("ab")], [hypothesis("ab")]) == "ab"
    assert elected(impossible, impossible) == ""
