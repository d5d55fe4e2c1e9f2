"""The notes of a training are compared with its plan, and the figures of notes with sums by hand."""

import json
import math

import gpu_training
import pytest
import torch
from command import call
from gpu_data import draw_data
from gpu_notes import read_notes
from gpu_training import note_to, train_bare, watch

from common.data.batching import BatchLoader
from common.recognition.recognizer import Recognizer
from ocr.modality import OCR

TINY = ("--channels", *"4444", "--hidden-size", 8, "--layers", 2, "--height-px", 16, "--device", "cpu")


@pytest.mark.parametrize("mode", ["called", "held", "waiting"])
def test_every_example_of_an_epoch_is_noted_between_its_start_and_its_end(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(BatchLoader, "batches", BatchLoader.batches)  # is put back after the test
    monkeypatch.setattr(gpu_training, "WAIT_S", 0.001)
    draw_data(tmp_path, 5, 2, sides="ocr")
    path, held = tmp_path / "notes", []
    note = note_to(path)
    watch(note, mode, held)
    lines, run = tmp_path / "lines", tmp_path / "run"
    flags = [lines / "train", lines / "dev", "--run", run, *TINY, "--epochs", 2, "--batch-budget", 40]
    assert call(OCR, "train", *flags).status == 0
    notes = [json.loads(line) for line in path.read_text().splitlines()]
    order = [one["event"] for one in notes if one["event"] != "batch"]
    assert order == 2 * ["start", "end", "dev start", "dev end"]
    for epoch in range(2):
        batches = [one for one in notes if one["event"] == "batch" and one["epoch"] == epoch]
        assert len(batches) == 3  # two of the five lines fit into 40 line heights
        assert sum(one["examples"] for one in batches) == 5
    assert sum(len(batch.sources) for batch in held) == (5 if mode == "held" else 0)
    if mode == "held":
        recognizer = Recognizer.load(OCR, run / "best.safetensors")
        train_bare(note, recognizer, held, torch.device("cpu"))
        found = read_notes(path)
        assert found.bare_rate > 0 and math.isfinite(found.bare_loss)


def noted(*rows: tuple) -> str:
    names = ("event", "at", "epoch", "examples")
    return "".join(json.dumps(dict(zip(names, row, strict=False))) + "\n" for row in rows)


FIRST = (
    *(("start", 0.0, 0), ("batch", 1.0, 0, 10), ("end", 5.0, 0)),
    *(("dev start", 5.0, 0), ("dev end", 7.0, 0)),
)
SECOND = (
    *(("start", 10.0, 1), ("batch", 11.0, 1, 6), ("batch", 12.0, 1, 4), ("end", 14.0, 1)),
    *(("dev start", 14.0, 0), ("dev end", 15.0, 0)),
)


def test_rates_are_those_of_the_second_epoch(tmp_path):
    path = tmp_path / "notes"
    path.write_text(
        noted(*FIRST, *SECOND)
        + '{"event": "memory", "at": 16, "host": 7, "device": 8}\n'
        + '{"event": "bare start", "at": 20, "epoch": 1}\n'
        + '{"event": "bare end", "at": 25, "epoch": 1, "examples": 10, "loss": 3.5}\n'
    )
    found = read_notes(path)
    assert (found.rate, found.rate_text) == (2.5, "2.5")
    assert (found.batches, found.examples, found.seconds) == (2, 10, 4.0)
    assert found.dev_share == 0.25
    assert (found.bare_rate, found.bare_loss, found.host_bytes, found.device_bytes) == (2.0, 3.5, 7, 8)


def test_a_run_that_was_stopped_says_so(tmp_path):
    path = tmp_path / "notes"
    path.write_text(noted(*FIRST, *SECOND[:2]))
    assert read_notes(path)[:2] == (6.0, "6.0, cut")
    assert read_notes(path).dev_share == 0
    path.write_text(noted(*FIRST[:2]))
    assert read_notes(path).rate_text == "10.0 in epoch 1, cut"
    path.write_text("")
    assert read_notes(path)[:2] == (0.0, "-")
