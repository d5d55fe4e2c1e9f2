"""Imports point down, both sides are alike, torch stays in its rooms, and importing does no work."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("common", "ocr", "asr")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
MODULES = {str(path.relative_to(ROOT).with_suffix("")).replace("/", "."): path for path in FILES}
ORDER = (
    "command_line",
    "files",
    "text",
    "data",
    "language",
    "network",
    "decoding",
    "recognition",
    "training",
    "serving",
    "commands",
    "cli",
)
"""the rooms of common, from the ground up: each imports only itself and what stands before it"""
TORCH_ROOMS = (
    *(
        "data.batching",
        "data.text_streams",
        "decoding.attention",
        "network",
        "training",
        "commands.lm.recurrent",
    ),
    *("recognition.export", "recognition.recognizer"),
    *("decoding.beam.device_steps", "decoding.ctcdecode"),
)
"""modules that need torch, and packages all of whose modules do, except those named next"""
WITHOUT_TORCH = ("network.choices", "training.configuration", "training.preparation")
SIDE_ROOMS = ("source", "signal", "segmentation", "rendering", "corpora", "configuration", "modality")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Return the name of every module that `path` imports, also within functions."""
    names = list[str]()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    return tuple(names)


# --- imports point down


def test_the_rooms_are_found():
    assert {"common.network.ctc", "common.decoding.greedy", "ocr.signal", "asr.signal"} <= MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_and_are_absolute(module):
    room = module.split(".")[0]
    forbidden = {"common": {"ocr", "asr"}, "ocr": {"asr"}, "asr": {"ocr"}}[room] | {"tests", "recipes"}
    for name in imported(MODULES[module]):
        assert not name.startswith("."), f"{module} imports {name} by a relative path"
        assert name.split(".")[0] not in forbidden, f"{module} imports {name}"


def test_the_core_names_no_side():
    """Not in a string either: what common knows of a side, the side's Modality has told it."""
    for module, path in MODULES.items():
        if not module.startswith("common"):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in ("ocr", "asr"), f"{module}:{node.lineno} names {node.value!r}"


def test_both_sides_have_the_same_files():
    sides = [{path.name for path in (ROOT / side).glob("*.py")} for side in ("ocr", "asr")]
    assert sides[0] == sides[1]
    assert {"__init__.py", "__main__.py", "modality.py", "signal.py", "front_end.py"} <= sides[0]


ONE_SIDED = {
    "drawing": "ocr: spoken tones are one module",
    "comparison": "ocr: only pages have lines to match with those of transcribers",
    "media": "asr: only sound comes in containers of several tracks",
}
"""packages that one side alone has, and why; in the others, `formats`, `segmentation` and `serving`, the
files differ, since a page becomes lines and ALTO, and a recording utterances and subtitles"""


def test_packages_of_one_side_alone_are_known_with_their_reason():
    packages = [{path.parent.name for path in (ROOT / side).glob("*/__init__.py")} for side in ("ocr", "asr")]
    assert packages[0] ^ packages[1] == ONE_SIDED.keys()


def test_no_file_is_called_utils():
    assert not {path.stem for path in FILES} & {"utils", "util", "helpers", "misc", "base"}


def test_every_package_is_installed():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    here = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in FILES}
    assert sorted(packages) == sorted(here)


def test_every_file_that_is_no_module_is_installed_with_its_package():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*")):
        if not path.is_file() or path.suffix == ".py" or "__pycache__" in path.parts:
            continue
        package = next(folder for folder in path.parents if (folder / "__init__.py").exists())
        patterns = data.get(str(package.relative_to(ROOT)).replace("/", "."), [])
        assert any(path in package.glob(pattern) for pattern in patterns), f"{path} is not installed"


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def room(module: str) -> str:
    """Return the room of common that a module is in."""
    return module.split(".")[1]


def test_rooms_of_common_import_only_what_stands_below_them():
    for module, path in MODULES.items():
        if not module.startswith("common.") or module == "common.__init__":
            continue
        for name in imported(path):
            if name.startswith("common."):
                assert ORDER.index(room(name)) <= ORDER.index(room(module)), f"{module} imports {name}"


def test_no_imports_go_in_circles():
    """Not even when a function is called, or for the type checker alone."""
    graph = {module: {name for name in imported(path) if name in MODULES} for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_no_room_has_more_than_a_dozen_files():
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= 12, folder


SHARED_NAMES: frozenset[str] = frozenset()
"""constants that may have different values in different modules"""


def constants(path: Path) -> Iterator[tuple[str, object]]:
    """Yield the name and the value of every module-level constant that is assigned a literal."""
    for statement in parsed(path).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        pairs = [(target, statement.value) for target in targets]
        for target, value in pairs:
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs += zip(target.elts, value.elts, strict=True)
            if isinstance(target, ast.Name) and target.id.isupper():
                with suppress(ValueError):  # not a literal
                    yield target.id, ast.literal_eval(value)


def test_constants_of_one_name_have_one_value():
    values: dict[str, dict[str, set[str]]] = {}
    for module, path in MODULES.items():
        if module.startswith("common"):
            for name, value in constants(path):
                values.setdefault(name, {}).setdefault(repr(value), set()).add(module)
    found = {name: known for name, known in values.items() if len(known) > 1 and name not in SHARED_NAMES}
    assert not found, found


# --- torch


def modules_without_torch() -> list[str]:
    heavy = tuple(f"common.{name}" for name in TORCH_ROOMS)
    light = [f"common.{name}" for name in WITHOUT_TORCH]
    names = [
        name
        for name in MODULES
        if name.startswith("common") and not name.endswith("__init__")
        if name in light or not any(name == one or name.startswith(f"{one}.") for one in heavy)
    ]
    return names + [f"{side}.{name}" for side in ("ocr", "asr") for name in SIDE_ROOMS] + ["ocr", "asr"]


@pytest.mark.slow
def test_rooms_that_do_without_torch_do_not_import_it(imports):
    assert imports["heavy"] == {}


# --- importing does no work

PURE = {
    *("dict", "frozenset", "set", "tuple", "range", "sorted", "str.maketrans", "TypeVar"),
    *(
        "field",
        "logging.getLogger",
        "Flag",
        "Word",
        "math.sqrt",
        "re.compile",
        "threading.Lock",
        "Modality",
        "Verb",
    ),
}
"""What may be called while a module is imported."""


def statements_run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from statements_run_at_import(statement.body)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.Import | ast.ImportFrom):
            yield statement


def is_method_of_a_constant(function: ast.expr) -> bool:
    """Return whether it is as in `"a b".split`."""
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Constant)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_only_defines(module):
    for statement in statements_run_at_import(parsed(MODULES[module]).body):
        where = f"{module}:{statement.lineno}"
        if isinstance(statement, ast.If):
            assert ast.unparse(statement.test) in ("__name__ == '__main__'", "TYPE_CHECKING"), where
            continue
        if isinstance(statement, ast.Expr):
            assert isinstance(statement.value, ast.Constant), f"{where}: {ast.unparse(statement)}"
            continue
        assert isinstance(statement, ast.Assign | ast.AnnAssign), f"{where}: {ast.unparse(statement)}"
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and not is_method_of_a_constant(node.func):
                assert ast.unparse(node.func) in PURE, f"{where} calls {ast.unparse(node.func)}"


IMPORTS = """
import json, logging, os, random, sys, threading, warnings

heavy = {}
for name in LIGHT:
    __import__(name)
    found = [other for other in ("torch", "torchaudio", "torchvision", "lightning") if other in sys.modules]
    if found and not heavy:
        heavy[name] = found
for name in [name for name in sys.modules if name.split(".")[0] in ("common", "ocr", "asr")]:
    del sys.modules[name]  # to be imported again, beside the others

import lightning.fabric, numpy, PIL.Image, rapidfuzz, safetensors, soundfile, soxr, tqdm
import torch, torch.utils.data, torch.utils.tensorboard, torchaudio, torchvision.transforms.v2

def state():
    return [
        dict(os.environ), os.getcwd(), logging.root.handlers[:], logging.root.level, threading.active_count(),
        warnings.filters[:], random.getstate(), numpy.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype(),
        torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(), PIL.Image.MAX_IMAGE_PIXELS, sys.argv[:],
    ]

written = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        written.append(repr(arguments[:2]))
    if event in ("subprocess.Popen", "os.system", "socket.connect", "socket.getaddrinfo", "os.mkdir"):
        written.append(repr((event, arguments)))

before = state()
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in ALL:
    __import__(name)
found = {"heavy": heavy, "written": list(written)}
found["changed"] = [[repr(old), repr(new)] for old, new in zip(before, state()) if old != new]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imports() -> dict[str, Any]:
    """Return what importing does in a process of its own: first what needs no torch, then everything."""
    modules = [module for module in MODULES if not module.endswith(("__init__", "__main__"))]
    code = f"LIGHT, ALL = {modules_without_torch()}, {modules}\n{IMPORTS}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    (printed,) = done.stdout.splitlines()
    return json.loads(printed)


@pytest.mark.slow
def test_importing_everything_changes_nothing_in_the_process(imports):
    assert imports["written"] == []
    assert imports["changed"] == []
