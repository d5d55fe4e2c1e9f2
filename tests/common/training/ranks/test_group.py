"""The ranks of a run learn what one process learns, and end together if one of them fails or is lost."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command import call
from PIL import Image, ImageDraw
from ranks import Rank, run_ranks

from ocr.modality import OCR

pytestmark = [pytest.mark.slow, pytest.mark.training]

TINY = ("--hidden-size", "16", "--layers", "1", "--channels", "4", "4", "8", "8", "--height-px", "16")
SCHEDULE = ("--precision", "32-true", "--learning-rate", "5e-3", "--device", "cpu", "--epochs", "2")
EQUAL = ("--dropout", "0", "--feature-dropout", "0")
"""without dropout, whose draws differ from rank to rank"""
BUDGET = 36
"""of all devices, in line heights: 12 long lines, which 1, 2 and 3 devices take in equal shares"""
LOST = "ended without a word"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 25 images that are three line heights long, and 15 that are half as long."""
    folder = tmp_path_factory.mktemp("lines")
    rng = np.random.default_rng(0)
    for number in range(40):
        text = "".join(rng.choice(list("abc"), size=6 if number < 25 else 3))
        image = Image.new("L", (8 * len(text), 16), 255)
        ImageDraw.Draw(image).text((1, 2), text, fill=0)
        image.save(folder / f"{number:02}.png")
        (folder / f"{number:02}.gt.txt").write_text(text, encoding="utf-8")
    return folder


def words(lines: Path, run: Path, ranks: int, *more: object) -> list[str]:
    """Return the command of a run that has the same batches on any number of ranks."""
    command = ["train", lines, lines, "--run", run, *TINY, *SCHEDULE, "--batch-budget", BUDGET / ranks, *more]
    return [str(word) for word in command]


def curve(run: Path) -> list[list[float]]:
    """Return loss, gradient norm and number of examples of each epoch."""
    with (run / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [[float(row[name]) for name in ("loss", "gradient_norm", "examples")] for row in rows]


@pytest.fixture(scope="module")
def alone(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """The curve of one process without dropout."""
    run = tmp_path_factory.mktemp("alone") / "run"
    assert call(OCR, *words(lines, run, 1, *EQUAL)).status == 0
    return curve(run)


# --- equal curves


@pytest.mark.parametrize(("ranks", "starter"), [(2, "torchrun"), (3, "srun")])
def test_ranks_whose_clocks_differ_by_minutes_have_the_loss_curve_of_one(
    ranks: int, starter: str, lines: Path, alone: list[list[float]], tmp_path: Path
) -> None:
    """The last batches are unequal: their examples are no multiple of the ranks."""
    command = words(lines, tmp_path / "run", ranks, *EQUAL, "--checkpoint-minutes", 0.01)
    ended = run_ranks(OCR, ranks, command, tmp_path, {ranks - 1: "fast clock"}, starter)
    assert [rank.status for rank in ended] == [0] * ranks, ended
    assert f"batches of up to {BUDGET // ranks} line heights, {BUDGET} on {ranks} devices" in ended[0].err
    assert {rank.err for rank in ended[1:]} == {""}
    np.testing.assert_allclose(
        curve(tmp_path / "run"), alone, rtol=1e-3
    )  # gradients are added in another order
    states = torch.load(tmp_path / "run" / "latest.ckpt", weights_only=True)["random"]["cpu"]
    assert len(states.unique(dim=0)) == ranks  # each rank drops other units


def test_torchrun_starts_the_ranks(lines: Path, alone: list[list[float]], tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = words(lines, tmp_path / "run", 2, *EQUAL, "--devices", 2)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, "-m", "--", "ocr", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(curve(tmp_path / "run"), alone, rtol=1e-3)


def test_an_example_that_cannot_be_read_is_named_by_the_rank_that_came_to_it(
    lines: Path, tmp_path: Path
) -> None:
    shutil.copytree(lines, tmp_path / "lines")
    broken = [tmp_path / "lines" / f"{number:02}.jpg" for number in range(3, 30, 3)]
    for path in broken:
        Image.open(path.with_suffix(".png")).save(path)
        path.with_suffix(".png").unlink()
        path.write_bytes(path.read_bytes()[:-100])  # its size can be read, its pixels cannot
    dev = tmp_path / "dev"
    shutil.copytree(lines, dev)
    command = ["train", tmp_path / "lines", dev, *words(lines, tmp_path / "run", 2)[3:], "--epochs", 1]
    ended = run_ranks(OCR, 2, command, tmp_path)
    assert [rank.status for rank in ended] == [0, 0], ended
    for path in broken:
        assert sum(rank.err.count(f"left out: {path}") for rank in ended) == 1
    assert all(line.startswith("rank 1 of 2") for line in ended[1].err.splitlines())
    assert "9 unread" in ended[0].err and "left out" in ended[1].err


# --- one end


def ends_for(ended: list[Rank], culprit: int, sentence: str) -> None:
    """Check that all ranks failed, and that one sentence names the rank and the reason; rank 0 says it."""
    assert 0 not in [rank.status for rank in ended]
    teller = ended[0] if culprit else ended[1]
    (said,) = [line for line in teller.err.splitlines() if f"rank {culprit} of {len(ended)}" in line]
    assert sentence in said
    assert not [rank.err for rank in ended if "Traceback" in rank.err]


def test_a_run_of_which_a_rank_was_killed_is_resumed_exactly(lines: Path, tmp_path: Path) -> None:
    """Dropout is on, and a checkpoint is written after every update."""
    settings = ("--checkpoint-minutes", 0, "--dropout", 0.2)
    killed = words(lines, tmp_path / "killed", 3, *settings)
    ended = run_ranks(OCR, 3, killed, tmp_path, {1: "killed"})
    assert ended[1].status == -signal.SIGKILL
    ends_for(ended, 1, LOST)
    assert len(curve(tmp_path / "killed")) == 1
    for command in ([*killed, "--resume"], words(lines, tmp_path / "whole", 3, *settings)):
        assert [rank.status for rank in run_ranks(OCR, 3, command, tmp_path)] == [0] * 3
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")


@pytest.mark.parametrize(("before", "ranks"), [(2, 1), (2, 3), (3, 2)])
def test_a_run_that_goes_on_with_another_number_of_ranks_has_the_curve_of_the_whole(
    before: int, ranks: int, lines: Path, alone: list[list[float]], tmp_path: Path
) -> None:
    """Fewer ranks compute their share of a batch in two parts. Sums are in another order than in `alone`."""
    command = words(lines, tmp_path / "run", before, *EQUAL, "--checkpoint-minutes", 0)
    ends_for(run_ranks(OCR, before, command, tmp_path, {1: "killed"}), 1, LOST)
    ended = run_ranks(OCR, ranks, [*command, "--resume"], tmp_path)
    assert [rank.status for rank in ended] == [0] * ranks, ended
    assert f"the batches stay those of {before} devices" in ended[0].err
    np.testing.assert_allclose(curve(tmp_path / "run"), alone, rtol=1e-3)
    states = torch.load(tmp_path / "run" / "latest.ckpt", weights_only=True)["random"]["cpu"]
    assert len(states.unique(dim=0)) == ranks  # a new rank draws numbers of its own


def test_a_run_that_is_given_notice_ends_with_a_checkpoint_and_is_resumed_exactly(
    lines: Path, tmp_path: Path
) -> None:
    """One rank is told by a signal, as by a cluster that needs the machine; the cache outlives the end."""
    settings = ("--checkpoint-minutes", 0, "--dropout", 0.2)
    told = words(lines, tmp_path / "told", 2, *settings)
    ended = run_ranks(OCR, 2, [*told, "--workers", 1], tmp_path, {1: "preempted"})
    assert [rank.status for rank in ended] == [75, 75], ended
    assert "go on with --resume" in ended[0].err and not ended[1].err
    progress = torch.load(tmp_path / "told" / "latest.ckpt", weights_only=True)["progress"]
    assert (progress["epoch"], progress["batch"]) == (1, 3)
    for command in ([*told, "--resume"], words(lines, tmp_path / "whole", 2, *settings)):
        assert [rank.status for rank in run_ranks(OCR, 2, command, tmp_path)] == [0] * 2
    assert curve(tmp_path / "told") == curve(tmp_path / "whole")
    with (tmp_path / "whole" / "ranks.csv").open(encoding="utf-8") as file:
        paces = list(csv.DictReader(file))
    assert [(row["epoch"], row["rank"]) for row in paces] == [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")]
    assert all(float(row["examples_per_s"]) > 0 for row in paces)


def test_a_run_that_lost_rank_0_goes_on_with_its_batches_on_fewer_devices(
    lines: Path, alone: list[list[float]], tmp_path: Path
) -> None:
    command = words(lines, tmp_path / "run", 3, *EQUAL, "--checkpoint-minutes", 0)
    ended = run_ranks(OCR, 3, command, tmp_path, {0: "killed"})
    assert ended[0].status == -signal.SIGKILL
    ends_for(ended, 0, LOST)
    said = call(OCR, *command, "--resume")
    assert said.status == 0
    assert "the batches stay those of 3 devices" in said.err
    np.testing.assert_allclose(curve(tmp_path / "run"), alone, rtol=1e-3)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("failing", "lines/7.png: No such file or directory"),
        (
            "out of memory",
            "not enough memory (CUDA out of memory. Tried to allocate 2.00 GiB.); lower --batch-budget",
        ),
    ],
)
def test_a_rank_that_fails_ends_all_with_its_sentence(
    fault: str, sentence: str, lines: Path, tmp_path: Path
) -> None:
    command = words(lines, tmp_path / "run", 2, "--checkpoint-minutes", 0)
    ended = run_ranks(OCR, 2, command, tmp_path, {1: fault})
    ends_for(ended, 1, sentence)
    assert ended[1].err == ""  # it is said once


def test_a_rank_that_answers_no_more_ends_all(lines: Path, tmp_path: Path) -> None:
    """It is stopped, which looks from outside like a machine without power."""
    command = words(lines, tmp_path / "run", 2, "--checkpoint-minutes", 0)
    ends_for(run_ranks(OCR, 2, command, tmp_path, {0: "impatient", 1: "stopped"}), 1, "no sign of life")


def test_an_error_of_all_ranks_is_said_once(lines: Path, tmp_path: Path) -> None:
    command = words(lines, tmp_path / "run", 2, "--checkpoint-minutes", 0)
    ended = run_ranks(OCR, 2, command, tmp_path, {0: "failing", 1: "failing"})
    assert [rank.status for rank in ended] == [1, 1]
    assert [rank.err.count("No such file") for rank in ended] == [1, 0]


def test_a_rank_whose_machine_has_other_files_ends_all_before_the_run(lines: Path, tmp_path: Path) -> None:
    """The path is relative, and the machines are folders."""
    machines = {rank: tmp_path / str(rank) for rank in range(2)}
    for machine in machines.values():
        shutil.copytree(lines, machine / "lines")
    shutil.copy(lines / "39.png", machines[1] / "lines" / "00.png")  # half as long
    ended = run_ranks(OCR, 2, words(Path("lines"), tmp_path / "run", 2), tmp_path, machines)
    said = "lines/00.png has the length 1.500, and has the length 3.000 on rank 0"
    ends_for(ended, 1, said)
    assert ended[1].err == "" and not (tmp_path / "run").exists()


def test_ranks_that_this_program_starts_end_for_one_of_them(lines: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(FAILING_ON_RANK_1, encoding="utf-8")
    command = words(lines, tmp_path / "run", 2, "--checkpoint-minutes", 0, "--devices", 2)
    done = subprocess.run(
        [sys.executable, str(program), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("lines/7.png: No such file") == 1 and "rank 1 of 2" in done.stderr
    assert len(curve(tmp_path / "run")) == 1


FAILING_ON_RANK_1 = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3] / "support")!r})
import ranks
from common.cli import main
from ocr.modality import OCR

if os.environ.get("LOCAL_RANK", "0") == "1":
    ranks.FAULTS["failing"]()
main(OCR)
"""
