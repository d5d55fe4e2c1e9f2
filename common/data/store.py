"""Signals that have been read, kept on disk for all processes and epochs of a run and for later runs.

    FOLDER/KIND/TIME-PROCESS.signals    one process appends records; all processes read them
        header | palette | values       one record: which file it was read from, and what was read

A record gives back exactly what was read: samples on the grid of 16 bits take two bytes each, values of which
there are at most 256 (the ink of an image of 256 grey levels) take one byte and a palette, all others four.

Nothing that is half-written is used. A process that is killed leaves at most one incomplete record, at the
end of a file that nobody goes on writing; each record has a checksum, for disks that lose what came last.
Records are read into memory of the process and not mapped: the system keeps one copy of the file for all
processes either way, the memory of a process does not grow with the records that it has seen, and a file that
is cut off meanwhile cannot end the process.
"""

import hashlib
import os
import secrets
import shutil
import struct
import time
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from common.data.signal import Signal
from common.files.source import absolute, stamp

RESERVE_BYTES = 2**30
"""space that is left on the disk: a run must be able to write its checkpoints"""
MOST_OPEN = 64
"""files that a process holds open for reading"""
COLOURS = 256
"""largest number of different values of which each takes one byte"""
LOOKED_AT = 4096
"""first values of a signal that must have few different ones before all of them are looked at"""

_MAGIC = b"sig1"
_HEADER, _HEADER_BYTES = "<4sI16sqqdBBHII", 60
"""magic, checksum of all after it, digest of the source, size and mtime of its file, unit per step; kind,
dimensions, number of values in the palette, steps, values of a step"""
_CHECKED = 8
"""where the part of a record begins that the checksum is of"""
_FLOAT, _INTEGER, _PALETTE = 0, 1, 2
_GRID = 32_768.0


class Place(NamedTuple):
    """Where a record is: the name of its file and its first byte."""

    file: str
    offset: int


class SignalStore:
    """The signals of one kind that are kept in a folder.

    One process holds the places of all records, and tells them to others that read and write. If a store is
    sent to another process, its places and its open files stay here.

    Args:
        folder: of this kind of signals: what is kept depends on how it is read. It is created when needed.
        room_bytes: how much each process may write.
    """

    def __init__(self, folder: Path, room_bytes: int) -> None:
        self.folder, self.room_bytes = folder, room_bytes
        self._places: dict[bytes, Place] = {}
        self._scanned: dict[str, int] = {}
        self._reading: dict[str, BinaryIO] = {}
        self._writing: BinaryIO | None = None

    def __reduce__(self) -> tuple[type, tuple[Path, int]]:
        """Say what a store in another process is made of."""
        return SignalStore, (self.folder, self.room_bytes)

    # --- places

    def refresh(self) -> None:
        """Learn the places of the records that other processes have written; later records win."""
        try:
            files = sorted(self.folder.glob("*.signals"))  # by the time of their beginning
        except OSError:
            return
        for path in files:
            try:
                with path.open("rb", buffering=0) as file:
                    self._scan(file, path.name)
            except OSError:
                continue

    def _scan(self, file: BinaryIO, name: str) -> None:
        """Note the complete records of a file from the place on where the last scan ended."""
        offset, end = self._scanned.get(name, 0), os.fstat(file.fileno()).st_size
        while offset + _HEADER_BYTES <= end:
            file.seek(offset)
            fields = struct.unpack(_HEADER, file.read(_HEADER_BYTES))
            following = offset + _HEADER_BYTES + _payload_bytes(fields)
            if fields[0] != _MAGIC or following > end:
                break
            self._places[fields[2]] = Place(name, offset)
            offset = following
        self._scanned[name] = offset

    def place(self, source: str) -> Place | None:
        """Return where the signal of `source` is, if it is known to be kept."""
        return self._places.get(_digest(source))

    def note(self, source: str, place: Place) -> None:
        """Remember the place at which a process has kept the signal of `source`."""
        self._places[_digest(source)] = place

    # --- records

    def read(self, source: str, place: Place) -> Signal | None:
        """Return the signal at `place`, or None if it is not whole or the file of `source` has changed."""
        try:
            current = stamp(source)
            file = self._opened(place.file)
            file.seek(place.offset)
            header = file.read(_HEADER_BYTES)
            fields = struct.unpack(_HEADER, header)
            size_bytes = _payload_bytes(fields)
            if file.tell() + size_bytes > os.fstat(file.fileno()).st_size:
                return None
            payload = bytearray(size_bytes)
            complete = file.readinto(payload) == size_bytes  # type: ignore[attr-defined]
        except (OSError, struct.error):
            return None
        checksum = _checksum(header[_CHECKED:], payload)
        _, kept_checksum, digest, size, mtime_ns, unit, kind, dimensions, colours, steps, width = fields
        if not complete or checksum != kept_checksum or digest != _digest(source):
            return None
        if (size, mtime_ns) != current:
            return None
        values = _unpacked(payload, kind, colours)
        return Signal(values.reshape((steps, width)[:dimensions]), unit)

    def _opened(self, name: str) -> BinaryIO:
        if name not in self._reading:
            if len(self._reading) >= MOST_OPEN:
                self._reading.pop(next(iter(self._reading))).close()
            self._reading[name] = (self.folder / name).open("rb", buffering=0)
        return self._reading[name]

    def keep(self, source: str, version: tuple[int, int], signal: Signal) -> Place | None:
        """Append a signal; return its place, or None if there is no room for it.

        The first failure is said in a warning, and nothing more is kept after it.

        Args:
            source: where it was read from.
            version: the `stamp` of `source`, from before it was read.
            signal: what was read.
        """
        if self.room_bytes <= 0 or signal.values.ndim not in (1, 2) or signal.values.dtype != np.float32:
            return None
        record = _record(source, version, signal)
        try:
            if len(record) > self.room_bytes:
                raise OSError(None, "the space of --cache-gb is used up")
            if self._writing is None:
                self._writing = self._new_file()
            if shutil.disk_usage(self.folder).free < RESERVE_BYTES + len(record):
                raise OSError(None, f"the disk has less than {RESERVE_BYTES / 1e9:.0f} GB left")
            place = Place(Path(self._writing.name).name, self._writing.tell())
            if self._writing.write(record) != len(record):
                raise OSError(None, "the disk is full")
        except OSError as error:
            self.room_bytes = 0  # what is incomplete stays the last record of this file
            warnings.warn(
                f"{self.folder}: no more signals are kept ({error.strerror or error}); the others are read"
                " from their own files in each epoch, which takes longer",
                stacklevel=2,
            )
            return None
        self.room_bytes -= len(record)
        return place

    def _new_file(self) -> BinaryIO:
        """Return a new file of this process; names are in the order of time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}.signals"
        return (self.folder / name).open("xb", buffering=0)


def room_in(folder: Path, limit_bytes: float) -> int:
    """Return what may still be written to a folder so that all kinds of signals in it take `limit_bytes`."""
    used = 0
    for path in folder.glob("*/*.signals"):
        try:
            used += path.stat().st_size
        except OSError:
            continue
    return max(0, int(limit_bytes) - used)


def kind_of(*settings: object) -> str:
    """Return a name for the folder of the signals that are read under `settings`."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def _digest(source: str) -> bytes:
    return hashlib.blake2b(os.fsencode(absolute(source)), digest_size=16).digest()


def _checksum(header: bytes, payload: bytes | bytearray) -> int:
    """Return a checksum of a record: a CRC of the header and of the sum of the payload as words of 8 bytes.

    The sum shows what disks lose, and takes a tenth of the time of a CRC of the payload.
    """
    words = np.frombuffer(payload, np.uint64, len(payload) // 8)
    total = int(words.sum(dtype=np.uint64)).to_bytes(8, "little")
    return zlib.crc32(bytes(payload[8 * len(words) :]), zlib.crc32(total, zlib.crc32(header)))


def _payload_bytes(fields: tuple) -> int:
    """Return the number of bytes of palette and values, of a header."""
    kind, dimensions, colours, steps, width = fields[6:]
    count = steps * (width if dimensions > 1 else 1)
    return 4 * colours + count * {_INTEGER: 2, _PALETTE: 1}.get(kind, 4)


def _record(source: str, version: tuple[int, int], signal: Signal) -> bytes:
    kind, palette, packed = _packed(signal.values)
    steps, width = (*signal.values.shape, 1)[:2]
    payload = palette.tobytes() + packed.tobytes()
    rest = (signal.unit_per_step, kind, signal.values.ndim, len(palette), steps, width)
    header = struct.pack(_HEADER, _MAGIC, 0, _digest(source), *version, *rest)[_CHECKED:]
    checksum = _checksum(header, payload)
    return _MAGIC + struct.pack("<I", checksum) + header + payload


def _packed(values: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the kind of the smallest exact form of float32 `values`, the palette and the packed values."""
    empty = np.zeros(0, np.float32)
    with np.errstate(over="ignore"):
        scaled = values * _GRID
    if scaled.min(initial=0) >= -_GRID and scaled.max(initial=0) < _GRID:
        integers = scaled.astype(np.int16)
        if np.array_equal(integers.astype(np.float32) / _GRID, values):
            return _INTEGER, empty, integers
    flat = values.reshape(-1)
    if len(np.unique(flat[:LOOKED_AT])) <= COLOURS:
        palette, indices = np.unique(flat, return_inverse=True)
        if len(palette) <= COLOURS and 4 * len(palette) + flat.size < 4 * flat.size:
            return _PALETTE, palette, indices.astype(np.uint8)
    return _FLOAT, empty, values


def _unpacked(payload: bytearray, kind: int, colours: int) -> np.ndarray:
    """Return the values (N,), float32, of palette and packed values."""
    if kind == _INTEGER:
        return np.frombuffer(payload, np.int16).astype(np.float32) / _GRID
    if kind == _PALETTE:
        palette = np.frombuffer(payload, np.float32, colours)
        return np.take(palette, np.frombuffer(payload, np.uint8, offset=4 * colours))
    return np.frombuffer(payload, np.float32)
