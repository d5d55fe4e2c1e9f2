import pytest
from command import call

from asr.configuration import SubtitleConfig
from asr.formats.subtitles import to_lrc, to_srt, to_vtt
from asr.modality import ASR
from common.text.document import Document, Interval, Passage
from common.text.transcript import Transcript, Word

WORDS = (
    Word("Go", 3661.5, 3661.75, 0.9),
    Word("on", 3661.75, 3662.0, 0.9),
    Word("<b>&", 3671.0, 3672.5, 0.9),
)
DOCUMENT = Document("a.wav", (Passage(Transcript("", 0.9, WORDS, ()), Interval(0.0, 4000.0), whole=True),))
PLAIN, MARKED = SubtitleConfig(), SubtitleConfig(highlight_words=True)


def test_srt_numbers_its_cues_and_has_commas_in_times():
    assert to_srt(DOCUMENT, PLAIN) == (
        "1\n01:01:01,500 --> 01:01:02,333\nGo on\n\n2\n01:01:11,000 --> 01:01:12,500\n<b>&\n\n"
    )


def test_vtt_has_a_header_and_escapes_what_would_be_a_tag():
    assert to_vtt(DOCUMENT, PLAIN) == (
        "WEBVTT\n\n01:01:01.500 --> 01:01:02.333\nGo on\n\n01:01:11.000 --> 01:01:12.500\n&lt;b&gt;&amp;\n"
    )


def test_words_are_highlighted_while_they_are_spoken():
    assert to_srt(DOCUMENT, MARKED).split("\n\n")[:2] == [
        "1\n01:01:01,500 --> 01:01:01,750\n<u>Go</u> on",
        "2\n01:01:01,750 --> 01:01:02,333\nGo <u>on</u>",
    ]
    assert "<01:01:01.500><c>Go</c> <01:01:01.750><c>on</c>\n" in to_vtt(DOCUMENT, MARKED)


def test_lrc_counts_minutes_and_hundredths():
    assert to_lrc(DOCUMENT, PLAIN) == "[61:01.50]Go on\n[61:11.00]<b>&\n"


def test_nothing_said_is_an_empty_file_or_a_header():
    empty = Document("a.wav", ())
    assert (to_srt(empty, PLAIN), to_lrc(empty, PLAIN)) == ("", "")
    assert to_vtt(empty, PLAIN) == "WEBVTT\n"


@pytest.mark.parametrize(("flag", "value"), [("--max-line-width", "0"), ("--max-words-per-line", "-1")])
def test_flags_that_leave_no_room_are_refused(flag, value):
    done = call(ASR, "transcribe", "a.wav", "-f", "srt", flag, value)
    assert done.status == 2
    assert "numbers from 1" in done.err
