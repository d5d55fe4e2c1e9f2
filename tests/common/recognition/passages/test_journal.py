import json
from dataclasses import replace

import pytest

from common.recognition.passages.journal import NAME, Journal, from_dict, to_dict
from common.text.document import Interval, Line, Passage, Point
from common.text.transcript import Alternative, Character, Transcript

SPOKEN = Transcript.from_characters(
    [Character("a", 0.1, 1 / 3, 0.5), Character(" ", 0.4, 0.5, 1.0), Character("ß", 0.5, 0.75, 0.123456789)],
    "talk.mp3",
    alternatives=[Alternative("b c", -12.5)],
    missing=0.25,
)
CUE = Passage(SPOKEN, Interval(12.3456789, 99.1))
LINE = Passage(
    replace(SPOKEN, unit="px"),
    Line((Point(0.5, 10), Point(20, 11.25)), 7.5, 2.125, (Point(0, 0), Point(20, 0), Point(10, 15))),
    region="r1",
    name="l7",
)


@pytest.mark.parametrize("passage", [CUE, LINE, Passage(Transcript("", 1.0, (), ()), Interval(0, 1))])
def test_a_passage_comes_back_as_it_was(passage):
    assert from_dict(json.loads(json.dumps(to_dict(passage)))) == passage


@pytest.fixture
def talk(tmp_path):
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"sound")
    return path


def kept(tmp_path, talk, settings="a", passages=(CUE, LINE)):
    journal = Journal(tmp_path, settings)
    for passage in passages:
        journal.add(str(talk), passage)
    return tmp_path / NAME


def test_passages_are_known_in_the_next_call_with_the_same_settings(tmp_path, talk):
    kept(tmp_path, talk)
    journal = Journal(tmp_path, "a", resume=True)
    assert journal.known(str(talk)) == [CUE, LINE]
    assert journal.count(str(talk)) == 2
    journal.add(str(talk), replace(CUE, name="third"))
    assert [one.name for one in Journal(tmp_path, "a", resume=True).known(str(talk))] == ["", "l7", "third"]


def test_without_resume_with_other_settings_or_another_file_nothing_is_known(tmp_path, talk, caplog):
    kept(tmp_path, talk)
    assert Journal(tmp_path, "a").count(str(talk)) == 0
    assert Journal(tmp_path, "b", resume=True).count(str(talk)) == 0
    assert "other settings" in caplog.text
    talk.write_bytes(b"another sound")
    assert Journal(tmp_path, "a", resume=True).count(str(talk)) == 0


def test_a_row_that_was_not_finished_is_left_out(tmp_path, talk):
    path = kept(tmp_path, talk)
    path.write_bytes(path.read_bytes()[:-20])
    assert Journal(tmp_path, "a", resume=True).known(str(talk)) == [CUE]


@pytest.mark.parametrize("content", ["", "no json\n", "[]\n", '{"settings": 1}\n{"source": 3}\n', "\x00\n"])
def test_a_damaged_file_is_not_used(tmp_path, talk, content):
    (tmp_path / NAME).write_text(content)
    assert Journal(tmp_path, "a", resume=True).count(str(talk)) == 0


def test_the_file_is_gone_when_all_its_sources_are_complete(tmp_path, talk):
    path = kept(tmp_path, talk)
    journal = Journal(tmp_path, "a", resume=True)
    assert journal.is_unfinished(str(talk))
    journal.finish()
    assert path.exists()
    journal.complete(str(talk))
    assert not journal.is_unfinished(str(talk))
    journal.finish()
    assert not path.exists()


def test_a_complete_source_is_left_out_and_one_that_changed_is_still_unfinished(tmp_path, talk):
    other = tmp_path / "other.mp3"
    other.write_bytes(b"more")
    journal = Journal(tmp_path, "a")
    journal.add(str(talk), CUE)
    journal.add(str(other), LINE)
    journal.complete(str(other))
    talk.write_bytes(b"mended")
    for settings in "ab":
        again = Journal(tmp_path, settings, resume=True)
        assert (again.is_unfinished(str(talk)), again.is_unfinished(str(other))) == (True, False)
        assert again.known(str(talk)) == again.known(str(other)) == []


def test_a_source_of_one_segment_or_without_a_file_is_not_kept(tmp_path, talk):
    path = kept(tmp_path, talk, passages=[replace(CUE, whole=True)])
    assert not path.exists()
    assert not kept(tmp_path, tmp_path / "none.mp3").exists()
