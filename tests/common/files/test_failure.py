"""Errors are said to people in one line, and lack of memory is told from other errors."""

import errno

import pytest

from common.files.failure import is_lack_of_memory, sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a.png: is broken; restore it"), "a.png: is broken; restore it"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.png"), "a.png: No such file"),
        (OSError(errno.ENOSPC, "No space left"), "standard output: cannot be written (No space left)"),
        (MemoryError(), "not enough memory (MemoryError); lower --batch-budget"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the documentation"),
            "not enough memory (CUDA out of memory. Tried to allocate 2 GiB.); lower --batch-budget",
        ),
        (
            ValueError("Caught ValueError in worker 0.\nOriginal Traceback (...)\nValueError: b.png: is cut"),
            "b.png: is cut",
        ),
        (
            ImportError("No module named 'onnx'", name="onnx"),
            "this needs onnx, which is not installed; pip install 'amanuensis[train]'",
        ),
    ],
)
def test_an_error_is_one_line(error: Exception, said: str) -> None:
    assert sentence(error) == said


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
        (RuntimeError("Connection closed by peer"), False),
    ],
)
def test_lack_of_memory_is_no_other_error(error: Exception, lacks: bool) -> None:
    assert is_lack_of_memory(error) == lacks
