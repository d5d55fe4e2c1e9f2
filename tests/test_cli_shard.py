"""The verb shard, and the other verbs on what it writes."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import call
from PIL import Image, ImageDraw
from ranks import run_ranks
from untrained import recognizer_of

from common.data.shards.writing import write_tars
from common.training.loop import Trainer
from common.training.preparation import load_examples
from ocr.modality import OCR

TINY = ("--hidden-size", 16, "--layers", 1, "--channels", 4, 4, 8, 8, "--height-px", 16)
SCHEDULE = ("--precision", "32-true", "--learning-rate", 5e-3, "--device", "cpu", "--epochs", 2)
EQUAL = ("--dropout", 0, "--feature-dropout", 0)
BUDGET = 36


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 images of words with their texts."""
    folder, rng = tmp_path_factory.mktemp("lines"), np.random.default_rng(0)
    for number in range(24):
        text = "".join(rng.choice(list("abc"), size=6 if number < 16 else 3))
        image = Image.new("L", (8 * len(text), 16), 255)
        ImageDraw.Draw(image).text((1, 2), text, fill=0)
        image.save(folder / f"{number:02}.png")
        (folder / f"{number:02}.gt.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tars(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tar of all lines in their order."""
    folder = tmp_path_factory.mktemp("tars") / "kept"
    done = call(OCR, "shard", lines, "-o", folder, "--keep-order")
    assert done.status == 0 and "24 lines in 1 tar" in done.err
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    recognizer_of("ocr").save(path)
    return path


def rows_of(folder: Path) -> list[dict]:
    indices = sorted(folder.glob("*.jsonl"))
    return [json.loads(row) for index in indices for row in index.read_text(encoding="utf-8").splitlines()]


def curve(run: Path) -> list[list[float]]:
    with (run / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [[float(row[name]) for name in ("loss", "gradient_norm", "dev_cer")] for row in rows]


def train(data: Path | str, dev: Path, run: Path, ranks: int, *more: object) -> list[object]:
    budget = ("--batch-budget", BUDGET / ranks)
    return ["train", data, dev, "--run", run, *TINY, *SCHEDULE, *budget, *more]


def test_lines_are_mixed_by_a_seed_and_each_is_there_once(lines: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        assert call(OCR, "shard", lines, "-o", tmp_path / name, "--seed", seed).status == 0
    orders = {name: [row["text"] for row in rows_of(tmp_path / name)] for name in ("one", "same", "other")}
    written = sorted(path.read_text(encoding="utf-8") for path in lines.glob("*.gt.txt"))
    assert all(sorted(order) == written for order in orders.values())
    assert orders["one"] == orders["same"] != orders["other"]


def test_a_folder_that_has_tars_is_not_written_to(lines: Path, tars: Path) -> None:
    done = call(OCR, "shard", lines, "-o", tars)
    assert done.status == 1 and f"{tars}: has files that end in .tar; name a new folder" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("none", "-o", "tars"), 1, "none: does not exist"),
        (("none",), 2, "--output-dir"),
        (("none", "-o", "tars", "--size-mb", "0"), 2, "--size-mb 0: give 1 or more"),
    ],
)
def test_a_call_that_cannot_be_done_is_said(arguments, status, said, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(OCR, "shard", *arguments)
    assert done.status == status and said in done.err


def test_lines_that_cannot_be_written_are_named_and_the_others_are_there(lines: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    shutil.copytree(lines, folder)
    (folder / "05.png").write_bytes(b"no image")
    (folder / "07.gt.txt").unlink()
    done = call(OCR, "shard", folder, "-o", tmp_path / "tars")
    assert done.status == 1
    assert f"left out: {folder}/05.png" in done.err and f"left out: {folder}/07.png" in done.err
    assert "lines that are not in the tars: 2" in done.err
    assert len(rows_of(tmp_path / "tars")) == 22


def test_transcribe_and_evaluate_read_tars_as_they_read_files(
    lines: Path, tars: Path, model: Path, tmp_path: Path
) -> None:
    read = [
        call(OCR, "transcribe", "-m", model, *words).out
        for words in (sorted(lines.glob("*.png")), [tars / "000.tar"])
    ]
    assert read[0] == read[1] and read[0].count("\n") == 24
    assert (
        call(OCR, "evaluate", model, tars).out.splitlines()[:2]
        == call(OCR, "evaluate", model, lines).out.splitlines()[:2]
    )
    for shard in ("1/2", "2/2"):
        words = ("--list", tars / "{000..000}.tar", "--shard", shard, "-f", "jsonl", "-o", tmp_path / "out")
        assert call(OCR, "transcribe", "-m", model, *words).status == 0
    rows = [row for row in rows_of(tmp_path / "out") if "id" in row]
    assert sorted(row["id"] for row in rows) == [f"{tars}/000.tar::{number:08}.png" for number in range(24)]


def test_a_tar_that_holds_no_image_is_said_and_other_files_are_read(
    lines: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    done = call(OCR, "transcribe", "-m", model, tmp_path / "empty.tar", lines / "00.png")
    assert done.status == 1 and done.out.count("\n") == 1
    assert f"{tmp_path}/empty.tar: holds no image" in done.err


@pytest.mark.training
def test_training_on_tars_has_the_losses_of_training_on_files(
    lines: Path, tars: Path, tmp_path: Path
) -> None:
    """One tar in the order of the folder: the batches, and what augmentation draws, are the same."""
    for name, data in (("files", lines), ("tars", tars)):
        done = call(OCR, *train(data, lines, tmp_path / name, 1))
        assert done.status == 0, done.err
    assert curve(tmp_path / "tars") == curve(tmp_path / "files")
    assert curve(tmp_path / "tars")[0] != curve(tmp_path / "tars")[1]


@pytest.mark.training
@pytest.mark.slow
def test_two_processes_on_tars_learn_what_one_does_on_files(lines: Path, tars: Path, tmp_path: Path) -> None:
    assert call(OCR, *train(lines, lines, tmp_path / "files", 1, *EQUAL)).status == 0
    ended = run_ranks(OCR, 2, train(tars, lines, tmp_path / "tars", 2, *EQUAL), tmp_path)
    assert [rank.status for rank in ended] == [0, 0], ended
    np.testing.assert_allclose(curve(tmp_path / "tars"), curve(tmp_path / "files"), rtol=1e-3)


@pytest.mark.training
def test_a_run_on_several_tars_goes_on_after_an_interrupt_with_the_same_losses(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tar is a piece of the one window; the first call ends within its second epoch."""
    examples = load_examples(OCR, str(lines), OCR.corpus_config())[0]
    tars = tmp_path / "tars"
    tars.mkdir()
    assert len(write_tars(examples, tars, 5000, OCR.pack, OCR.measure).tars) > 3
    settings = ("--checkpoint-minutes", 0, "--dropout", 0.2)
    assert call(OCR, *train(tars, lines, tmp_path / "whole", 1, *settings)).status == 0
    assert curve(tmp_path / "whole")[0] != curve(tmp_path / "whole")[1]
    write = Trainer.save_checkpoint

    def write_and_end(trainer: Trainer) -> None:
        write(trainer)
        if (trainer.progress.epoch, trainer.progress.batch) == (1, 2):
            raise KeyboardInterrupt

    command = train(tars, lines, tmp_path / "ended", 1, *settings)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save_checkpoint", write_and_end)
        assert call(OCR, *command).status == 130
    assert call(OCR, *command, "--resume").status == 0
    assert curve(tmp_path / "ended") == curve(tmp_path / "whole")


@pytest.mark.training
def test_a_damaged_line_of_a_tar_is_left_out_of_training_under_its_name(
    lines: Path, tars: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "tars"
    shutil.copytree(tars, damaged)
    row = rows_of(damaged)[3]
    content = bytearray((damaged / "000.tar").read_bytes())
    content[row["span"][0] + 30] ^= 1
    (damaged / "000.tar").write_bytes(content)
    done = call(OCR, *train(damaged, lines, tmp_path / "run", 1))
    assert done.status == 0, done.err
    assert f"left out: {damaged}/000.tar::00000003.png" in done.err.replace(f"{damaged}/000.jsonl:4: ", "")
    assert "1 unread" in done.err
