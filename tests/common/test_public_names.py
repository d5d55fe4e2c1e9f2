import ast
import subprocess
import sys
from pathlib import Path

import pytest

import common

PACKAGE = Path(common.__file__)


@pytest.mark.parametrize("name", common.__all__)
def test_a_public_name_is_that_of_its_module(name):
    value = getattr(common, name)
    assert value.__name__ == name
    assert value.__module__.startswith("common.")
    assert value.__doc__


def test_the_names_for_type_checkers_are_those_that_are_imported():
    tree = ast.parse(PACKAGE.read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    written = {}
    for node in block.body:
        written[node.module.removeprefix("common.")] = tuple(one.name for one in node.names)
    assert written == common._MODULES
    assert sorted(common.__all__) == sorted(name for names in written.values() for name in names)


def test_an_unknown_name_is_an_error_that_lists_the_known():
    with pytest.raises(AttributeError, match="has no attribute 'lstm'; its names are Alphabet, Att"):
        common.lstm  # noqa: B018


def test_names_that_need_no_torch_do_not_import_it():
    code = (
        "import sys; from common import cer, wer, BeamSearch, NGram, load_language_model, align, Document;"
        "assert cer('abcd', 'abxd') == 0.25 and wer('a b', 'a c') == 0.5; assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PACKAGE.parents[1], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
