"""What is said to people about an error: one sentence."""

import errno
import os

from common.files.standard import STANDARD_OUTPUT

OUT_OF_MEMORY = ("out of memory", "not enough memory", "allocate memory", "ALLOC_FAILED", "bad allocation")
"""words in errors of torch, CUDA, cuDNN and ONNX Runtime for lack of memory; not "illegal memory access" """

SERVING_PACKAGES = ("python_multipart", "starlette", "uvicorn", "websockets")
"""packages of the extra `serve`"""


class ReportedError(Exception):
    """An error of this process about which another process has told the user.

    Attributes:
        error: what was raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether there was not enough memory, of the machine or of a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    )


def sentence(error: BaseException) -> str:
    """Return one line for the user about an error."""
    if isinstance(error, ImportError):
        extra = "serve" if str(error.name).split(".")[0] in SERVING_PACKAGES else "train"
        return f"this needs {error.name}, which is not installed; pip install 'amanuensis[{extra}]'"
    if is_lack_of_memory(error):
        return f"not enough memory ({_first_line(error)}); lower --batch-budget"
    if isinstance(error, OSError) and error.filename is None and error.errno == errno.ENOSPC:
        # it has no name; files are named where they are written
        return f"{STANDARD_OUTPUT}: cannot be written ({error.strerror})"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if "Original Traceback" in str(error):  # from a DataLoader's worker; it ends "ValueError: sentence"
        return str(error).strip().splitlines()[-1].partition(": ")[2]
    return str(error)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
