"""The run folder, and the facts about a run that are kept.

config.json             the settings; a resumed run must have the same
refused.txt             one sentence for each example that was left out
latest.ckpt             the last checkpoint                              written by checkpoint.py
best.safetensors        the model with the lowest dev error rate so far  written by loop.py
log.csv                 one row for each epoch                           written by log.py
events.out.tfevents.*   the same figures for TensorBoard                 written by log.py
"""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from common.files.plain_text import json_text
from common.files.standard import ANY_NAME
from common.recognition.configuration import build_config
from common.training.configuration import RESUMABLE


def as_json(config: Any) -> dict[str, Any]:
    """Return the dataclass `config` as config.json holds it: dicts, lists, numbers and strings."""
    return json.loads(json.dumps(asdict(config), default=str))


def check_folder(
    run: Path, resume: bool, settings: dict[str, Any], sections: Mapping[str, type] | None = None
) -> None:
    """Check that a run may use a folder: no other run is overwritten or continued with other settings.

    Args:
        run: the run folder; it need not exist.
        resume: whether the run in the folder is to be continued.
        settings: as `as_json` returns them.
        sections: the dataclasses of sections of the settings. What the run to resume lacks in them counts
            as what was done before there was such a setting.

    Raises:
        ValueError: `run` is a file, holds files without `resume`, or holds no run to resume; or the settings
            differ from those in its config.json, apart from the ones in RESUMABLE.
    """
    kept = run / "config.json"
    if run.exists() and not run.is_dir():
        raise ValueError(f"{run}: is a file; --run wants a folder of its own")
    if not resume:
        if run.is_dir() and any(run.iterdir()):
            raise ValueError(f"{run}: already holds files; go on with --resume, or name another folder")
        return
    if not kept.exists():
        raise ValueError(f"{run}: holds no run to resume (no config.json); leave --resume out")
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
        before |= {
            name: as_json(build_config(kind, before[name]))
            for name, kind in (sections or {}).items()
            if name in before
        }
    except (ValueError, TypeError) as error:
        raise ValueError(f"{kept}: is damaged ({error}); start anew in another run folder") from error
    free = RESUMABLE | {"resume", "run"}
    changes = sorted(
        f"{name} was {old} and is {new}"
        for name, (old, new) in changed_settings(before, settings).items()
        if name.rpartition(".")[2] not in free
    )
    if changes:
        raise ValueError(f"{run}: cannot be resumed with other settings: {', '.join(changes)}")


def changed_settings(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new value of each setting that differs, by its name, such as "training.epochs".

    A setting that one side does not have is None there.
    """
    old, new = _flatten(before), _flatten(now)
    return {name: (old.get(name), new.get(name)) for name in new | old if old.get(name) != new.get(name)}


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def write_config(run: Path, settings: dict[str, Any]) -> None:
    """Write config.json, which `check_folder` reads when the run is resumed."""
    text = json_text(settings, indent=2) + "\n"
    (run / "config.json").write_text(text, encoding="utf-8")


def write_refused(run: Path, problems: Sequence[str]) -> None:
    """Write refused.txt: one sentence for each example that was left out."""
    lines = "".join(f"{sentence}\n" for sentence in problems)
    (run / "refused.txt").write_text(lines, encoding="utf-8", errors=ANY_NAME)


def provenance() -> dict[str, str]:
    """Return the versions, the machine and the commit of a run; the card of its model begins with them."""
    return {
        "software": f"amanuensis {version('amanuensis')}",
        "torch": torch.__version__,
        "machine": platform.machine(),
        "commit": _commit(),
    }


def _commit() -> str:
    """Return the commit of the checkout that this file belongs to, or "" outside of a checkout."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
