"""Dockerfile, systemd unit and nginx lines of `recipes/serve`: all that they name exists and fits."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from asr.modality import ASR
from common.command_line.parser import parse
from common.commands import serve
from common.commands.flags.serve import ServeFlags
from common.serving.answering import WORKING_S
from common.serving.gate import OPEN_PATHS
from common.serving.server import FINISHING_S
from common.serving.uploads import FORM_BYTES, STALLED_S

ROOT = Path(__file__).parents[1]
DOCKERFILE, UNIT, NGINX = (
    (ROOT / "recipes" / "serve" / name).read_text(encoding="utf-8")
    for name in ("Dockerfile", "amanuensis.service", "nginx.conf")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETTINGS = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.M))


def instructions(name: str) -> list[str]:
    """Return what follows an instruction of the Dockerfile, each time that it is there."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M))
    return re.findall(rf"^{name} +(.*)$", lines, re.M)


def flags_of(words: list[str]) -> ServeFlags:
    """Return the flags after `asr serve`, which must be accepted."""
    assert [Path(words[0]).name, words[1]] == ["asr", "serve"]
    flags = parse(ServeFlags, words[2:], "asr serve", ASR)
    serve._check(ASR, flags)
    serve._check_host(flags, flags.api_key_file is not None)
    return flags


def container() -> ServeFlags:
    (command,) = instructions("CMD")
    return flags_of(json.loads(command))


def unit() -> ServeFlags:
    return flags_of(shlex.split(SETTINGS["ExecStart"]))


def directive(name: str) -> str:
    """Return the value of a directive of nginx that is there once."""
    (value,) = re.findall(rf"^\s*{name}\s+([^;{{}}]+);", NGINX, re.M)
    return value


def test_the_container_holds_all_that_the_installation_reads():
    copied = {path: to for line in instructions("COPY") for *paths, to in [line.split()] for path in paths}
    rooms = {package.split(".")[0] for package in PROJECT["tool"]["setuptools"]["packages"]}
    files = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert copied.keys() == rooms | files
    for path, to in copied.items():
        assert (ROOT / path).is_dir() == (path in rooms)
        assert to == (f"/source/{path}" if path in rooms else "/source/")


def test_the_container_installs_the_extra_of_the_verb_and_no_training():
    (install,) = [line for line in instructions("RUN") if "pip install" in line]
    (extras,) = re.findall(r'"/source\[([\w,]+)\]"', install)
    assert extras == "serve"
    named = re.findall(r"\[([a-z,]+)\]", DOCKERFILE + UNIT)
    assert {name for each in named for name in each.split(",")} <= PROJECT["project"][
        "optional-dependencies"
    ].keys()


def test_the_python_of_the_container_is_one_that_the_project_runs_on():
    (image,) = instructions("FROM")
    wanted = PROJECT["project"]["requires-python"].removeprefix(">=")
    version = image.removeprefix("python:").removesuffix("-slim")
    assert [int(part) for part in version.split(".")] >= [int(part) for part in wanted.split(".")]


def test_the_command_of_the_container_is_accepted_and_asks_for_keys():
    flags = container()
    assert flags.host == "0.0.0.0"
    assert not flags.no_key
    mounted = re.findall(r'--volume "\$PWD/keys:(\S+):ro"', DOCKERFILE)
    assert [Path(path) for path in mounted] == [flags.api_key_file]
    assert instructions("EXPOSE") == [str(flags.port)]
    assert f"--publish 127.0.0.1:{flags.port}:{flags.port} " in DOCKERFILE


def test_the_container_is_not_run_by_root():
    (user,) = instructions("USER")
    assert all(int(part) > 0 for part in user.split(":"))
    order = re.findall(r"^(\w+) ", DOCKERFILE, re.M)
    assert order.index("USER") > max(place for place, name in enumerate(order) if name in ("COPY", "RUN"))


def test_the_health_check_asks_an_address_that_needs_no_key():
    (check,) = instructions("HEALTHCHECK")
    program, option, code = json.loads(check.partition("CMD ")[2])
    assert (program, option) == ("python", "-c")
    compile(code, "health check", "exec")
    (port, path) = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", code).groups()
    assert int(port) == container().port
    assert path in OPEN_PATHS


def test_the_unit_starts_a_command_that_is_accepted_with_the_keys_it_is_given():
    flags = unit()
    assert flags.host == "127.0.0.1"
    name, _, path = SETTINGS["LoadCredential"].partition(":")
    assert flags.api_key_file == Path("${CREDENTIALS_DIRECTORY}") / name
    assert f"install -D -m 600 keys {path}" in UNIT
    assert Path(SETTINGS["ExecStart"].split()[0]).parent == Path("/opt/amanuensis/bin")
    assert SETTINGS["DynamicUser"] == "yes"


@pytest.mark.parametrize(
    "seconds",
    [SETTINGS["TimeoutStopSec"], re.search(r"--stop-timeout (\d+)", DOCKERFILE)[1]],
    ids=["unit", "container"],
)
def test_requests_under_way_may_be_finished_before_the_process_is_killed(seconds):
    assert int(seconds) > FINISHING_S


def test_nginx_asks_where_the_unit_listens_under_the_name_that_the_client_used():
    flags = unit()
    assert directive("server") == f"{flags.host}:{flags.port}"
    (upstream,) = re.findall(r"^upstream (\w+) ", NGINX, re.M)
    assert directive("proxy_pass") == f"http://{upstream}"
    assert directive("proxy_set_header Host") == "$http_host"


def test_nginx_lets_through_what_the_service_takes_itself():
    most_bytes = unit().max_upload_mb * 1e6 * 4 / 3 + FORM_BYTES
    size, mebi = re.fullmatch(r"(\d+)(m)", directive("client_max_body_size")).groups()
    assert mebi == "m" and int(size) * 2**20 >= most_bytes
    assert int(directive("client_body_timeout").removesuffix("s")) >= STALLED_S
    assert int(directive("proxy_read_timeout").removesuffix("s")) > WORKING_S


def test_nginx_passes_events_uploads_and_websockets_on_as_they_come():
    assert directive("proxy_buffering") == directive("proxy_request_buffering") == "off"
    assert directive("proxy_http_version") == "1.1"
    assert directive("proxy_set_header Upgrade") == "$http_upgrade"
    assert directive("proxy_set_header Connection") in re.findall(r"^map \$http_upgrade (\$\w+)", NGINX, re.M)
    assert NGINX.count("{") == NGINX.count("}")
