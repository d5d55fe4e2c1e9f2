"""The flags of the verb serve."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from common.command_line.flag import Flag, Flat
from common.commands.flags.decoding import DecodingFlags
from common.commands.flags.shared import Segmentation
from common.recognition.loading import Device


@dataclass(frozen=True)
class ServeFlags:
    """Answer requests over HTTP, until the process is told to end (SIGTERM, Ctrl+C)."""

    host: str = "127.0.0.1"
    """Address to listen on; any other than that of this machine alone needs keys, or --no-key."""
    port: int = 8000
    """Port to listen on; 0: any that is free."""
    model: Annotated[Path | None, Flag(aliases=("-m",), default="the model that is installed")] = None
    """Model file, .onnx (runs without torch) or .safetensors, or the name of a bundled model. Several, with
    commas between, vote on each text. Without it, flags that work on letters may choose the model."""
    api_key_file: Path | None = None
    """File of keys, one a line, one of which every request must bring: `Authorization: Bearer KEY`."""
    no_key: bool = False
    """Answer everyone who can reach the address."""
    max_upload_mb: float = 25.0
    """Largest file that is received, in megabytes."""
    queue_seconds: float = 60.0
    """Refuse requests while the work that waits would take longer than this."""
    decoding: Flat[DecodingFlags] = field(default_factory=DecodingFlags)
    segmentation: Segmentation = None
    device: Device = "auto"
    """Where the network is computed."""
    threads: int = 0
    """Threads that compute the network; 0: one for each core."""
