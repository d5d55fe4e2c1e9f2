"""The truth of these tests is where a sound was put by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conversations import Conversations, Studio, recordings
from readings import loudness, reading_of, runs_of
from sounds import RATE_HZ, coloured, joined, knocks, music, scaled, swelling

from asr.corpora import CorpusConfig, read_corpus
from common.data.manifest import Part

LOUD_DB, SILENT_DB = -20.0, -80.0


def levels(*loud: tuple[float, float], seconds: float = 4.0) -> np.ndarray:
    found = np.full(round(100 * seconds), SILENT_DB)
    for start, end in loud:
        found[round(100 * start) : round(100 * end)] = LOUD_DB
    return found


def words(*places: tuple[float, float]) -> tuple[Part, ...]:
    return tuple(Part(f"W{number}", *place) for number, place in enumerate(places))


def test_words_with_short_gaps_are_one_run_and_a_pause_ends_it():
    found = runs_of(words((0.5, 1.0), (1.15, 1.5), (2.0, 2.5)), levels((0.5, 1.5), (2.0, 2.5)))
    assert found == [Part("W0 W1", 0.5, 1.5), Part("W2", 2.0, 2.5)]


def test_the_edges_of_a_run_move_to_the_sound():
    (wide,) = runs_of(words((0.9, 2.1)), levels((1.0, 2.0)))
    (narrow,) = runs_of(words((1.1, 1.9)), levels((1.0, 2.0)))
    assert wide == narrow == Part("W0", 1.0, 2.0)


def test_an_edge_moves_by_fifteen_hundredths_of_a_second_at_most():
    (far,) = runs_of(words((0.5, 2.5)), levels((1.0, 2.0)))
    assert far == Part("W0", 0.65, 2.35)


def test_the_level_of_frames_is_that_of_a_sine():
    sine = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ)
    np.testing.assert_allclose(loudness(sine), -23.01, atol=0.01)


@pytest.mark.parametrize("make", [coloured, swelling, knocks, music])
def test_a_drawn_sound_has_its_size_is_finite_and_follows_from_the_seed(make):
    one, two, other = (make(30_000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (30_000,) and np.isfinite(one).all() and one.std() > 0
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_joined_parts_keep_their_power():
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(RATE_HZ // 2) for _ in range(5)]
    assert np.std(joined(parts, 5 * RATE_HZ, rng)) == pytest.approx(1, abs=0.03)


def test_a_scaled_sound_has_its_level_and_silence_stays():
    assert np.sqrt(
        np.mean(scaled(np.random.default_rng(0).standard_normal(999), -20.0) ** 2)
    ) == pytest.approx(0.1)
    assert not scaled(np.zeros(9), -20.0).any()


@pytest.fixture
def readings(tmp_path):
    """Two recordings in which tones stand for words, between faint noise."""
    rng, rows = np.random.default_rng(3), []
    for name in ("one", "two"):
        samples = 1e-4 * rng.standard_normal(4 * RATE_HZ)
        for start, end in ((0.5, 1.5), (2.5, 3.5)):
            time = np.arange(round(start * RATE_HZ), round(end * RATE_HZ))
            samples[time] += 0.3 * np.sin(2 * np.pi * 440 * time / RATE_HZ)
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE_HZ)
        spoken = [["A", 0.5, 1.5], ["B", 2.5, 3.5]]
        rows.append({"source": f"{name}.wav", "text": "A B", "speaker": name, "words": spoken})
    (tmp_path / "aligned.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(tmp_path / "aligned.jsonl")


def test_the_pauses_of_a_reading_are_silent(readings):
    (example, _) = read_corpus(readings, CorpusConfig()).examples
    pauses = reading_of(example).pauses
    assert [round(len(pause) / RATE_HZ, 2) for pause in pauses] == [0.45, 0.85, 0.4]
    assert all(np.abs(pause).max() < 0.01 for pause in pauses)


def test_the_runs_of_a_clean_recording_are_where_the_tones_are(readings):
    command = Conversations(readings, Path("unused"), conditions=("clean",), hours=0.01, level_db=(-20, -20))
    studio = Studio(command)
    studio.room = lambda sound: sound
    found = list(recordings(studio))
    assert len(found) > 1
    for _, samples, runs in found:
        heard = loudness(samples) > -30
        told = np.zeros(len(heard), bool)
        for run in runs:
            told[round(100 * run.start) : round(100 * run.end)] = True
        assert (heard == told).mean() > 0.98


def test_without_speech_there_are_no_runs_and_the_same_seed_gives_the_same(readings):
    command = Conversations(readings, Path("unused"), conditions=("none",), hours=0.01, seed=5)
    first, second = (list(recordings(Studio(command))) for _ in range(2))
    assert all(runs == [] for _, _, runs in first)
    for (_, one, _), (_, two, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_readings_without_positions_of_words_are_refused(tmp_path):
    soundfile.write(tmp_path / "one.wav", np.zeros(RATE_HZ), RATE_HZ)
    manifest = tmp_path / "plain.jsonl"
    manifest.write_text('{"source": "one.wav", "text": "A"}\n')
    with pytest.raises(ValueError, match="has no positions of words; write them with `asr align`"):
        Studio(Conversations(str(manifest), Path("unused")))
