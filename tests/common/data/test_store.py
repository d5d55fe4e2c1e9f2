"""The store gives back what was read, or nothing: of another file, of half a record, or of damaged bytes."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.data import store as module
from common.data.signal import Signal
from common.data.store import SignalStore, kind_of, room_in
from common.files.source import stamp

ROOM = 10**6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    return path


@pytest.fixture
def store(tmp_path: Path) -> SignalStore:
    return SignalStore(tmp_path / "kept", ROOM)


def keep(store: SignalStore, file: Path, values: np.ndarray, unit_per_step: float = 1.0) -> None:
    place = store.keep(str(file), stamp(str(file)), Signal(values, unit_per_step))
    assert place is not None
    store.note(str(file), place)


def kept(store: SignalStore, file: Path) -> Signal | None:
    place = store.place(str(file))
    return None if place is None else store.read(str(file), place)


# --- what is kept


SOUNDS = st.integers(1, 50).flatmap(
    lambda size: arrays(np.int16, size).map(lambda samples: samples / np.float32(32768))
)
FLOATS = arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)))
INKS = arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8))).map(
    lambda grey: np.linspace(0, 1, 256, dtype=np.float32)[grey]
)


@settings(deadline=None, max_examples=60)
@given(SOUNDS | FLOATS | INKS, st.floats(1e-6, 10))
def test_a_signal_comes_back_exactly(tmp_path_factory, values, unit_per_step):
    folder = tmp_path_factory.mktemp("store")
    source = folder / "source"
    source.write_bytes(b"")
    store = SignalStore(folder / "kept", ROOM)
    keep(store, source, values, unit_per_step)
    found = kept(store, source)
    assert found is not None
    assert found.values.dtype == np.float32
    assert found.values.shape == values.shape
    np.testing.assert_array_equal(found.values, values)
    assert found.unit_per_step == unit_per_step


@pytest.mark.parametrize(
    ("values", "bytes_each"),
    [
        (np.random.default_rng(0).integers(-(2**15), 2**15, 5000) / np.float32(2**15), 2),
        (np.linspace(0, 1, 256, dtype=np.float32)[np.arange(5000 * 4).reshape(5000, 4) % 256], 1),
        (np.random.default_rng(0).standard_normal(5000, dtype=np.float32), 4),
    ],
    ids=["16-bit sound", "grey image", "decoded from a lossy codec"],
)
def test_a_record_takes_the_fewest_bytes_that_are_exact(store, file, values, bytes_each):
    keep(store, file, values.astype(np.float32))
    (path,) = store.folder.iterdir()
    assert 0 <= path.stat().st_size - bytes_each * values.size < 1200  # a header and a palette of 256


def test_signals_of_another_shape_or_type_are_not_kept(store, file):
    for values in (np.zeros((2, 2, 2), np.float32), np.zeros(3)):
        assert store.keep(str(file), stamp(str(file)), Signal(values, 1.0)) is None


def test_other_settings_have_another_folder():
    assert kind_of("1", {"height": 48}) == kind_of("1", {"height": 48}) != kind_of("1", {"height": 64})


# --- other processes


def test_another_process_finds_what_was_kept_and_what_is_kept_later(store, file, tmp_path):
    other = SignalStore(store.folder, 0)
    other.refresh()
    assert kept(other, file) is None
    keep(store, file, np.ones(3, np.float32))
    second = tmp_path / "b.png"
    second.write_bytes(b"2")
    other.refresh()
    assert kept(other, second) is None
    keep(store, second, np.full(4, 0.3, np.float32))
    other.refresh()
    assert kept(other, file).values.tolist() == [1, 1, 1]
    assert len(kept(other, second).values) == 4


def test_each_process_has_a_file_of_its_own(store, file):
    keep(store, file, np.ones(3, np.float32))
    other = pickle.loads(pickle.dumps(store))
    assert other.place(str(file)) is None  # it is told the places that it needs
    keep(other, file, np.ones(3, np.float32))
    assert len(list(store.folder.iterdir())) == 2


def test_after_a_file_has_changed_its_later_record_is_found(store, file):
    keep(store, file, np.zeros(3, np.float32))
    file.write_bytes(b"changed")
    assert kept(store, file) is None
    keep(SignalStore(store.folder, ROOM), file, np.ones(3, np.float32))
    anew = SignalStore(store.folder, 0)
    anew.refresh()
    assert kept(anew, file).values.tolist() == [1, 1, 1]


def test_a_file_with_another_time_of_change_is_another_one(store, file):
    keep(store, file, np.zeros(3, np.float32))
    os.utime(file, ns=(1, 1))
    assert kept(store, file) is None


def test_the_name_of_another_source_does_not_open_a_record(store, file, tmp_path):
    keep(store, file, np.zeros(3, np.float32))
    other = tmp_path / "b.png"
    other.write_bytes(file.read_bytes())
    os.utime(other, ns=(os.stat(file).st_atime_ns, os.stat(file).st_mtime_ns))
    assert store.read(str(other), store.place(str(file))) is None


def test_parts_of_a_file_are_sources_of_their_own(store, file):
    for part, value in (("[0]", 0.25), ("[1]", 0.5)):
        source = f"{file}{part}"
        store.note(source, store.keep(source, stamp(str(file)), Signal(np.full(2, value, np.float32), 1.0)))
    for part, value in (("[0]", 0.25), ("[1]", 0.5)):
        source = f"{file}{part}"
        assert store.read(source, store.place(source)).values.tolist() == [value, value]


# --- what is not whole


def test_a_record_that_is_cut_off_at_any_byte_is_not_found_and_those_before_it_are(store, file, tmp_path):
    keep(store, file, np.full(3, 0.5, np.float32))
    (path,) = store.folder.iterdir()
    whole = path.stat().st_size
    second = tmp_path / "b.png"
    second.write_bytes(b"2")
    keep(store, second, np.full(3, 0.25, np.float32))
    content = path.read_bytes()
    for size in range(whole, len(content)):
        path.write_bytes(content[:size])
        anew = SignalStore(store.folder, 0)
        anew.refresh()
        assert kept(anew, file) is not None
        assert anew.place(str(second)) is None
        assert kept(store, second) is None  # the place was known before


def test_a_damaged_byte_anywhere_makes_a_record_void(store, file):
    keep(store, file, np.full(3, 0.5, np.float32))
    place = store.place(str(file))
    (path,) = store.folder.iterdir()
    content = path.read_bytes()
    for at in range(4, len(content)):  # the first four bytes only say that a record begins
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert store.read(str(file), place) is None
        SignalStore(store.folder, 0).refresh()


KILLED_WHILE_WRITING = """
import io, os, signal, sys
from pathlib import Path
import numpy as np
from common.data.signal import Signal
from common.data.store import SignalStore
from common.files.source import stamp

folder, whole, half = map(Path, sys.argv[1:])
store = SignalStore(folder, 10**6)
store.keep(str(whole), stamp(str(whole)), Signal(np.full(1000, 0.3, np.float32), 1.0))
class Torn:
    def __init__(self, file): self.file, self.name, self.tell = file, file.name, file.tell
    def write(self, record):
        self.file.write(record[: len(record) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
store._writing = Torn(store._writing)
store.keep(str(half), stamp(str(half)), Signal(np.full(1000, 0.3, np.float32), 1.0))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_what_a_killed_process_was_writing_is_not_used_and_what_it_had_written_is(store, file, tmp_path):
    half = tmp_path / "b.png"
    half.write_bytes(b"2")
    names = map(str, (store.folder, file, half))
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, *names]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    store.refresh()
    assert np.array_equal(kept(store, file).values, np.full(1000, 0.3, np.float32))
    assert store.place(str(half)) is None


# --- no room


def test_no_more_is_written_than_there_is_room_for(tmp_path, file):
    store = SignalStore(tmp_path / "cache" / "kind", 3000)
    values = np.random.default_rng(0).standard_normal(150, dtype=np.float32)  # 600 bytes and a header
    with pytest.warns(UserWarning, match="--cache-gb"):
        places = [store.keep(str(file), stamp(str(file)), Signal(values, 1.0)) for _ in range(9)]
    assert [place is not None for place in places] == [True] * 4 + [False] * 5
    used = 3000 - room_in(tmp_path / "cache", 3000)
    assert used == sum(path.stat().st_size for path in store.folder.iterdir()) <= 3000
    assert room_in(tmp_path / "cache", 10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of files")
def test_a_disk_that_takes_no_more_is_said_once_and_what_was_written_stays(store, file):
    import resource

    values = np.random.default_rng(0).standard_normal(1000, dtype=np.float32)
    keep(store, file, values)
    (path,) = store.folder.iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, before[1]))  # the kernel's own error
    try:
        with pytest.warns(UserWarning) as said:
            for _ in range(3):
                assert store.keep(f"{file}[1]", stamp(str(file)), Signal(values, 1.0)) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(said) == 1
    assert str(store.folder) in str(said[0].message)
    assert np.array_equal(kept(store, file).values, values)
    anew = SignalStore(store.folder, 0)
    anew.refresh()
    assert anew.place(f"{file}[1]") is None


def test_a_folder_that_cannot_be_made_is_said_and_nothing_is_kept(file, tmp_path):
    (tmp_path / "taken").write_bytes(b"a file")
    store = SignalStore(tmp_path / "taken" / "kind", ROOM)
    store.refresh()
    with pytest.warns(UserWarning, match="taken"):
        assert store.keep(str(file), stamp(str(file)), Signal(np.zeros(3, np.float32), 1.0)) is None


def test_space_is_left_on_the_disk_for_checkpoints(store, file, monkeypatch):
    monkeypatch.setattr(module, "RESERVE_BYTES", 2**62)
    with pytest.warns(UserWarning, match="disk"):
        assert store.keep(str(file), stamp(str(file)), Signal(np.zeros(3, np.float32), 1.0)) is None
