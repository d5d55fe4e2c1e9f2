"""Recipes and the README: all their flags exist, and the recipes that need no data run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import call
from features import FEATURES
from rapidfuzz.distance import Levenshtein
from run_log import MEMORISED, losses_of

from asr.modality import ASR
from ocr.modality import OCR

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.sh"))
DEPLOYED = sorted((ROOT / "recipes").rglob("*.yaml"))


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recipe_is_bash_that_stops_at_errors_and_passes_flags_on(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "set -euo pipefail" in text and '"$@"' in text
    assert "# Needs:" in text
    assert os.access(recipe, os.X_OK)
    assert run(["bash", "-n", str(recipe)], ROOT).returncode == 0


@pytest.mark.parametrize("verb", ["train", "evaluate", "transcribe", "align", "lm train", "serve"])
@pytest.mark.parametrize("command", ["ocr", "asr"])
def test_every_flag_that_recipes_and_readme_give_exists(command: str, verb: str, monkeypatch) -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*RECIPES, *DEPLOYED, ROOT / "README.md"]]
    calls = [
        call for text in texts for call in re.findall(rf"^\s*{command} {verb} .*(?:\\\n.*)*", text, re.M)
    ]
    flags = {flag for call in calls for flag in re.findall(r"(?<!\S)--[a-z][a-z.-]+", call.split(" #")[0])}
    assert flags, "no recipe calls this verb"
    monkeypatch.setenv("COLUMNS", "200")
    help_text = call({"ocr": OCR, "asr": ASR}[command], *verb.split(), "--help").out
    assert {flag for flag in flags if flag not in help_text} == set()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ocr", "asr"])
def test_the_toy_recipe_trains_measures_and_transcribes(recipe: str, tmp_path: Path) -> None:
    """The recipe runs with little data; how well it learns from more is a measured result, not a test."""
    script, small = str(ROOT / "recipes" / recipe / "toy.sh"), ("--epochs", "1", "--hidden-size", "8")
    done = run(["bash", script, *small], tmp_path, RUN="toy", COUNT="20")
    assert done.returncode == 0, done.stderr
    assert "%WER" in done.stdout
    assert {"best.safetensors", "report.html", "log.csv"} <= {
        path.name for path in (tmp_path / "toy").iterdir()
    }


def core_scripts() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Import the core")[1]
    return re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.S)


@pytest.mark.parametrize("number", range(5), ids=["ctc", "tagger", "classifier", "generator", "translator"])
def test_the_readme_uses_the_core_in_a_few_lines(number: int) -> None:
    """Each arrangement takes at most 15 lines, and CTC with its optimiser 20."""
    script = core_scripts()[number]
    assert len([line for line in script.splitlines() if line.strip()]) <= (15 if number else 20)
    names: dict = {}
    exec(script, names)
    assert names["torch"].isfinite(names["loss"])


def test_the_readme_has_no_other_script_of_the_core() -> None:
    assert len(core_scripts()) == 5


@pytest.mark.slow
def test_the_core_trains_on_ready_made_features_and_counts_its_errors(tmp_path: Path) -> None:
    """recipes/core/an4.sh runs on a synthetic archive, in which two kinds of frame stand for two letters."""
    rng = np.random.default_rng(0)
    arrays, rows = {}, []
    for number in range(20):
        text = "".join(rng.choice(["A", "B"], 4))
        parts = [np.repeat([[0.0, 0.0], [letter == "A", letter == "B"]], (6, 12), axis=0) for letter in text]
        values = np.concatenate(parts)
        arrays[f"u{number}"] = (values + rng.normal(0, 0.1, values.shape)).astype(np.float16)
        rows.append({"id": f"u{number}", "frames": 72, "text": text, "speaker": f"s{number % 10}"})
    np.savez(tmp_path / "train.npz", **arrays)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = ROOT / "recipes" / "core" / "an4.sh"
    flags = map(str, (*MEMORISED, "--input-size", 2, "--mask-frames", 0, "--epochs", 20))
    done = run(["bash", str(recipe), str(tmp_path), *flags], tmp_path, RUN="an4")
    assert done.returncode == 0, done.stderr
    losses = losses_of(tmp_path / "an4")
    assert losses[-1] < losses[0] / 2
    held_out = [json.loads(line) for line in (tmp_path / "an4.data" / "dev.jsonl").read_text().splitlines()]
    sources = [f"{tmp_path}/train.npz::{row['id']}" for row in held_out]
    outcome = call(FEATURES, "transcribe", "-m", tmp_path / "an4" / "best.safetensors", *sources)
    texts = zip(outcome.out.split("\n"), (row["text"] for row in held_out), strict=False)
    errors = sum(Levenshtein.distance(found, text) for found, text in texts)
    length = 4 * len(held_out)
    assert f"%CER {100 * errors / length:.2f} [ {errors} / {length}," in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", ["parallel", "slurm_array"])
def test_shares_of_a_list_are_transcribed_side_by_side(script: str, tmp_path: Path) -> None:
    for name in "abcd":
        os.symlink(ROOT / "recipes" / "ocr" / "sample.png", tmp_path / f"{name}.png")
    (tmp_path / "list.txt").write_text("".join(f"{name}.png\n" for name in "abcd"))
    command = [str(ROOT / "recipes" / "scale" / f"{script}.sh"), "ocr", "list.txt", "out"]
    if script == "parallel":
        environments = [{"SHARES": "2", "AT_A_TIME": "2"}]
    else:
        array = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "1"}
        environments = [array | {"SLURM_ARRAY_TASK_ID": task} for task in "01"]
    for environment in environments:
        assert run(command, tmp_path, **environment).returncode == 0
    rows = [json.loads(line) for path in (tmp_path / "out").glob("*.jsonl") for line in path.open()]
    assert sorted(row["id"] for row in rows) == ["a.png", "b.png", "c.png", "d.png"]
    assert len({row["text"] for row in rows}) == 1 and rows[0]["text"]


@pytest.mark.slow
@pytest.mark.training
def test_torchrun_trains_and_slurm_queues_a_stopped_run_again(tmp_path: Path) -> None:
    """srun stands for torchrun here; the first call of it ends as after a signal, with a checkpoint."""
    drawn = [sys.executable, "-m", "ocr.synthesis", "lines", "lines", "--count", "12", "--seed", "1"]
    assert run(drawn, tmp_path, PYTHONPATH=str(ROOT)).returncode == 0
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "srun").write_text(
        '#!/bin/bash\necho "$@" >> calls\nif [ ! -e again ]; then touch again; exit 75; fi\n'
    )
    (tools / "scontrol").write_text('#!/bin/bash\necho scontrol "$@" >> calls\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    path = f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    job = {"SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4", "SLURM_JOB_ID": "17", "PATH": path}
    words = ["ocr", "lines", "lines", "--run", "run", "--epochs", "1", "--hidden-size", "8", "--layers", "1"]
    script = str(ROOT / "recipes" / "scale" / "slurm.sh")
    assert run([script, *words], tmp_path, **job).returncode == 0
    trained = run([str(ROOT / "recipes" / "scale" / "torchrun.sh"), *words], tmp_path, DEVICES="2")
    assert trained.returncode == 0, trained.stderr
    assert run([script, *words], tmp_path, **job).returncode == 0
    first, queued, second = (tmp_path / "calls").read_text().splitlines()
    assert first.endswith("ocr train --nodes 2 --devices 4 " + " ".join(words[1:]))
    assert queued == "scontrol requeue 17" and second == f"{first} --resume"
    assert len((tmp_path / "run" / "ranks.csv").read_text().splitlines()) == 3
