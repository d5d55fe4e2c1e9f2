import copy
import json
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
from PIL import Image
from untrained import KINDS, RATE_HZ, recognizer_of, signals_of

from asr.modality import ASR
from common.decoding.decoder import Decoder, DecodingConfig
from common.files.header import KEY
from common.files.onnx_file import FORMAT_VERSION, TENSORS_KEY, metadata, read_onnx
from common.language.kneser_ney import estimate
from common.recognition.export import export_onnx
from common.recognition.known_text.aligner import Aligner
from common.recognition.recognizer import Recognizer
from common.recognition.runtime import OnnxRecognizer
from ocr.modality import OCR

ROOT = Path(__file__).parents[3]
BOTH = pytest.mark.parametrize("name", list(KINDS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in KINDS:
        recognizer = recognizer_of(name, card={"licence": "MIT"})
        models = [estimate(["abba", "bad cab", "a bad cad"], 3)]
        recognizer.decoder = Decoder(recognizer.alphabet, DecodingConfig(), models)
        recognizer.save(folder / f"{name}.safetensors")
        export_onnx(recognizer, folder / f"{name}.onnx")
    return folder


def both(folder: Path, name: str) -> tuple[Recognizer, OnnxRecognizer]:
    modality = KINDS[name].modality
    torch_one = Recognizer.load(modality, folder / f"{name}.safetensors")
    return torch_one, OnnxRecognizer.load(modality, folder / f"{name}.onnx", threads=1)


def loaded_with_beam(folder: Path, name: str) -> OnnxRecognizer:
    recognizer = OnnxRecognizer.load(KINDS[name].modality, folder / f"{name}.onnx", threads=2)
    config = DecodingConfig("beam", beam_width=8)
    recognizer.decoder = Decoder(recognizer.alphabet, config, recognizer.decoder.models, quiet=True)
    return recognizer


# --- the same transcripts


@BOTH
@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_transcripts_are_those_of_torch(name, decoder, folder):
    recognizers = both(folder, name)
    for one in recognizers:
        one.decoder = Decoder(one.alphabet, DecodingConfig(decoder, beam_width=8), one.decoder.models)
    found = [list(one.transcribe(signals_of(name), alternatives=2)) for one in recognizers]
    assert any(transcript.text for transcript in found[0])
    for expected, transcript in zip(*found, strict=True):
        assert transcript.text == expected.text
        assert transcript.unit == expected.unit
        assert [one.text for one in transcript.alternatives] == [one.text for one in expected.alternatives]
        for ours, theirs in zip(transcript.characters, expected.characters, strict=True):
            assert (ours.text, ours.start, ours.end) == (theirs.text, theirs.start, theirs.end)
            assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-4)


@BOTH
def test_known_texts_are_aligned_as_by_torch(name, folder):
    signals = signals_of(name)[1:2]
    found = [list(Aligner(one).align(signals, ["abba ca"])) for one in both(folder, name)]
    assert [(one.text, one.start, one.end) for one in found[0][0].characters] == [
        (one.text, one.start, one.end) for one in found[1][0].characters
    ]


@BOTH
def test_it_says_of_the_model_what_the_recognizer_says(name, folder):
    ours, theirs = both(folder, name)
    assert (theirs.stride, theirs.offset) == (ours.stride, ours.offset)
    assert theirs.signal_config == ours.signal_config
    assert theirs.alphabet == ours.alphabet
    assert theirs.card == {"licence": "MIT"}
    assert theirs.parameter_count == ours.parameter_count
    assert len(theirs.decoder.models) == 1


@BOTH
@pytest.mark.parametrize("int8", [False, True])
def test_batches_and_threads_change_nothing(name, int8, folder, tmp_path):
    modality, path = KINDS[name].modality, tmp_path / "model.onnx"
    export_onnx(Recognizer.load(modality, folder / f"{name}.safetensors"), path, int8)
    values = [signal.values for signal in signals_of(name)]
    one, three = (OnnxRecognizer.load(modality, path, threads) for threads in (1, 3))
    together, lengths = three.log_probs(values)
    assert together.dtype == np.float32
    assert together.shape[:2] == (len(values), lengths.max())
    for value, left, length in zip(values, together, lengths, strict=True):
        (right,) = one.log_probs([value]).each()
        np.testing.assert_array_equal(left[:length], right)


def test_threads_are_as_many_as_asked_for_or_as_there_are_cores(folder):
    values = signals_of("ocr")[0].values
    for threads in (0, 3):
        recognizer = OnnxRecognizer.load(OCR, folder / "ocr.onnx", threads)
        before = threading.active_count()
        recognizer.log_probs([values] * 50)
        assert 1 <= threading.active_count() - before <= (threads or os.cpu_count() or 1)
    with pytest.raises(ValueError, match=r"^threads is -1; give 1 or more, or 0 for one for each core$"):
        OnnxRecognizer.load(OCR, folder / "ocr.onnx", threads=-1)


def transcribed(recognizer: OnnxRecognizer, name: str) -> list[str]:
    return [transcript.text for transcript in recognizer.transcribe(signals_of(name))]


@BOTH
def test_several_threads_transcribe_what_one_does(name, folder):
    """A new recognizer, whose language model fills its table while the threads search."""
    wanted = transcribed(loaded_with_beam(folder, name), name)
    recognizer, found, together = loaded_with_beam(folder, name), [], threading.Barrier(4)

    def work() -> None:
        together.wait()
        found.append(transcribed(recognizer, name))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4
    assert any(wanted)


@BOTH
def test_a_used_recognizer_can_be_pickled_and_copied(name, folder):
    recognizer = loaded_with_beam(folder, name)
    wanted = transcribed(recognizer, name)
    for again in (pickle.loads(pickle.dumps(recognizer)), copy.deepcopy(recognizer)):
        assert again.card == recognizer.card
        assert transcribed(again, name) == wanted


@pytest.mark.skipif("fork" not in get_all_start_methods(), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@BOTH
def test_a_used_recognizer_works_in_a_forked_process(name, folder):
    recognizer = loaded_with_beam(folder, name)
    wanted = transcribed(recognizer, name)
    ours, theirs = get_context("fork").Pipe()
    child = get_context("fork").Process(target=lambda: theirs.send(transcribed(recognizer, name)))
    child.start()
    assert ours.poll(60), "the forked process hangs"
    assert ours.recv() == wanted
    child.join()


@BOTH
def test_torch_is_not_imported_to_transcribe(name, folder, tmp_path):
    if name == "ocr":
        source = tmp_path / "line.png"
        grey = np.full((30, 90), 255, np.uint8)
        grey[8:22, 10:80:7] = 0
        Image.fromarray(grey).save(source)
    else:
        source = tmp_path / "sound.wav"
        soundfile.write(source, signals_of(name)[1].values, RATE_HZ)
    code = f"""
import sys
from {name}.modality import {name.upper()} as modality
from common.recognition.runtime import OnnxRecognizer

(transcript,) = OnnxRecognizer.load(modality, {str(folder / f"{name}.onnx")!r}).transcribe([{str(source)!r}])
print(len(transcript.characters))
heavy = ("torch", "torchaudio", "torchvision", "lightning", "onnx")
assert not [other for other in heavy if other in sys.modules]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 0


# --- files that are none


def refused(path: Path, name: str = "ocr") -> str:
    """Return why the file cannot be loaded: one line, that names it."""
    with pytest.raises(ValueError) as caught:
        OnnxRecognizer.load(KINDS[name].modality, path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path}: ")


def changed(folder: Path, path: Path, of: str = "ocr", **header) -> Path:
    """Return a copy of the model with changes to its header; None removes a key."""
    file = read_onnx(folder / f"{of}.onnx")
    model = onnx.load_from_string(file.raw)
    del model.metadata_props[:]
    described = {key: value for key, value in {**file.header, **header}.items() if value is not None}
    written = metadata(described, file.tensors())
    if "format_version" in header:
        written[KEY] = json.dumps(described)
    for key, value in written.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_what_is_no_file_is_refused(tmp_path):
    assert refused(tmp_path / "none.onnx") == "no such file; name an exported model (.onnx)"
    assert refused(tmp_path) == "is a folder; name an exported model (.onnx) in it"


def test_other_files_are_refused(tmp_path, folder):
    for raw in (b"PK\x03\x04", b"text", (folder / "ocr.safetensors").read_bytes()):
        (tmp_path / "other.onnx").write_bytes(raw)
        assert refused(tmp_path / "other.onnx") == (
            "is not an ONNX file; name a model that `export` has written"
        )
    (tmp_path / "empty.onnx").write_bytes(b"")
    assert refused(tmp_path / "empty.onnx") == "is empty; export the model again"


def test_models_of_others_are_refused(tmp_path, folder):
    model = onnx.load(folder / "ocr.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    assert refused(tmp_path / "other.onnx") == (
        f"has no {KEY!r} header, so it is no model of ours or cut short; export the model again"
    )


def test_files_cut_short_anywhere_are_refused(tmp_path, folder):
    raw = (folder / "ocr.onnx").read_bytes()
    for length in np.linspace(1, len(raw) - 1, 60).astype(int):
        (tmp_path / "short.onnx").write_bytes(raw[:length])
        assert "cut short" in refused(tmp_path / "short.onnx")


def test_damaged_files_are_refused_or_run(tmp_path, folder, capfd):
    """A weight that differs cannot be seen; whatever else does is one sentence, never another error."""
    raw, path, rng = (folder / "ocr.onnx").read_bytes(), tmp_path / "damaged.onnx", np.random.default_rng(3)
    for _ in range(60):
        damaged = bytearray(raw)
        for place in rng.integers(0, len(raw), 20):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            OnnxRecognizer.load(OCR, path, threads=1)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")
    assert capfd.readouterr().out == ""


def test_a_model_of_the_other_side_is_refused(folder):
    assert (
        refused(folder / "ocr.onnx", "asr") == "a model for `ocr`, where one for `asr` was wanted; use `ocr`"
    )
    assert ASR.name in refused(folder / "asr.onnx", "ocr")


def test_newer_and_damaged_headers_are_refused(tmp_path, folder):
    path = changed(folder, tmp_path / "model.onnx", format_version=FORMAT_VERSION + 1)
    assert refused(path) == (
        f"is of format version {FORMAT_VERSION + 1}, known here up to {FORMAT_VERSION}; "
        "install a newer amanuensis"
    )
    path = changed(folder, tmp_path / "model.onnx", format_version="one")
    assert refused(path) == "its header is damaged; export the model again"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"alphabet": None}, "'alphabet'"),
        ({"stride": None}, "'stride'"),
        ({"config": {"signal": {"height_cm": 3}}}, "height_cm"),
        ({"decoding": {"beams": 3}}, "unknown setting beams"),
    ],
)
def test_headers_that_do_not_describe_a_model_are_refused(change, reason, tmp_path, folder):
    sentence = refused(changed(folder, tmp_path / "model.onnx", **change))
    assert sentence.startswith("does not describe a model this version can build (")
    assert reason in sentence


@BOTH
def test_a_model_from_before_there_were_tasks_writes_texts(name, folder, tmp_path):
    config = dict(read_onnx(folder / f"{name}.onnx").header["config"])
    del config["head"]
    path = changed(folder, tmp_path / "model.onnx", of=name, config=config)
    model = OnnxRecognizer.load(KINDS[name].modality, path)
    assert model.task == "ctc"
    assert any(transcript.text for transcript in model.transcribe(signals_of(name)))


def test_a_damaged_language_model_is_refused(tmp_path, folder):
    model = onnx.load(folder / "ocr.onnx")
    (packed,) = [one for one in model.metadata_props if one.key == TENSORS_KEY]
    packed.value = packed.value[:-8]
    onnx.save(model, tmp_path / "model.onnx")
    assert refused(tmp_path / "model.onnx").startswith("is damaged (")


def test_what_onnxruntime_cannot_run_is_refused(tmp_path, folder):
    model = onnx.load(folder / "ocr.onnx")
    model.graph.node[0].op_type = "Unheard"
    onnx.save(model, tmp_path / "model.onnx")
    sentence = refused(tmp_path / "model.onnx")
    assert sentence.startswith(f"onnxruntime {onnxruntime.__version__} cannot run it (")


def test_lines_that_are_searched_share_larger_batches_and_have_the_same_texts(tmp_path, monkeypatch):
    recognizer, path = recognizer_of("ocr"), tmp_path / "model.onnx"
    recognizer.decoder = Decoder(recognizer.alphabet, DecodingConfig("beam", 4))
    export_onnx(recognizer, path)
    model, signals = OnnxRecognizer.load(recognizer.modality, path, 1), signals_of("ocr")
    alone = [next(model.transcribe([signal])).text for signal in signals]
    model.modality = replace(model.modality, batch_budget=10.0)
    counts: dict[str, list[int]] = {}
    compute = model.compute
    for decoder in ("greedy", "beam"):
        sizes = counts[decoder] = []

        def counted(values, sizes=sizes):
            sizes.append(len(values))
            return compute(values)

        monkeypatch.setattr(model, "compute", counted)
        model.decoder = Decoder(model.alphabet, DecodingConfig(decoder, 4))
        found = [one.text for one in model.transcribe(signals)]
        assert decoder == "greedy" or found == alone
    assert sum(counts["greedy"]) == sum(counts["beam"]) == len(signals)
    assert len(counts["beam"]) < len(counts["greedy"])
