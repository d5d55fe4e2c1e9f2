import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.frame_targets import ACTIVE, UNKNOWN_LABEL, FrameTargets, frame_names, parts_of
from common.data.manifest import Example, Part
from common.text.symbols import Names

AB = Names(("a", "b"), " ")


def example(*parts: tuple[str, float, float], text: str = "a b", characters=()) -> Example:
    return Example("one.wav", text, words=tuple(Part(*part) for part in parts), characters=characters)


def labels(one: Example, steps: int, stride: int = 1, offset: float = 0, unit: float = 1.0) -> list[int]:
    return FrameTargets(AB, "words", stride, offset)(one, unit, steps)


def test_a_step_has_the_label_of_the_word_in_which_its_middle_lies():
    # middles of steps: 0.5 1.5 2.5 3.5 4.5 5.5
    assert labels(example(("a", 1.4, 2.6), ("b", 3.6, 9)), 6) == [0, 1, 1, 0, 2, 2]


def test_a_middle_on_an_edge_belongs_to_what_starts_there():
    assert labels(example(("a", 0.5, 2.5), ("b", 2.5, 3.5)), 4) == [1, 1, 2, 0]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 40), st.floats(0, 40)), max_size=4),
    st.integers(0, 12),
    st.integers(1, 8),
    st.floats(-8, 8),
    st.floats(0.01, 4),
)
def test_stride_offset_and_unit_place_the_middles(found, steps, stride, offset, unit):
    parts = [(text, min(edges), max(edges)) for text, *edges in found]
    expected = []
    for step in range(steps):
        middle = (step * stride + stride / 2 + offset) * unit
        inside = [text for text, start, end in parts if start <= middle < end]
        expected.append({"a": 1, "b": 2}[inside[-1]] if inside else 0)  # of words that overlap, the later
    assert labels(example(*parts, text=""), steps, stride, offset, unit) == expected


def test_where_words_overlap_the_later_one_counts():
    assert labels(example(("a", 0, 4), ("b", 2, 3)), 5) == [1, 1, 2, 1, 0]


def test_places_outside_of_the_signal_and_of_no_length_label_nothing():
    assert labels(example(("a", 7, 9), ("b", 1.5, 1.5)), 3) == [0, 0, 0]


def test_a_signal_without_text_has_no_labels():
    assert labels(Example("one.wav", ""), 3) == [0, 0, 0]
    assert labels(Example("one.wav", None), 3) == [0, 0, 0]
    assert labels(example(("a", 0, 9)), 0) == []


@pytest.mark.parametrize(
    ("level", "wanted"), [("words", "words"), ("characters", "characters"), ("activity", "words")]
)
def test_a_text_without_places_is_refused_with_what_to_write(level, wanted):
    with pytest.raises(ValueError) as caught:
        parts_of(Example("one.wav", "a b"), level)
    assert str(caught.value) == (
        f"one.wav: does not say where its {wanted} are; give a manifest with"
        f' "{wanted}": [[text, start, end], ...], such as `align` writes'
    )


def test_an_unknown_name_is_refused_or_counts_as_an_error():
    one = example(("a", 0, 1), ("zoo", 1, 3))
    with pytest.raises(ValueError, match=r"one.wav: 'zoo' is not among the 2 names"):
        FrameTargets(AB, "words", 1, 0)(one, 1.0, 3)
    assert FrameTargets(AB, "words", 1, 0, strict=False)(one, 1.0, 3) == [1, UNKNOWN_LABEL, UNKNOWN_LABEL]
    assert FrameTargets(AB, "words", 1, 0).names_of(one, 1.0, 3) == ["a", "zoo", "zoo"]


def test_names_are_those_of_the_words_in_the_form_of_the_texts():
    examples = [
        example(("e\u0301te", 0, 1), ("ice  cream", 1, 2)),
        example(("a", 0, 1), ("a", 2, 3), (" ", 3, 4)),
    ]
    names = frame_names(examples, "words", "NFC")
    assert names.symbols == ("a", "ice cream", "\u00e9te")
    assert FrameTargets(names, "words", 1, 0)(examples[0], 1.0, 3) == [3, 2, 0]


def test_names_of_characters_are_written_without_spaces_between():
    characters = (Part("a", 0, 1), Part("b", 1, 2), Part(" ", 2, 3), Part("a", 3, 4))
    one = example(("ab", 0, 2), ("a", 3, 4), text="ab a", characters=characters)
    names = frame_names([one], "characters", "NFC")
    assert (names.symbols, names.decode([1, 2])) == (("a", "b"), "ab")
    assert FrameTargets(names, "characters", 1, 0)(one, 1.0, 4) == [1, 2, 0, 1]


def test_activity_is_one_label_for_all_words_or_characters():
    for one in (
        example(("a", 0, 1), ("b", 2, 3)),
        Example("one.wav", "a b", characters=(Part("a", 0, 1), Part(" ", 1, 2), Part("b", 2, 3))),
    ):
        names = frame_names([one], "activity", "NFC")
        assert names.symbols == (ACTIVE,)
    assert FrameTargets(names, "activity", 1, 0)(example(("x", 0, 1), ("y", 2, 3)), 1.0, 4) == [1, 0, 1, 0]
