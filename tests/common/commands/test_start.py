"""What the start of a command imports."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("side", ["ocr", "asr"])
def test_transcribing_a_file_imports_nothing_that_only_other_calls_need(side):
    """The model must be missing, so that what is imported does not depend on it."""
    heavy = [
        "common.command_line.help",
        "tqdm",
        "rapidfuzz",
        "common.decoding.beam.search",
        "PIL.TiffImagePlugin",
        "hashlib",
        "csv",
    ]
    code = f"""
import sys
from common import cli
from {side}.modality import {side.upper()} as modality
try:
    cli.main(modality, ["transcribe", "none", "-m", "none.onnx", "--format", "json"])
except SystemExit as ended:
    assert ended.code == 1
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
    assert "none.onnx: no such file" in done.stderr


def test_help_of_every_verb_needs_no_torch():
    """Each page is printed although importing torch and its companions fails, as on a plain installation."""
    code = """
import contextlib, io, sys
for name in ("torch", "torchaudio", "torchvision", "lightning", "onnx", "starlette", "uvicorn"):
    sys.modules[name] = None
from common import cli
from asr.modality import ASR
from ocr.modality import OCR
verbs = [*((verb,) for verb in cli.VERBS), ("lm", "train"), ("lm", "evaluate"), ("lm", "sample")]
for modality in (ASR, OCR):
    for words in verbs:
        page = io.StringIO()
        try:
            with contextlib.redirect_stdout(page):
                cli.main(modality, [*words, "--help"])
        except SystemExit as ended:
            assert ended.code == 0, words
        assert page.getvalue().startswith(f"usage: {modality.name} {' '.join(words)} "), words
        flag = {"asr": "--augment.rooms", "ocr": "--augment.jpeg"}[modality.name]
        assert (flag in page.getvalue()) == (words == ("train",)), words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
