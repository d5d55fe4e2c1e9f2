"""Recipes and the README: all their flags exist, and the recipes that need no data run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.sh"))


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


@pytest.mark.parametrize("verb", ["train", "evaluate", "transcribe", "align", "lm train"])
@pytest.mark.parametrize("command", ["ocr", "asr"])
def test_every_flag_that_recipes_and_readme_give_exists(command: str, verb: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*RECIPES, ROOT / "README.md"]]
    calls = [
        call for text in texts for call in re.findall(rf"^\s*{command} {verb} .*(?:\\\n.*)*", text, re.M)
    ]
    flags = {flag for call in calls for flag in re.findall(r"(?<!\S)--[a-z][a-z.-]+", call.split(" #")[0])}
    assert flags, "no recipe calls this verb"
    help_text = run([sys.executable, "-m", command, *verb.split(), "--help"], ROOT, COLUMNS="200").stdout
    assert {flag for flag in flags if flag not in help_text} == set()


@pytest.mark.parametrize("recipe", ["ocr", "asr"])
def test_the_toy_recipe_trains_measures_and_transcribes(recipe: str, tmp_path: Path) -> None:
    """The recipe runs with one epoch; how well more epochs learn is a measured result, not a test."""
    done = run(["bash", str(ROOT / "recipes" / recipe / "toy.sh"), "--epochs", "1"], tmp_path, RUN="toy")
    assert done.returncode == 0, done.stderr
    assert "%WER" in done.stdout
    assert {"best.safetensors", "report.html", "log.csv"} <= {
        path.name for path in (tmp_path / "toy").iterdir()
    }


def core_scripts() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Import the core")[1]
    return re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.S)


@pytest.mark.parametrize("number", range(5), ids=["ctc", "tagger", "classifier", "generator", "translator"])
def test_the_readme_imports_the_core_from_outside_in_a_few_lines(number: int, tmp_path: Path) -> None:
    """Each arrangement takes at most 15 lines, and CTC with its optimiser 20."""
    script = core_scripts()[number]
    assert len([line for line in script.splitlines() if line.strip()]) <= (15 if number else 20)
    checks = "\nassert torch.isfinite(loss)\n"
    (tmp_path / "script.py").write_text(script + checks, encoding="utf-8")
    done = run([sys.executable, "script.py"], tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_no_other_script_of_the_core() -> None:
    assert len(core_scripts()) == 5


def test_the_core_learns_ready_made_features(tmp_path: Path) -> None:
    """recipes/core/an4.sh runs on a synthetic archive, in which two kinds of frame stand for two letters."""
    script = """
import json, numpy as np
rng = np.random.default_rng(0)
arrays, lines = {}, []
for number in range(60):
    text = "".join(rng.choice(["A", "B"], 4))
    frames = [np.tile([1.0, 0.0] if letter == "A" else [0.0, 1.0], (12, 1)) for letter in text for _ in (0,)]
    gaps = [np.zeros((6, 2))] * len(frames)
    values = np.concatenate([part for pair in zip(gaps, frames) for part in pair])
    arrays[f"u{number}"] = (values + rng.normal(0, 0.1, values.shape)).astype(np.float16)
    line = {"id": f"u{number}", "frames": len(values), "text": text, "speaker": f"s{number % 10}"}
    lines.append(json.dumps(line))
np.savez("train.npz", **arrays)
open("train.jsonl", "w").write("\\n".join(lines))
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    recipe = ROOT / "recipes" / "core" / "an4.sh"
    flags = [
        "--input-size",
        "2",
        "--epochs",
        "12",
        "--hidden-size",
        "16",
        "--layers",
        "1",
        "--warmup-steps",
        "5",
    ]
    quick = [
        "--learning-rate",
        "2e-2",
        "--batch-budget",
        "300",
        "--mask-frames",
        "0",
        "--dropout",
        "0",
        "--ema",
        "0",
    ]
    done = run(["bash", str(recipe), str(tmp_path), *flags, *quick], tmp_path, RUN="an4")
    assert done.returncode == 0, done.stderr
    rate = float(re.search(r"%CER (\d+\.\d+)", done.stdout)[1])
    assert rate < 10, done.stderr
