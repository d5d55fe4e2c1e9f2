"""Bulk work on Ray: every row is there once, whatever ends actors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray_transcribe

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "recipes" / "ocr" / "sample.png"
DEADLY = '''
"""Imported by every process: opening some images ends it."""
import os
import signal
from PIL import Image

real = Image.open


def opened(file, *arguments, **settings):
    name = os.path.basename(str(getattr(file, "name", file)))
    if name == "deadly.png":
        os._exit(11)
    if name == "once.png" and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return real(file, *arguments, **settings)


Image.open = opened
'''
TWO_NODES = """
import ray
import ray_transcribe
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
ray.init(address=cluster.address)
assert len(ray.nodes()) == 2
options = ray_transcribe.RayTranscribe("ocr", "list.txt", "out", block=4)
print(ray_transcribe.transcribe(options))
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = [str(folder / "site"), str(ROOT / "recipes" / "scale"), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def listed(folder: Path, *names: str) -> None:
    """Write a list, and link each name to an image."""
    for name in names:
        os.symlink(SAMPLE, folder / name)
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in names))


def rows(folder: Path) -> dict[str, str]:
    """Return the text or the error of each id; no id is there twice."""
    found = [json.loads(line) for path in (folder / "out").glob("*.jsonl") for line in path.open()]
    by_id = {row["id"]: row.get("text", row.get("error")) for row in found}
    assert len(by_id) == len(found)
    return by_id


def test_files_that_are_read_again_take_no_rows_of_others_with_them(tmp_path):
    folder, good = ray_transcribe.Folder(str(tmp_path)), b'{"id": "b", "text": ""}\n'
    first = ray_transcribe.block_name(["a", "b", "c.tif"])
    pages = b'{"id": "c.tif[0]", "text": ""}\n{"id": "c.tif[1]", "error": "c.tif[1]: cut"}\n'
    folder.write(f"{first}.jsonl", b'{"id": "a", "error": "a: cut"}\n' + good + pages)
    names = ["a", "b", "c.tif", "d"]
    seen = ray_transcribe.known(folder, retry_failed=False)
    assert list(ray_transcribe.blocks(iter(names), seen, 4)) == [["d"]]
    seen = ray_transcribe.known(folder, retry_failed=True)
    (again,) = ray_transcribe.blocks(iter(names), seen, 4)
    assert again == ["a", "c.tif", "d"]
    assert (tmp_path / f"{first}.jsonl").read_bytes() == good
    assert ray_transcribe.block_name(["a"]) != first


@pytest.mark.slow
def test_actors_that_end_on_two_nodes_lose_nothing_and_the_file_that_ends_them_is_named(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DEADLY)
    good = [f"{number}.png" for number in range(10)]
    listed(tmp_path, *good[:4], "once.png", *good[4:7], "deadly.png", *good[7:])
    with (tmp_path / "list.txt").open("a") as file:
        file.write("none.png\n")
    outcome = run(tmp_path, "-c", TWO_NODES)
    found = rows(tmp_path)
    assert sorted(found) == sorted([*good, "once.png", "deadly.png", "none.png"]), outcome.stderr
    assert "{'done': 11, 'failed': 2}" in outcome.stdout
    assert len({found[name] for name in [*good, "once.png"]}) == 1
    assert "ended without a word" in found["deadly.png"] and "does not exist" in found["none.png"]
    assert (tmp_path / "killed").exists()
