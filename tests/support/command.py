"""The commands called in this process, for the tests of several verbs."""

import contextlib
import io
import logging
import sys
import warnings
from typing import NamedTuple

import pytest

from common import cli
from common.recognition.modality import Modality


class Outcome(NamedTuple):
    """What a call of the command leaves behind: exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    def about(self, name: str) -> str:
        """The one line of standard error that names `name`."""
        (line,) = [line for line in self.err.splitlines() if name in line]
        return line


def call(modality: Modality, *arguments: object, stdin: bytes = b"") -> Outcome:
    """Run the command in this process, as a user would: logging starts anew and nothing is caught."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    root = logging.getLogger()
    handlers, level, root.handlers = root.handlers, root.level, []
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr(warnings, "formatwarning", warnings.formatwarning)
        try:
            cli.main(modality, [str(argument) for argument in arguments])
        except SystemExit as ended:
            assert isinstance(ended.code, int)
            status = ended.code
        finally:
            root.handlers = handlers
            root.setLevel(level)
    assert "Traceback" not in err.getvalue()
    return Outcome(status, out.getvalue(), err.getvalue())
