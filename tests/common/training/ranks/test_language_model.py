"""`lm train --recurrent` on several ranks, each of which carries the state of its own streams of text."""

import signal
from pathlib import Path

import numpy as np
import pytest
from ranks import run_ranks
from run_log import losses_of

from ocr.modality import OCR

pytestmark = [pytest.mark.slow, pytest.mark.training]

SMALL = (
    "--hidden-size",
    12,
    "--embedding-size",
    6,
    "--precision",
    "32-true",
    "--device",
    "cpu",
    "--epochs",
    2,
)
STREAMS = ("--streams", 5, "--k1", 40, "--k2", 80)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, rng = tmp_path_factory.mktemp("texts"), np.random.default_rng(0)
    paths = [folder / "clocks", folder / "bells"]
    for path, words in zip(paths, (["tick", "tock"], ["ding", "dong"]), strict=True):
        path.write_text("".join(" ".join(rng.choice(words, 4)) + "\n" for _ in range(60)))
    return paths


@pytest.mark.parametrize(
    "settings",
    [
        STREAMS,
        (*STREAMS, "--condition", "first"),  # its layer has no gradient after the first windows
        ("--k1", 0, "--batch-budget", "whole lines"),
    ],
    ids=["streams", "first state", "lines"],
)
def test_ranks_have_the_loss_curve_of_one_process(
    settings: tuple[object, ...], texts: list[Path], tmp_path: Path
) -> None:
    """Five streams and lines of equal length, so that two and three ranks have unequal shares."""
    curves = []
    for ranks in (1, 2, 3):
        budgeted = [600 / ranks if word == "whole lines" else word for word in settings]
        labelled = [f"{path.name}={path}" for path in texts]
        command = ["lm", "train", *labelled, "--recurrent", "--run", tmp_path / str(ranks), *SMALL, *budgeted]
        ended = run_ranks(OCR, ranks, [*command, "--dropout", 0], tmp_path)
        assert [rank.status for rank in ended] == [0] * ranks, ended
        curves.append(losses_of(tmp_path / str(ranks)))
    np.testing.assert_allclose(curves[1:], [curves[0]] * 2, rtol=1e-4)


def test_a_run_of_which_a_rank_was_killed_goes_on_with_the_states_of_all_ranks(
    texts: list[Path], tmp_path: Path
) -> None:
    def command(name: str) -> list[object]:
        flags = ("--recurrent", "--dropout", 0.2, "--checkpoint-minutes", 0)
        return ["lm", "train", texts[0], *flags, "--run", tmp_path / name, *SMALL, *STREAMS]

    ended = run_ranks(OCR, 2, command("killed"), tmp_path, {1: "killed"})
    assert ended[1].status == -signal.SIGKILL and ended[0].status == 1
    assert "rank 1 of 2" in ended[0].err
    for words in ([*command("killed"), "--resume"], command("whole")):
        assert [rank.status for rank in run_ranks(OCR, 2, words, tmp_path)] == [0, 0]
    assert losses_of(tmp_path / "killed") == losses_of(tmp_path / "whole")
