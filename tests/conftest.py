"""What holds for every test: it depends on no clock and no chance, and writes only into pytest's folders."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import chromium_path
from hypothesis import settings

import ocr.drawing.fonts
from common.recognition.passages import turning

settings.register_profile("same everywhere", deadline=None, derandomize=True, database=None)
settings.load_profile("same everywhere")


def pytest_configure(config: pytest.Config) -> None:
    """Let each of several test processes compute with one thread; they inherit the environment."""
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests that need a GPU or a browser where there is none."""
    if item.get_closest_marker("browser") and chromium_path() is None:
        pytest.skip("needs Chromium")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep lengths of files, and what libraries cache, away from the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def same_fonts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Draw with fonts that matplotlib brings, instead of those of this machine."""
    matplotlib, folder = find_spec("matplotlib"), tmp_path_factory.mktemp("fonts")
    assert matplotlib is not None and matplotlib.origin is not None
    for name in ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Italic"):
        source = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
        (folder / source.name).symlink_to(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ocr.drawing.fonts, "FONT_FOLDERS", (str(folder),))
        yield


@pytest.fixture(autouse=True)
def untrained_models_turn_no_lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most models of tests are no judges of how a line lies; tests of turning are marked."""
    if request.node.get_closest_marker("turning") is None:
        monkeypatch.setattr(turning, "SURER", 2.0)


@pytest.fixture(autouse=True)
def same_process() -> Iterator[None]:
    """Undo what a command sets for its process: threads, the level of the log, the form of warnings."""
    torch, root = sys.modules.get("torch"), logging.getLogger()
    threads, level, form = torch.get_num_threads() if torch else 0, root.level, warnings.formatwarning
    yield
    root.setLevel(level)
    warnings.formatwarning = form
    if torch and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
