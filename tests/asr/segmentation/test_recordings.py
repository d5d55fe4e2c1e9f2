"""Recordings whose sound is known to the sample: each step of STEP samples has the level of a letter."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from untrained import recognizer_of

from asr.configuration import SegmentationConfig
from asr.segmentation.activity import AssumedActivity
from asr.segmentation.recordings import segment
from asr.signal import SignalConfig
from common.recognition.modality import ModelSteps
from common.recognition.transcriber import LogProbs
from common.text.symbols import Alphabet

RATE_HZ, STEP = 1000, 30
LETTERS = Alphabet(tuple(" abcdefghijklmnopqrstuvwxyz"))
CONFIG = SignalConfig(sample_rate_hz=RATE_HZ)
SHORT = SegmentationConfig(vad_max_speech_duration_s=6, vad_min_silence_duration_ms=600)


class Level:
    """Takes all that is not digital silence for speech."""

    step_s = 0.02

    def __init__(self, rate_hz):
        self._size, self._rest = round(self.step_s * rate_hz), np.zeros(0)

    def feed(self, samples):
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // self._size
        self._rest = samples[count * self._size :]
        return (np.abs(samples[: count * self._size].reshape(count, -1)) > 0).any(1).astype(float)

    def finish(self):
        return np.zeros(0)


def record(text, path, **options):
    """Write a recording in which each letter takes three steps and a space one; "_" is a step of silence."""
    steps = [label for one in text for label in ([0] if one == "_" else _steps(one))]
    samples = np.repeat(np.array(steps, np.float32) / 100, STEP)
    soundfile.write(path, samples, RATE_HZ, **({"subtype": "FLOAT"} | options))
    return samples


def _steps(letter):
    label = LETTERS.labels[letter]
    return [label] if letter == " " else [99, label, 99]  # 99: sound, in which the network finds a blank


def read(signals):
    """Return log-probabilities in which the letter of each step has 0.99."""
    paths = [
        np.rint(100 * values[: len(values) // STEP * STEP : STEP]).astype(int) % 99 for values in signals
    ]
    rows = np.full((len(signals), max(map(len, paths)), LETTERS.classes), 0.01 / (LETTERS.classes - 1))
    for row, path in zip(rows, paths, strict=True):
        row[np.arange(len(path)), path] = 0.99
    return LogProbs(np.log(rows).astype(np.float32), np.array([len(path) for path in paths]))


def cut(path, config=SHORT, task="ctc", stride=STEP, listen=Level):
    return segment(str(path), CONFIG, config, ModelSteps(task, stride), listen)


@pytest.fixture
def recognizer(monkeypatch):
    made = recognizer_of("asr")
    made.modality = replace(
        made.modality, segment=lambda source, _, config, model: segment(source, CONFIG, config, model, Level)
    )
    made.alphabet, made.segmentation_config = LETTERS, SHORT
    made.decoder = type(made.decoder)(LETTERS)
    monkeypatch.setattr(type(made), "signal_config", property(lambda _: CONFIG))
    monkeypatch.setattr(type(made), "stride", STEP)
    monkeypatch.setattr(type(made), "offset", 0.0)
    monkeypatch.setattr(made, "compute", read)
    return made


def spoken(words, seed=1):
    """Return a text of so many random words."""
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list("abcdefghij"), rng.integers(1, 9))) for _ in range(words))


def test_a_short_recording_is_one_segment(tmp_path):
    record(spoken(5), tmp_path / "a.wav")
    (one,) = cut(tmp_path / "a.wav").segments
    assert one.whole


def test_segments_and_what_is_left_out_are_the_whole_recording(tmp_path):
    text = spoken(20) + 60 * "_" + spoken(30, 2) + 5 * "_" + spoken(40, 3)
    samples = record(text, tmp_path / "a.wav")
    covered = np.zeros(len(samples), int)
    for one in cut(tmp_path / "a.wav").segments:
        first = round(one.place.start * RATE_HZ) - one.before
        values = one.signal.values
        assert np.array_equal(values, samples[first : first + len(values)])
        covered[first + one.before : first + len(values) - one.after] += 1
    assert covered.max() == 1
    assert not samples[covered == 0].any()


def test_windows_without_a_pause_share_the_steps_of_the_network(tmp_path):
    record(spoken(120), tmp_path / "a.wav")
    segments = list(cut(tmp_path / "a.wav").segments)
    assert [one.goes_on for one in segments] == [True] * (len(segments) - 1) + [False]
    origin = segments[0].place.start
    for one, after in pairwise(segments):
        assert one.place.end == after.place.start
        assert round((one.place.end - origin) * RATE_HZ) % STEP == 0
        assert after.before % STEP == 0
        assert one.after > 0
        assert after.before > 0


@pytest.mark.parametrize("pauses", ["no pause", "silences"])
@pytest.mark.parametrize("vad", ["activity", "none"])
def test_no_word_is_doubled_or_lost_and_times_stay_true(recognizer, tmp_path, pauses, vad):
    text = spoken(150)
    if pauses == "silences":
        rng = np.random.default_rng(4)
        text = "".join(
            one + rng.choice(["", "_" * 3, "_" * 12, "_" * 90]) if one == " " else one for one in text
        )
    record(text, tmp_path / "a.wav")
    recognizer.segmentation_config = replace(SHORT, vad=vad)
    (document,) = recognizer.documents([str(tmp_path / "a.wav")])
    assert " ".join(document.text.split()) == " ".join(text.replace("_", "").split())
    assert len(document.passages) > 1 or vad == "none" or pauses == "no pause"
    places, reached = [], 0
    for one in text:  # where each letter is, in steps
        if one not in " _":
            places.append(reached + 1)
        reached += 1 if one in " _" else 3
    found = [
        (passage.place.start + character.start, passage.place.start + character.end)
        for passage in document.passages
        for character in passage.transcript.characters
        if not character.text.isspace()
    ]
    for place, (start, end) in zip(places, found, strict=True):
        assert start - 0.02 <= place * STEP / RATE_HZ <= end + 0.02


@pytest.mark.filterwarnings("ignore:.*is silent")
def test_in_silence_nothing_is_found(recognizer, tmp_path):
    record(600 * "_", tmp_path / "a.wav")
    (document,) = recognizer.documents([str(tmp_path / "a.wav")])
    assert document.passages == ()


def test_passages_come_before_the_recording_is_read_to_its_end(recognizer, tmp_path):
    record((spoken(6) + 40 * "_") * 40, tmp_path / "a.wav")
    arrivals = recognizer.passages([str(tmp_path / "a.wav")], batch_budget=1)
    first = next(arrivals)
    assert not first.last
    assert [one.last for one in arrivals] == [False] * 38 + [True]


def test_passages_that_are_known_are_left_out(recognizer, tmp_path):
    record((spoken(60) + 40 * "_") * 6, tmp_path / "a.wav")
    path = str(tmp_path / "a.wav")
    whole = [one.passage for one in recognizer.passages([path])]
    assert len(whole) == 6
    for known in (2, 6):
        rest = [one.passage for one in recognizer.passages([path], done={path: known}.__getitem__)]
        assert [one for one in rest if one is not None] == whole[known:]


def test_a_damaged_recording_is_transcribed_up_to_there_and_named(recognizer, tmp_path):
    text = (spoken(6) + 40 * "_") * 60
    record(text, tmp_path / "a.flac", subtype="PCM_24")
    content = bytearray((tmp_path / "a.flac").read_bytes())
    (tmp_path / "a.flac").write_bytes(content[: len(content) * 3 // 4])
    refused = []
    (document,) = recognizer.documents([str(tmp_path / "a.flac")], refuse=refused.append)
    assert not document.complete
    assert 20 < len(document.passages) < 60
    (sentence,) = refused
    assert "s before that are transcribed" in sentence
    with pytest.raises(ValueError, match="are transcribed"):
        list(recognizer.documents([str(tmp_path / "a.flac")]))


def test_an_open_file_is_cut_like_a_named_one(recognizer, tmp_path):
    record((spoken(6) + 40 * "_") * 9, tmp_path / "a.wav")
    (named,) = recognizer.documents([str(tmp_path / "a.wav")])
    with (tmp_path / "a.wav").open("rb") as file:
        (opened,) = recognizer.documents([file])
    assert opened.passages == named.passages


def test_a_model_with_one_label_for_all_reads_the_whole(tmp_path):
    record(spoken(150), tmp_path / "a.wav")
    (one,) = cut(tmp_path / "a.wav", task="classify", stride=None).segments
    assert one.whole


def test_samples_beyond_full_scale_are_made_softer(tmp_path):
    samples = np.tile(np.array([3.0, -2.0, 0.5], np.float32), 4000)
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ, subtype="FLOAT")
    for one in cut(tmp_path / "a.wav", listen=AssumedActivity).segments:
        assert one.signal.values.max() == pytest.approx(1)


def test_assumed_activity_is_speech_and_least_where_it_is_quiet():
    activity, samples = AssumedActivity(1000), np.ones(4000, np.float32)
    samples[2000:2040] = 0
    found = np.concatenate([activity.feed(samples[:777]), activity.feed(samples[777:]), activity.finish()])
    assert len(found) == 100
    assert found.argmin() == 50
    assert found.min() >= 0.9
