"""The run folder: settings that may differ, and settings that may not."""

from pathlib import Path

import pytest

from asr.configuration import FrontEndConfig
from common.recognition.configuration import EncoderConfig
from common.training.folder import as_json, changed_settings, check_folder, write_config

SETTINGS = {"run": "a", "head": {"task": "ctc"}, "training": {"epochs": 2, "seed": 1}}


def changed(**training: int) -> dict:
    return SETTINGS | {"training": SETTINGS["training"] | training}


def test_changed_settings_are_named_by_their_path():
    assert changed_settings(SETTINGS, changed(seed=2, workers=1)) == {
        "training.seed": (1, 2),
        "training.workers": (None, 1),
    }


def test_a_setting_that_an_older_version_did_not_have_counts_as_what_it_did_then(tmp_path: Path):
    now = as_json(EncoderConfig())
    before = {name: value for name, value in now.items() if name != "intermediate_weight"}
    write_config(tmp_path, {"encoder": before})
    sections = {"encoder": EncoderConfig}
    check_folder(tmp_path, True, {"encoder": now}, sections)
    with pytest.raises(ValueError, match=r"encoder\.intermediate_weight was 0\.0 and is 0\.3$"):
        check_folder(tmp_path, True, {"encoder": now | {"intermediate_weight": 0.3}}, sections)
    floor = as_json(FrontEndConfig())
    write_config(tmp_path, {"front_end": {name: value for name, value in floor.items() if name != "floor"}})
    with pytest.raises(ValueError, match=r"front_end\.floor was fixed and is relative$"):
        check_folder(tmp_path, True, {"front_end": floor}, {"front_end": FrontEndConfig})


def test_a_run_resumes_with_more_epochs_but_not_with_another_seed(tmp_path: Path):
    write_config(tmp_path, SETTINGS)
    check_folder(tmp_path, True, changed(epochs=9) | {"run": "b"})
    with pytest.raises(ValueError, match=r"training\.seed was 1 and is 2$"):
        check_folder(tmp_path, True, changed(seed=2))
    with pytest.raises(ValueError, match="already holds files"):
        check_folder(tmp_path, False, SETTINGS)
    with pytest.raises(ValueError, match="holds no run to resume"):
        check_folder(tmp_path / "new", True, SETTINGS)
    check_folder(tmp_path / "new", False, SETTINGS)
