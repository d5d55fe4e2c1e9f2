import errno
import io
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from common.files.model_file import FORMAT_VERSION, read_model, write_model

TENSORS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([0.5, -1], np.float16)}
HEADER = {"modality": "ocr", "alphabet": ["a", "ä"], "nested": {"cer": 0.02, "none": None}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def written(folder: Path) -> Path:
    path = folder / "model.safetensors"
    write_model(path, TENSORS, HEADER)
    return path


def test_header_and_tensors_are_read_back(tmp_path):
    model = read_model(written(tmp_path))
    assert model.header == {**HEADER, "format_version": FORMAT_VERSION}
    assert model.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(model.tensors[name], tensor, strict=True)


def test_a_tensor_of_int8_is_read_as_the_products_with_the_scales_of_its_rows(tmp_path):
    tensors = {"w": np.int8([[1, -127], [3, 0]]), "w.row_scale": np.float32([0.5, 2]), "n": np.int8([7])}
    write_model(tmp_path / "m", tensors, {})
    found = read_model(tmp_path / "m").tensors
    assert {name: values.tolist() for name, values in found.items()} == {
        "w": [[0.5, -63.5], [6, 0]],
        "n": [7],
    }
    assert found["w"].dtype == np.float32


@pytest.mark.parametrize(
    "tensors",
    [
        {"w.row_scale": np.float32([1])},
        {"w": np.int8([[1], [2]]), "w.row_scale": np.float32([1])},
        {"w": np.float32([[1]]), "w.row_scale": np.float32([1])},
        {"w": np.int8(1).reshape(()), "w.row_scale": np.float32([1])},
    ],
    ids=["no tensor", "another number of rows", "float32", "no rows"],
)
def test_scales_that_do_not_fit_are_damage_with_the_name_of_the_tensor(tmp_path, tensors):
    write_model(tmp_path / "m", tensors, {})
    with pytest.raises(ValueError, match=r"m: is damaged \(w does not fit its scales\)"):
        read_model(tmp_path / "m")


@pytest.mark.slow
@settings(deadline=None)  # the disk may be slow
@given(st.dictionaries(st.text(), JSON))
def test_any_header_that_json_holds_is_read_back(tmp_path_factory, header):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    write_model(path, {}, header)
    assert read_model(path).header == {**header, "format_version": FORMAT_VERSION}


@pytest.mark.parametrize(
    "tensor",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12)[::-2],
        np.float32(3).reshape(()),
        np.zeros((0, 3), np.int8),
        np.array([1.0, 2.0], ">f4"),
        np.array([True, False]),
    ],
)
def test_a_tensor_keeps_its_shape_and_values_however_it_lies_in_memory(tmp_path, tensor):
    write_model(tmp_path / "m", {"tensor": tensor}, {})
    read = read_model(tmp_path / "m").tensors["tensor"]
    assert read.dtype == tensor.dtype.newbyteorder("=")
    assert read.shape == tensor.shape
    np.testing.assert_array_equal(read, tensor)


def test_the_file_is_one_that_the_safetensors_library_opens(tmp_path):
    with safe_open(written(tmp_path), framework="np") as file:
        assert set(file.keys()) == {"weight", "bias"}
        np.testing.assert_array_equal(file.get_tensor("weight"), TENSORS["weight"])
        assert json.loads(file.metadata()["amanuensis"])["modality"] == "ocr"


def test_the_same_model_gives_the_same_bytes(tmp_path):
    first = written(tmp_path).read_bytes()
    write_model(tmp_path / "again", dict(reversed(TENSORS.items())), HEADER)
    assert (tmp_path / "again").read_bytes() == first


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is cut short" if length >= 8 else "is not a|is empty"):
            read_model(path)


def test_a_file_that_is_cut_short_says_by_how_much(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(ValueError) as error:
        read_model(path)
    assert str(error.value) == (
        f"{path}: is cut short, {len(whole) - 5} bytes of at least {len(whole)}; "
        "copy or train the model again"
    )


@settings(deadline=None)  # the disk may be slow
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"m.safetensors: .*; "):
        read_model(path)


@settings(deadline=None)  # the disk may be slow
@given(st.data())
def test_a_changed_byte_is_harmless_or_refused_with_a_sentence(tmp_path_factory, data):
    path = written(tmp_path_factory.mktemp("model"))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_model(path)
    except ValueError as error:
        assert str(error).startswith(str(path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"none: no such file; name a model file \(.safetensors\)"):
        read_model(tmp_path / "none")
    with pytest.raises(ValueError, match=r"is a folder; name a model file \(.safetensors\) in it"):
        read_model(tmp_path)


def raw(index: object, tensors: bytes = b"") -> bytes:
    described = json.dumps(index).encode()
    return struct.pack("<Q", len(described)) + described + tensors


def metadata(header: object) -> bytes:
    return raw({"__metadata__": {"amanuensis": json.dumps(header)}})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; copy or train the model again"),
        (b"model", r"is not a .safetensors file \(pickles are not read\); name a model we wrote"),
        (b"a long text, which is no model at all", "is not a .safetensors file"),
        (pickle.dumps({"weight": [1.0] * 10}), "is not a .safetensors file"),
        (b"PK\x03\x04" + bytes(30), "is not a .safetensors file"),
        (raw({}), "holds tensors but no 'amanuensis' header, so it is no model of ours"),
        (raw({"__metadata__": {"format": "pt"}}), "holds tensors but no 'amanuensis' header"),
        (metadata({"format_version": 2}), "is of format version 2, known here up to 1; install a newer"),
        (metadata({"format_version": "1"}), "its header is damaged"),
        (metadata({"format_version": 0}), "its header is damaged"),
        (metadata({}), "its header is damaged"),
        (metadata([1]), "its header is damaged"),
        (raw({"__metadata__": {"amanuensis": "{"}}), "its header is damaged"),
        (raw({"a": 3}), "is damaged"),
        (metadata({"format_version": 1}) + b"more", "is damaged"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, content, sentence):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ValueError, match=f"{tmp_path}/m: {sentence}"):
        read_model(tmp_path / "m")


def test_another_programs_safetensors_file_is_refused(tmp_path):
    save_file(TENSORS, tmp_path / "m", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="no 'amanuensis' header, so it is no model of ours"):
        read_model(tmp_path / "m")


def test_a_pickle_is_not_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "m").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="pickles are not read"):
        read_model(tmp_path / "m")
    assert not (tmp_path / "sprung").exists()


class FullDisk(io.FileIO):
    def write(self, data):
        super().write(data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")


def open_on_full_disk(path: Path, mode: str) -> FullDisk:
    return FullDisk(path, mode)


def test_a_full_disk_leaves_the_old_model_and_no_half_one(tmp_path, monkeypatch):
    path = written(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_model(path, {"weight": np.zeros(1000)}, {})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_device_that_is_full_is_an_error():
    with pytest.raises(OSError, match="No space left"):
        write_model("/dev/full", TENSORS, HEADER)


def test_a_header_that_json_cannot_hold_leaves_the_old_model(tmp_path):
    path = written(tmp_path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_model(path, TENSORS, {"path": Path()})
    assert path.read_bytes() == before
