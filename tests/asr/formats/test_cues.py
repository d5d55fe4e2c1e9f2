import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.configuration import SubtitleConfig
from asr.formats.cues import CHARACTERS_PER_S, GAP_S, LONGEST_S, SHORTEST_S, cues_of
from common.text.document import Document, Interval, Passage
from common.text.transcript import Transcript, Word


def spoken(*words: tuple[str, float, float], offset_s: float = 0.0) -> Document:
    """Return a recording of words with their start and end, in a passage that begins at `offset_s`."""
    found = tuple(Word(text, start - offset_s, end - offset_s, 0.9) for text, start, end in words)
    passage = Passage(Transcript("", 0.9, found, ()), Interval(offset_s, 9999.0))
    return Document("a.wav", (passage,))


def at_pace(text: str, word_s: float = 0.4, start_s: float = 0.0) -> Document:
    """Return words of equal length that follow each other; "|" is a pause of a second."""
    words, time = [], start_s
    for word in text.split():
        if word == "|":
            time += 1.0
            continue
        words.append((word, time, time + word_s))
        time += word_s
    return spoken(*words)


WORDS = st.tuples(
    st.text(st.characters(categories=("L", "P")), min_size=1, max_size=14),
    st.floats(0.1, 1.5),
    st.floats(0, 3),
)


@st.composite
def documents(draw):
    time, words = draw(st.floats(0, 5)), []
    for text, length, pause in draw(st.lists(WORDS, max_size=60)):
        words.append((text, time, time + length))
        time += length + (pause if pause > 0.5 else 0.0)
    return spoken(*words)


CONFIGS = st.builds(
    SubtitleConfig,
    max_line_width=st.integers(10, 50),
    max_line_count=st.integers(1, 3),
    max_words_per_line=st.integers(0, 5),
)


@given(documents(), CONFIGS)
def test_rules_hold_for_whatever_is_said(document, config):
    """What always holds: order, every word once and in time, widths, counts, longest duration, gaps."""
    cues = cues_of(document, config)
    said = document.passages[0].transcript.words
    shown = [word for cue in cues for word in cue.words]
    assert [word.text for word in shown] == [word.text for word in said]
    for cue in cues:
        assert cue.start_s == cue.words[0].start_s
        assert 0 < cue.end_s - cue.start_s <= LONGEST_S + 1e-9
        assert len(cue.lines) <= config.max_line_count
        for line in cue.lines:
            assert len(line) == 1 or len(" ".join(word.text for word in line)) <= config.max_line_width
            assert len(line) <= (config.max_words_per_line or len(line))
    for cue, after in itertools.pairwise(cues):
        assert cue.end_s <= after.start_s - GAP_S + 1e-9
        room = after.start_s - GAP_S - cue.start_s
        length = len(cue.text)
        wanted = min(max(SHORTEST_S, length / CHARACTERS_PER_S), LONGEST_S)
        assert cue.end_s - cue.start_s >= min(room, wanted) - 1e-9  # as long as it takes, where there is room


def texts(document: Document, phrases: tuple[str, ...] = (), **settings: object) -> list[str]:
    return [cue.text for cue in cues_of(document, SubtitleConfig(**settings), phrases)]


def test_cues_end_with_sentences_and_in_pauses():
    said = at_pace("He came home. He was tired | and went to bed")
    assert texts(said) == ["He came home.", "He was tired", "and went to bed"]


def test_lines_are_broken_after_clauses_and_before_prepositions():
    (only,) = texts(at_pace("the old man with the grey hat of his brother sat there", 0.3))
    _, second = only.split("\n")
    assert second.split()[0] in ("of", "with")
    (only,) = texts(at_pace("when it rained heavily, the old man stayed at home", 0.3))
    assert only.split("\n")[0] == "when it rained heavily,"


def test_names_stay_on_one_line():
    said = at_pace("she said that the famous doctor Anna Maria Luisa was there again", 0.3)
    for width in range(18, 43):
        lines = [
            line
            for text in texts(said, ("anna maria luisa",), max_line_width=width)
            for line in text.split("\n")
        ]
        assert any("Anna Maria Luisa" in line for line in lines), width


@pytest.mark.parametrize(("case", "wanted"), [
    ("keep", "I'M HOME. YOU"), ("lower", "i'm home. you"), ("sentence", "I'm home. You"),
])  # fmt: skip
def test_letters_are_changed_where_that_is_wanted(case, wanted):
    assert " ".join(texts(at_pace("I'M HOME. YOU"), case=case)) == wanted
    assert " ".join(texts(at_pace("AND THEN I"), case="sentence")) == "And then I"


def test_times_count_from_the_start_of_the_recording():
    document = spoken(("one", 100.0, 100.5), ("two", 100.5, 101.0), offset_s=90.0)
    (cue,) = cues_of(document, SubtitleConfig())
    assert cue.start_s == 100.0
    assert [word.start_s for word in cue.words] == [100.0, 100.5]


def test_a_short_word_is_shown_for_five_sixths_of_a_second_and_then_goes():
    first, second = cues_of(spoken(("no", 1.0, 1.2), ("yes", 9.0, 9.3)), SubtitleConfig())
    assert (first.start_s, first.end_s) == (1.0, pytest.approx(1.0 + SHORTEST_S))
    assert second.end_s == pytest.approx(9.0 + SHORTEST_S)


def test_a_recording_without_words_has_no_cues():
    assert cues_of(Document("a.wav", ()), SubtitleConfig()) == []
    assert cues_of(spoken(), SubtitleConfig()) == []


def test_settings_that_leave_no_room_are_refused():
    for setting in ("max_line_width", "max_line_count"):
        with pytest.raises(ValueError, match=f"{setting} 0"):
            SubtitleConfig(**{setting: 0})


def test_a_cue_ends_with_a_paragraph_of_a_known_text_and_not_with_other_passages():
    def passage(start_s: float, words: str, region: str) -> Passage:
        found = tuple(Word(word, 0.4 * n, 0.4 * n + 0.4, 0.9) for n, word in enumerate(words.split()))
        return Passage(Transcript("", 0.9, found, ()), Interval(start_s, start_s + 0.8), region=region)

    for regions, shown in [(("1", "2"), ["one two", "red blue"]), (("", ""), ["one two red blue"])]:
        document = Document(
            "a.wav", (passage(1, "one two", regions[0]), passage(1.8, "red blue", regions[1]))
        )
        assert [cue.text for cue in cues_of(document, SubtitleConfig())] == shown
