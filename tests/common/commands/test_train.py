import json
import os
from dataclasses import replace

import pytest
from command import call

from asr.modality import ASR
from common.command_line.parser import parse
from common.commands.flags.train import TrainFlags
from common.commands.train import with_defaults
from ocr.modality import OCR


def flags_of(modality, *words: str) -> TrainFlags:
    return parse(TrainFlags, ["train", "dev", "--run", "run", *words], "train", modality)


def chosen(modality, *words: str, on_gpu: bool, **changes) -> tuple:
    flags = with_defaults(modality, replace(flags_of(modality, *words), **changes), on_gpu)
    return flags.training.batch_budget, flags.training.workers, flags.encoder.hidden_size


@pytest.mark.parametrize(("modality", "cpu", "gpu"), [(OCR, 320, 2560), (ASR, 160, 640)])
def test_a_gpu_gets_larger_batches_workers_and_sizes_that_suit_it(modality, cpu, gpu, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert chosen(modality, on_gpu=False) == (cpu, 0, 192)
    assert chosen(modality, on_gpu=True) == (gpu, 14, 256)
    assert chosen(modality, "--devices", "4", on_gpu=True) == (gpu, 3, 256)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert chosen(modality, on_gpu=True)[1] == 0


def test_each_flag_overrides_its_default_and_only_that(caplog):
    caplog.set_level("INFO")
    words = ("--batch-budget", "100", "--workers", "3", "--hidden-size", "64")
    assert chosen(OCR, *words, on_gpu=True) == (100, 3, 64)
    assert caplog.text == ""
    assert chosen(OCR, *words[:4], on_gpu=True) == (100, 3, 256)
    assert caplog.messages == ["defaults of a GPU: --hidden-size 256"]


def test_a_model_to_start_from_keeps_the_size_that_every_device_had(tmp_path):
    assert chosen(OCR, on_gpu=True, start_from=tmp_path / "a.safetensors")[2] == 192


def test_a_resumed_run_keeps_what_it_began_with_on_any_device(tmp_path, caplog):
    caplog.set_level("INFO")
    kept = {"training": {"batch_budget": 77.0, "workers": 2}, "encoder": {"hidden_size": 40}}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    assert chosen(OCR, "--resume", on_gpu=True, run=tmp_path) == (77.0, 2, 40)
    assert chosen(OCR, "--resume", "--workers", "5", on_gpu=False, run=tmp_path) == (77.0, 5, 40)
    assert caplog.text == ""
    (tmp_path / "config.json").write_text("{")
    assert chosen(OCR, "--resume", on_gpu=False, run=tmp_path) == (320, 0, 192)


@pytest.mark.parametrize("modality", [OCR, ASR], ids=["ocr", "asr"])
def test_the_help_names_both_defaults(modality, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    page = " ".join(call(modality, "train", "--help").out.split())
    budget = {"ocr": 2560, "asr": 640}[modality.name]
    for text in (f"on a GPU {budget}", "on a GPU 256", "on a GPU one for each core but two"):
        assert text in page
