"""Ranks that would train on other data, with other flags or other batches are refused, on every rank."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.data.batching import BatchLoader, Examples
from common.data.manifest import Example
from common.training.ranks.agreement import agree_on_batches, agree_on_files, agree_on_settings


class Meeting:
    """Stands for the Group of a rank: the others have said `others`, and this one is the last."""

    def __init__(self, *others: Any) -> None:
        self.ranks, self.others, self.said = len(others) + 1, list(others), None

    def gather(self, value: Any) -> list[Any]:
        self.said = value
        return [*self.others, value]


def said_by(work: Any, *arguments: Any) -> Any:
    """Return what a rank says that is asked alone."""
    meeting: Any = Meeting()
    meeting.ranks = 2
    work(meeting, *arguments)
    return meeting.said


def test_flags_that_differ_are_named_with_both_values() -> None:
    settings = {"training": {"seed": 1, "workers": 4}, "run": "runs/a"}
    others: Any = Meeting(said_by(agree_on_settings, settings))
    agree_on_settings(others, {"training": {"seed": 1, "workers": 0}, "run": "/data/runs/a"})
    with pytest.raises(ValueError, match=r"rank 1 of 2 .*: training.seed is 2 and 1 on rank 0; start"):
        agree_on_settings(others, {"training": {"seed": 2, "workers": 4}, "run": "runs/a"})


def test_another_version_of_the_software_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here: Any = Meeting(said_by(agree_on_settings, {}))
    monkeypatch.setattr("torch.__version__", "2.99")
    with pytest.raises(ValueError, match=r"rank 1 of 2 .*: torch is 2\.99 and "):
        agree_on_settings(here, {})


@pytest.mark.parametrize(
    ("there", "said"),
    [("xxxx", "has the length 4.000, and has the length 3.000 on rank 0"), (None, "cannot be read")],
)
def test_a_file_that_is_another_one_or_missing_on_one_machine_is_named(
    there: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources are relative, and the machines are folders."""

    def measure(source: str) -> float:
        return float(len(Path(source).read_text()))

    for machine in ("zero", "one"):
        (tmp_path / machine).mkdir()
        for number in range(9):
            (tmp_path / machine / f"{number}.wav").write_text("xxx")
    examples = [Example(f"{number}.wav", "a", 3.0) for number in range(9)]
    monkeypatch.chdir(tmp_path / "zero")
    meeting: Any = Meeting(said_by(agree_on_files, examples, measure))
    monkeypatch.chdir(tmp_path / "one")
    agree_on_files(meeting, examples, measure)
    if there is None:
        Path("4.wav").unlink()
    else:
        Path("4.wav").write_text(there)
    with pytest.raises(ValueError, match=rf"rank 1 of 2 .*: 4\.wav {said}"):
        agree_on_files(meeting, examples, measure)


def test_batches_that_differ_are_refused() -> None:
    def loaders(seed: int) -> list[BatchLoader]:
        examples = [Example(str(number), "a", float(number)) for number in range(1, 40)]
        made: Any = Examples(examples, None, read=lambda _: None)  # type: ignore[arg-type, return-value]
        return [BatchLoader(made, 50.0, seed), BatchLoader(made, 50.0)]

    meeting: Any = Meeting(said_by(agree_on_batches, loaders(1), 0))
    agree_on_batches(meeting, loaders(1), 0)
    assert not np.array_equal(loaders(1)[0].plan(0)[0], loaders(1)[0].plan(1)[0])
    for other in ((loaders(2), 0), (loaders(1), 1)):
        with pytest.raises(ValueError, match=r"rank 1 of 2 .* has planned other batches than rank 0"):
            agree_on_batches(meeting, *other)
