"""transcribe with lists, shares and rows: the same rows whatever the number of shares, and after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import call
from PIL import Image, ImageDraw, ImageFont

from ocr.modality import OCR

TEXTS = ("one two", "three", "four five six", "seven")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Draw lines and write a list of them; one is missing, and one is named twice."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        image = Image.new("L", (300, 48), 240)
        text = TEXTS[number % len(TEXTS)]
        ImageDraw.Draw(image).text((10, 8), text, fill=20, font=ImageFont.load_default(28))
        image.save(f"{number}.png")
    names = [f"{number}.png" for number in range(12)]
    Path("list.txt").write_text("\n".join([*names, "none.png", "3.png"]))
    return tmp_path


def rows(folder: str) -> dict[str, str]:
    """Return the text or the error of each id; no id is there twice."""
    found = [json.loads(line) for path in Path(folder).glob("*.jsonl") for line in path.open()]
    by_id = {row["id"]: row.get("text", row.get("error", "")) for row in found}
    assert len(found) == len(by_id)
    return by_id


def test_shares_together_have_the_rows_of_one_call(listed):
    whole = call(OCR, "transcribe", "--list", "list.txt", "-f", "jsonl", "-o", "whole")
    assert whole.status == 1
    assert "12 transcribed" in whole.err and "1 failed" in whole.err and "3.png: is named twice" in whole.err
    for number in (1, 2, 3):
        call(OCR, "transcribe", "--list", "list.txt", "--shard", f"{number}/3", "-f", "jsonl", "-o", "shares")
    assert rows("shares") == rows("whole")
    assert [rows("whole")[f"{number}.png"] for number in range(4)] == list(TEXTS)
    assert "none.png" in rows("whole")["none.png"]


def test_a_second_call_does_what_is_left_and_failed_files_when_asked(listed):
    flags = ("transcribe", "--list", "list.txt", "-f", "jsonl", "-o", "out")
    call(OCR, *flags)
    first = rows("out")
    Path("0.png").rename("none.png")
    again = call(OCR, *flags)
    assert rows("out") == first and again.status == 1
    assert "0 transcribed" in again.err and "13 done before" in again.err
    retried = call(OCR, *flags, "--retry-failed")
    assert retried.status == 0 and "1 transcribed" in retried.err
    assert rows("out") == {**first, "none.png": TEXTS[0]}


def test_rows_go_to_standard_output_and_the_list_may_come_from_standard_input(listed):
    outcome = call(OCR, "transcribe", "--list", "-", "-f", "jsonl", stdin=b"1.png\nnone.png\n2.png\n")
    assert [json.loads(line)["id"] for line in outcome.out.splitlines()] == ["1.png", "none.png", "2.png"]
    assert outcome.status == 1 and "none.png: does not exist" in outcome.err


def test_a_list_serves_every_format(listed):
    Path("list.txt").write_text("1.png\n0.png\n")
    assert call(OCR, "transcribe", "--list", "list.txt").out == f"{TEXTS[1]}\n{TEXTS[0]}\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("a.png", "--shard", "4/3"), "'4/3' is no share"),
        (("a.png", "--retry-failed"), "say both"),
        (("--list", "nowhere.txt"), "nowhere.txt: cannot be read"),
        (("-", "--list", "-", "-f", "jsonl"), "cannot be a file, too"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call(OCR, "transcribe", *flags)
    assert outcome.status in (1, 2) and said in outcome.err and outcome.out == ""


@pytest.mark.slow
def test_a_kill_loses_no_row_and_doubles_none(listed):
    names = [f"copies/{number}.png" for number in range(300)]
    Path("copies").mkdir()
    for number, name in enumerate(names):
        os.link(f"{number % 4}.png", name)
    Path("list.txt").write_text("\n".join(names))
    command = [sys.executable, "-m", "ocr", "transcribe", "--list", "list.txt", "-f", "jsonl", "-o", "out"]
    part = Path("out/part-1-of-1.jsonl")
    with subprocess.Popen(command) as process:
        while not (part.exists() and part.stat().st_size) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert call(OCR, *command[3:]).status == 0
    assert rows("out") == {name: TEXTS[number % 4] for number, name in enumerate(names)}
