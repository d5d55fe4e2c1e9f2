"""Sentences are compared with those written by hand."""

from common.recognition.known_text.left_out import Extra, LeftOut, Unsaid


def test_nothing_left_out_is_not_spoken_of():
    assert list(LeftOut([], []).sentences()) == []


def test_long_parts_have_a_sentence_each_and_words_alone_share_one():
    paragraph = tuple(f"w{number}" for number in range(143))
    unsaid = [
        Unsaid(16, ("the",)),
        Unsaid(40, ("a", "b", "c")),
        Unsaid(811, paragraph),
        Unsaid(999, ("x", "y")),
    ]
    assert list(LeftOut(unsaid, []).sentences()) == [
        "words 41-43 of the text are not in the recording: 'a b c'",
        "words 812-954 of the text are not in the recording: 'w0 w1 w2 w3 ... w139 w140 w141 w142'",
        "3 words of the text are not in the recording: 17 'the', 1000 'x y'",
    ]
    assert list(LeftOut([Unsaid(16, ("the",))], []).sentences()) == [
        "1 word of the text is not in the recording: 17 'the'"
    ]


def test_sound_has_its_times_and_what_was_heard():
    extra = [Extra(1.2, 1.6, "EH"), Extra(751.2, 785.4, "IT WAS THE BEST"), Extra(3605, 3607.0, "NO")]
    assert list(LeftOut([], extra).sentences()) == [
        "12:31-13:05 is not in the text; heard: 'IT WAS THE BEST'",
        "1:00:05-1:00:07 is not in the text; heard: 'NO'",
        "1 short sound is not in the text, at 0:01",
    ]
    short = [Extra(1.0, 1.5, "A"), Extra(61.0, 61.25, "B")]
    assert list(LeftOut([], short).sentences()) == [
        "2 short sounds, 0.8 s in all, are not in the text, at 0:01, 1:01"
    ]
