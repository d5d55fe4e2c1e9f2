"""Spoken tones: each letter has its sound, words are at their positions, and a seed gives the same corpus."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr.corpora import CorpusConfig, read_corpus
from asr.signal import SignalConfig, read
from asr.synthesis import TONES_LETTERS, draw_speaker, say_tones, write_spoken_tones

CONFIG = CorpusConfig()


def test_every_letter_of_the_tones_has_its_own_sound() -> None:
    heard = {}
    for letter in TONES_LETTERS:
        rng = np.random.default_rng(0)
        speaker = draw_speaker("one", rng)._replace(letter_s=0.5, brightness=1)
        tones = say_tones(letter, speaker, rng)
        _, start, end = tones.words[0]
        middle = tones.samples[int(16_000 * start) + 1000 : int(16_000 * end) - 1000]
        power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
        bins_hz = np.fft.rfftfreq(len(middle), 1 / 16_000) / speaker.pitch
        low, high = ((bins_hz > 250) & (bins_hz < 1000)), (bins_hz > 1000) & (bins_hz < 2700)
        strongest_hz = [bins_hz[band][power[band].argmax()] for band in (low, high)]
        heard[letter] = tuple(strongest_hz)
    letters = list(heard)
    for index, first in enumerate(letters):
        for second in letters[:index]:
            ratios = [max(a / b, b / a) for a, b in zip(heard[first], heard[second], strict=True)]
            assert max(ratios) > 1.2, (first, second)


def test_words_are_where_the_tones_say_they_are() -> None:
    rng = np.random.default_rng(1)
    tones = say_tones("bad  cab", draw_speaker("one", rng), rng)
    assert [word for word, _, _ in tones.words] == ["bad", "cab"]
    inside = np.zeros(len(tones.samples), bool)
    for _, start, end in tones.words:
        inside[round(16_000 * start) : round(16_000 * end)] = True
    assert np.std(tones.samples[inside]) > 3 * np.std(tones.samples[~inside])
    assert np.abs(tones.samples).max() < 1


def test_letters_are_where_the_tones_say_they_are() -> None:
    """The middle of each letter has its low tone, and the letters of a word cover the word."""
    rng = np.random.default_rng(1)
    speaker = draw_speaker("one", rng)._replace(letter_s=0.2, brightness=0.5)
    tones = say_tones("at  tab", speaker, rng)
    assert "".join(letter for letter, _, _ in tones.characters) == "attab"
    for letter, start, end in tones.characters:
        middle = tones.samples[round(16_000 * (start + 0.04)) :][:1600]
        assert end - start > 0.14
        heard_hz = 10 * np.abs(np.fft.rfft(middle * np.hanning(1600))).argmax() / speaker.pitch
        assert heard_hz == pytest.approx({"a": 300, "b": 390, "t": 860}[letter], rel=0.06)
    places = [place for _, start, end in tones.characters for place in (start, end)]
    assert places == sorted(places)
    edges = [(tones.characters[first][1], tones.characters[last][2]) for first, last in ((0, 1), (2, 4))]
    assert edges == [(start, end) for _, start, end in tones.words]


def test_what_has_no_tones_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"'bad zoo' has \['z'\]"):
        say_tones("bad zoo", draw_speaker("one", rng), rng)
    with pytest.raises(ValueError, match="has no words"):
        say_tones(" ", draw_speaker("one", rng), rng)
    with pytest.raises(ValueError, match="count is 0"):
        write_spoken_tones(Path("nowhere"), 0, 1)


def test_the_command_writes_a_corpus_that_is_read_without_a_problem(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asr.synthesis", "tones"]
    subprocess.run([*command, str(tmp_path / "a"), "--count", "12", "--seed", "3"], check=True)
    write_spoken_tones(tmp_path / "b", 12, 3)
    speakers = {}
    for split, count in (("train", 12), ("dev", 2)):
        corpus = read_corpus(str(tmp_path / "a" / f"{split}.jsonl"), CONFIG)
        assert not corpus.problems
        assert len(corpus.examples) == count
        for example in corpus.examples:
            values = read(example.source, SignalConfig()).values
            assert example.length is not None
            assert 1 <= example.length <= 2.5
            assert len(values) == pytest.approx(16_000 * example.length, abs=2)
            assert set(example.text or "") <= {*TONES_LETTERS, " "}
            again = Path(example.source.replace(f"{tmp_path}/a/", f"{tmp_path}/b/"))
            assert again.read_bytes() == Path(example.source).read_bytes()
        speakers[split] = {example.speaker for example in corpus.examples}
        first = json.loads((tmp_path / "a" / f"{split}.jsonl").read_text().splitlines()[0])
        assert " ".join(word for word, _, _ in first["words"]) == first["text"]
    assert not speakers["train"] & speakers["dev"]


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asr.synthesis", "tones", str(tmp_path), "--count", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "count is 0" in done.stderr
    assert "Traceback" not in done.stderr
