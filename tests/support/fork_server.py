"""Fork servers of multiprocessing besides the one of the test process.

That one is started by the first test that needs it, and has imported only what that test needs. A process of
another test that is forked from it would import torch again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver

import pytest


@contextmanager
def forked_from(server: forkserver.ForkServer) -> Iterator[None]:
    """Let processes that are started in the block be forked from a server."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect_to_new_process", "ensure_running", "set_forkserver_preload"):
            patch.setattr(forkserver, name, getattr(server, name))
        yield
