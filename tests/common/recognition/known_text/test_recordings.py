"""Recordings are made of samples that name letters, which a recognizer without a network reads off."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from command import call
from untrained import RATE_HZ, recognizer_of, signals_of

from common.data.signal import Segment, Segmentation, Signal
from common.decoding.decoder import Decoder
from common.recognition.known_text.aligner import Aligner
from common.recognition.transcriber import LogProbs
from common.text.document import Interval
from common.text.symbols import Alphabet

CAPITALS = Alphabet((" ", "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
STEP = 120
"""samples of a letter"""
SAID = "SEASHORES AND MOUNTAINS-ARE LOVELIER THAN GARDENS-WHERE NOTHING GROWS"
"""three passages"""


def cut(source, config, segmentation, model):
    """Return the segments of a file: its letters between two minus signs."""
    samples, _ = soundfile.read(source, dtype="float32")
    labels = np.rint(100 * samples[::STEP]).astype(int).tolist()
    edges = [-1, *(place for place, label in enumerate(labels) if label == 99), len(labels)]
    segments = []
    for before, after in pairwise(edges):
        values = samples[STEP * (before + 1) : STEP * after]
        place = Interval(STEP * (before + 1) / RATE_HZ, STEP * after / RATE_HZ)
        segments.append(Segment(Signal(values, 1 / RATE_HZ), place, whole=len(edges) == 2))
    return Segmentation(segments)


def read(signals):
    """Return log-probabilities in which the letter of each step has 0.99."""
    paths = [np.rint(100 * values[::STEP]).astype(int) for values in signals]
    rows = np.full((len(signals), max(map(len, paths)), CAPITALS.classes), 0.01 / (CAPITALS.classes - 1))
    for row, path in zip(rows, paths, strict=True):
        row[np.arange(len(path)), path] = 0.99
    return LogProbs(np.log(rows).astype(np.float32), np.array([len(path) for path in paths]))


def record(said: str, path) -> str:
    labels = [99 if one == "-" else CAPITALS.labels[one] for one in said]
    samples = np.repeat(np.array(labels, np.float32) / 100, STEP)
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    return str(path)


@pytest.fixture
def recognizer(monkeypatch):
    made = recognizer_of("asr")
    made.modality, made.alphabet = replace(made.modality, segment=cut), CAPITALS
    made.decoder = Decoder(CAPITALS)
    monkeypatch.setattr(type(made), "stride", STEP)
    monkeypatch.setattr(type(made), "offset", 0.0)
    monkeypatch.setattr(made, "log_probs", read)
    return made


def test_segments_of_many_recordings_come_together_in_order(recognizer, tmp_path):
    sources = [record(SAID, tmp_path / f"{number}.wav") for number in range(3)]
    texts = [
        "Seashores and mountains are lovelier",
        SAID.replace("-", " "),
        "Mountains are lovelier where nothing grows.",
    ]
    refused: list[str] = []
    found = list(
        Aligner(recognizer).align_recordings(sources, texts, batch_budget=2, window=2, refuse=refused.append)
    )
    assert [one.document.source for one in found] == sources
    assert refused == []
    assert [one.document.text for one in found] == texts
    assert found[0].left_out.unsaid == []
    assert [one.text for one in found[0].left_out.extra] == ["THAN GARDENS WHERE NOTHING GROWS"]


def test_a_source_of_one_segment_is_aligned_as_ever(recognizer, tmp_path):
    source, text = record("SEASHORES", tmp_path / "a.wav"), "MOUNTAINS"  # which is not what is said
    (segment,) = cut(source, None, None, None).segments
    recognizer.modality = replace(recognizer.modality, read=lambda *_: segment.signal)
    (found,) = Aligner(recognizer).align_recordings([source], [text])
    assert list(found.document.transcripts) == list(Aligner(recognizer).align([source], [text]))
    assert found.document.is_whole
    assert found.left_out == ([], [])


def test_lines_on_paper_are_never_cut_and_wrong_letters_are_refused():
    lines = recognizer_of("ocr")
    lines.modality = replace(lines.modality, segment=cut)
    signal = signals_of("ocr")[1]
    (found,) = Aligner(lines).align_recordings([signal], ["abc"])
    assert list(found.document.transcripts) == list(Aligner(lines).align([signal], ["abc"]))
    with pytest.raises(ValueError, match="'X', not in the alphabet"):
        list(Aligner(lines).align_recordings([signal], ["abcX"]))


def test_a_text_of_which_no_letter_is_known_is_refused(recognizer, tmp_path):
    source = record(SAID, tmp_path / "a.wav")
    refused: list[str] = []
    texts = ["1852", "", "QUICK FOX"]
    assert list(Aligner(recognizer).align_recordings([source] * 3, texts, refuse=refused.append)) == []
    assert "a.wav: its text has '1', '8', '5', '2', not in the alphabet" in refused[0]
    assert "a.wav: its text has no words" in refused[1]
    assert "a.wav: of the 2 words of the text nothing can be found" in refused[2]


def test_the_command_writes_subtitles_and_says_what_is_left_out(recognizer, tmp_path, monkeypatch):
    monkeypatch.setattr("common.commands.align.load_recognizer", lambda *_: recognizer)
    source, text = record(SAID, tmp_path / "a.wav"), tmp_path / "a.txt"
    text.write_text("By an unknown author.\nSeashores and mountains\nare lovelier than gardens.\n")
    outcome = call(recognizer.modality, "align", source, "--text-file", text, "-f", "srt")
    assert outcome.status == 0
    assert outcome.out == (
        "1\n00:00:00,000 --> 00:00:00,637\nSeashores and mountains\n\n"
        "2\n00:00:00,720 --> 00:00:02,020\nare lovelier than gardens.\n\n"
    )
    assert outcome.err.splitlines() == [
        f"asr: {source}: words 1-4 of the text are not in the recording: 'By an unknown author.'",
        f"asr: {source}: 1 short sound is not in the text, at 0:02",
    ]
    outcome = call(recognizer.modality, "align", source, "--text", "quick fox")
    assert outcome.status == 1
    assert "nothing can be found in the recording" in outcome.err.splitlines()[0]
