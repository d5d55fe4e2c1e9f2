"""The verb serve."""

import ipaddress
import logging
import os
import socket
import sys
from pathlib import Path

from common.command_line.parser import UsageError
from common.commands.decoding import model_for, set_decoder
from common.commands.flags.serve import ServeFlags
from common.commands.flags.shared import check_threads
from common.files.plain_text import read_lines
from common.recognition.modality import Modality
from common.recognition.voting.loading import load_models, model_paths

SHORTEST_KEY = 16
"""characters of a key; a shorter one can be guessed"""

SWITCH_S = 0.0005
"""how long a thread keeps the interpreter while others want it: a request goes through several threads"""


def run(modality: Modality, arguments: ServeFlags) -> None:
    """Answer requests until the process is told to end."""
    _check(modality, arguments)
    keys = _read_keys(arguments.api_key_file)
    _check_host(arguments, bool(keys))
    # here, so that no other verb and no help needs the extra
    from common.serving.application import build
    from common.serving.server import Server, bound_socket, raise_file_limit
    from common.serving.service import ServingConfig

    place = bound_socket(arguments.host, arguments.port)
    model = model_for(modality, arguments.model, arguments.decoding)
    recognizer = load_models(modality, model, arguments.device, arguments.threads)
    set_decoder(recognizer, arguments.decoding)
    recognizer.segmentation_config = arguments.segmentation
    config = ServingConfig(
        keys=keys,
        local_names_only=not keys and not arguments.no_key,
        max_upload_bytes=round(arguments.max_upload_mb * 1e6),
        queue_s=arguments.queue_seconds,
    )
    name = "+".join(path.stem for path in model_paths(modality, model))
    application, service = build(recognizer, name, config)
    raise_file_limit()
    sys.setswitchinterval(SWITCH_S)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it logs bytes of damaged forms
    print(f"{modality.name}: {service.name} at {_address(place)}", file=sys.stderr)
    Server(application, service).listen(place)
    if service.readers.lost:
        os._exit(0)  # Python would wait for threads that hang


def _check(modality: Modality, arguments: ServeFlags) -> None:
    if modality.serving is None:
        raise UsageError(f"`{modality.name}` cannot be served")
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port is {arguments.port}; give 0 to 65535")
    if not 0 < arguments.max_upload_mb <= 2000:
        raise UsageError(f"--max-upload-mb is {arguments.max_upload_mb:g}; give more than 0, at most 2000")
    if not arguments.queue_seconds >= 0:
        raise UsageError(f"--queue-seconds is {arguments.queue_seconds:g}; give 0 or more")
    check_threads(arguments.threads)


def _check_host(arguments: ServeFlags, has_keys: bool) -> None:
    """Raise UsageError if others could ask without a key, and nobody said that they may."""
    if has_keys and arguments.no_key:
        raise UsageError("--api-key-file and --no-key contradict each other; give one")
    if not has_keys and not arguments.no_key and not _is_loopback(arguments.host):
        raise UsageError(
            f"--host {arguments.host}: others can reach it; give --api-key-file, or --no-key to let them all"
        )


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[0])).is_loopback for *_, address in found)


def _read_keys(path: Path | None) -> frozenset[bytes]:
    """Return the keys in a file.

    Raises:
        ValueError: it has none, or one that is too short.
    """
    if path is None:
        return frozenset()
    keys = frozenset(line.strip().encode() for line in read_lines(path) if line.strip())
    if not keys:
        raise ValueError(f"{path}: has no key; write one in a line")
    if min(map(len, keys)) < SHORTEST_KEY:
        raise ValueError(f"{path}: a key is shorter than {SHORTEST_KEY} characters; write a longer one")
    return keys


def _address(place: socket.socket) -> str:
    host, port, *_ = place.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
