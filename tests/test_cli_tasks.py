"""The tasks beside texts, from end to end: a label to each step, and one to the whole."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from command import Outcome, call

from asr.modality import ASR
from asr.synthesis import draw_speaker, say_tones
from common.data.examples import Examples
from common.data.frame_targets import FrameTargets
from common.data.manifest import read_manifest
from common.data.signal import Signal
from common.files.model_file import read_model
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Names
from ocr.drawing.lines import Styles, write_drawn_lines
from ocr.modality import OCR

TEXTS = ("ab", "ten", "ab ten", "ten ab", "ten ten", "ab ab")
SMALL = (
    *("--hidden-size", "16", "--layers", "1", "--precision", "32-true", "--dropout", "0"),
    *("--feature-dropout", "0", "--ema", "0", "--learning-rate", "2e-2", "--warmup-steps", "10"),
)
OPTIONS = {
    "asr": (
        *(*SMALL, "--channels", "8", "8", "8", "--mels", "16", "--normalise", "global"),
        *("--mask-bands", "0", "--mask-frames", "0", "--batch-budget", "6"),
    ),
    "ocr": (*SMALL, "--channels", "4", "8", "8", "16", "--height-px", "24", "--batch-budget", "40"),
}
FRAMES = ("--task", "frames")
CLASSIFY = ("--task", "classify")


class Trained(NamedTuple):
    """A model, what it was trained and is measured on, and what the training said."""

    modality: Modality
    train: Path
    dev: Path
    run: Path
    said: Outcome

    @property
    def model(self) -> Path:
        return self.run / "best.safetensors"

    @property
    def rows(self) -> list[dict]:
        """The lines of dev's manifest."""
        return [json.loads(line) for line in self.dev.read_text().splitlines()]

    @property
    def files(self) -> list[Path]:
        return [self.dev.parent / (row.get("audio_filepath") or row["image"]) for row in self.rows]

    def transcripts(self, *arguments: object) -> list[dict]:
        outcome = call(self.modality, "transcribe", "-m", self.model, "-f", "json", *arguments, *self.files)
        assert outcome.status == 0, outcome.err
        return [json.loads(line) for line in outcome.out.splitlines()]


def write_tones(folder: Path, name: str, count: int, seed: int) -> Path:
    """Write utterances whose text is the label of their first word, "starts ab" or "starts ten"."""
    rng = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True)
    rows = []
    for number in range(count):
        tones = say_tones(TEXTS[number % len(TEXTS)], draw_speaker(name, rng), rng)
        source = f"{name}/{number}.wav"
        soundfile.write(folder / source, tones.samples, 16_000)
        label = f"starts {tones.words[0][0]}"
        places = {"words": tones.words, "characters": tones.characters}
        rows.append(
            {"audio_filepath": source, "duration": len(tones.samples) / 16_000, "text": label, **places}
        )
    return rewritten(folder / f"{name}.jsonl", rows)


def rewritten(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder, "train", 24, seed=1)
    write_tones(folder, "dev", 12, seed=2)
    return folder


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    for name, count, seed in (("train", 24, 1), ("dev", 8, 2)):
        write_drawn_lines(
            folder / name, ["in", "oo", "in oo", "oo in", "oo in oo"], count, seed, styles=Styles(clean=1.0)
        )
    return folder


def train(modality: Modality, train: Path, dev: Path, run: Path, *more: object) -> Outcome:
    epochs = () if "--epochs" in more else ("--epochs", 1)
    return call(modality, "train", train, dev, "--run", run, *OPTIONS[modality.name], *epochs, *more)


def trained(corpus: Path, run: Path, *more: object) -> Trained:
    """Train enough for a few labels to be right and a few wrong; no test depends on which."""
    if (corpus / "train.jsonl").exists():
        modality, files, epochs = ASR, [corpus / "train.jsonl", corpus / "dev.jsonl"], 3
    else:
        modality, files, epochs = OCR, [corpus / "train" / "places.jsonl", corpus / "dev" / "places.jsonl"], 3
    said = train(modality, *files, run, "--epochs", epochs, *more)
    assert said.status == 0, said.err
    return Trained(modality, *files, run, said)


@pytest.fixture(scope="module")
def words(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tones, tmp_path_factory.mktemp("words") / "run", *FRAMES)


@pytest.fixture(scope="module")
def line_words(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(lines, tmp_path_factory.mktemp("line words") / "run", *FRAMES)


@pytest.fixture(scope="module", params=["last", "mean", "attention"])
def classes(request: pytest.FixtureRequest, tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    pooling = request.param
    return trained(tones, tmp_path_factory.mktemp(pooling) / "run", *CLASSIFY, "--pooling", pooling)


@pytest.fixture(scope="module")
def either(
    request: pytest.FixtureRequest, words: Trained, tones: Path, tmp_path_factory
) -> dict[str, Trained]:
    labelled = trained(tones, tmp_path_factory.mktemp("either") / "run", *CLASSIFY)
    return {"frames": words, "classify": labelled}


def measured(one: Trained, *arguments: object) -> tuple[dict, str]:
    """Return what `evaluate` writes as JSON, and what it prints."""
    figures = one.run.parent / "figures.json"
    outcome = call(one.modality, "evaluate", one.model, *arguments, "--json", figures)
    assert outcome.status == 0, outcome.err
    return json.loads(figures.read_text()), outcome.out


# --- one label to the whole


@pytest.mark.slow
@pytest.mark.training
def test_evaluation_counts_what_transcription_says(classes):
    found = classes.transcripts()
    wanted = [row["text"] for row in classes.rows]
    right = sum(one["text"] == label for one, label in zip(found, wanted, strict=True))
    figures, printed = measured(classes, classes.dev)
    assert figures["accuracy"] == pytest.approx(right / 12)
    assert figures["labels"] == sum(cell["count"] for cell in figures["confusions"]) == 12
    low, high = figures["accuracy_interval"]
    assert printed.startswith(
        f"accuracy {100 * right / 12:.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})\n"
        f"12 utterances, 12 labels, {12 - right} wrong\nreference "
    )
    assert [line.split()[:2] for line in printed.splitlines()[3:]] == [["starts", "ab"], ["starts", "ten"]]


def test_a_label_is_printed_with_its_probability_and_is_all_of_the_signal(classes):
    file, row = classes.files[0], classes.rows[0]
    outcome = call(ASR, "transcribe", "-m", classes.model, file)
    label, probability = outcome.out.rstrip("\n").split("\t")
    (found, *_) = classes.transcripts("--alternatives", 3)
    assert label == found["text"] == found["words"][0]["text"]
    assert float(probability) == pytest.approx(found["confidence"], abs=1e-4)
    assert (found["words"][0]["start"], len(found["words"])) == (0, 1)
    assert found["words"][0]["end"] == pytest.approx(row["duration"], abs=1e-3)
    (other,) = found["alternatives"]
    assert {label, other["text"]} == {"starts ab", "starts ten"}
    assert np.exp(other["score"]) + found["confidence"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_exported_it_gives_the_same_labels_without_torch(classes, precision, tmp_path):
    flags = ("--int8",) if precision == "int8" else ()
    model, tolerance = tmp_path / "m.onnx", 1e-4 if precision == "float32" else 0.05
    assert call(ASR, "export", classes.model, model, *flags).status == 0
    outcome = call(ASR, "transcribe", "-m", model, "-f", "json", *classes.files)
    found = [json.loads(line) for line in outcome.out.splitlines()]
    for one, other in zip(found, classes.transcripts(), strict=True):
        assert one["confidence"] == pytest.approx(other["confidence"], abs=tolerance)
        if other["confidence"] > 0.5 + tolerance:  # of two labels
            assert one["text"] == other["text"]
    right = sum(one["text"] == row["text"] for one, row in zip(found, classes.rows, strict=True))
    evaluated = call(ASR, "evaluate", model, classes.dev)
    assert evaluated.out.startswith(f"accuracy {100 * right / 12:.2f} %")


def test_a_label_that_was_never_learnt_counts_as_an_error_and_is_named(classes, tmp_path):
    rows = [{**row, "text": "starts zoo"} if place < 3 else row for place, row in enumerate(classes.rows)]
    dev = rewritten(classes.dev.parent / "strange.jsonl", rows)
    outcome = call(ASR, "evaluate", classes.model, dev)
    assert outcome.status == 0
    assert "'starts zoo' (in 3)" in outcome.err
    assert re.search(r"^starts zoo .* 0\.0 %$", outcome.out, re.MULTILINE)
    said = train(ASR, classes.train, dev, tmp_path / "run", *CLASSIFY)
    assert said.status == 0
    assert "'starts zoo' (in 3)" in said.err


# --- one label to each step


@pytest.mark.parametrize("name", ["words", "line_words"])
def test_a_text_is_the_words_that_are_found_each_with_its_place(name, request):
    """Where words are found is compared with the labels of steps by the next test."""
    one = request.getfixturevalue(name)
    for found in one.transcripts():
        assert found["text"] == " ".join(word["text"] for word in found["words"])
        assert all(0 < word["confidence"] <= 1 for word in found["words"])
        places = [place for word in found["words"] for place in (word["start"], word["end"])]
        assert places == sorted(places)


def names_at(middles: np.ndarray, words: list[tuple[str, float, float]]) -> list[str]:
    """Return the word in which each of `middles` lies, "" where there is none."""
    return ["".join(text for text, start, end in words if start <= middle < end) for middle in middles]


def right_steps(one: Trained) -> tuple[int, int]:
    """Return how many steps have the same word in transcript and manifest, and how many there are."""
    recognizer = Recognizer.load(one.modality, one.model)
    right = total = 0
    for file, found, row in zip(one.files, one.transcripts(), one.rows, strict=True):
        signal = one.modality.read(str(file), recognizer.config.signal)
        steps = int(recognizer.front_end.output_lengths(torch.tensor([len(signal.values)])))
        middles = (np.arange(steps) + 0.5) * recognizer.stride + recognizer.offset
        words = [(word["text"], word["start"], word["end"]) for word in found["words"]]
        pair = (names_at(middles * signal.unit_per_step, words) for words in (words, row["words"]))
        right += sum(given == wanted for given, wanted in zip(*pair, strict=True))
        total += steps
    return right, total


@pytest.mark.slow
@pytest.mark.training
@pytest.mark.parametrize("name", ["words", "line_words"])
def test_the_accuracy_is_over_the_steps_of_all_examples(name, request):
    one = request.getfixturevalue(name)
    figures, printed = measured(one, one.dev)
    best = min(float(line.split(",")[5]) for line in (one.run / "log.csv").read_text().splitlines()[1:])
    right, total = right_steps(one)
    assert figures["labels"] == total
    assert figures["accuracy"] == pytest.approx(right / total, abs=0.005)  # places are rounded
    assert figures["accuracy"] == pytest.approx(1 - best, abs=0.005)  # as training has measured it
    assert figures["accuracy_interval"] == [None, None]
    assert printed.startswith(f"accuracy {100 * figures['accuracy']:.2f} %\n")
    assert f", {figures['labels']} steps, " in printed
    header = read_model(one.model).header
    assert header["config"]["head"]["task"] == "frames"
    wanted = {"", *(word for row in one.rows for word, _, _ in row["words"])}
    assert {cell["reference"] for cell in figures["confusions"]} == wanted


@pytest.mark.parametrize(
    ("corpus", "level", "names"),
    [("tones", "characters", "abent"), ("lines", "characters", "ino"), ("tones", "activity", None)],
)
def test_steps_can_have_characters_or_activity_as_labels(corpus, level, names, request, tmp_path):
    one = trained(request.getfixturevalue(corpus), tmp_path / "run", *FRAMES, "--frame-labels", level)
    figures, _ = measured(one, one.dev)
    assert {cell["reference"] for cell in figures["confusions"]} == {"", *(names or ["active"])}
    stored = read_model(one.model).header["alphabet"]["names"]
    assert stored == (list(names) if names else ["active"])
    texts = {found["text"] for found in one.transcripts()}
    assert all(set(text) <= set(names) if names else set(text.split()) <= {"active"} for text in texts)


def test_exported_it_labels_the_same_steps(words, tmp_path):
    assert call(ASR, "export", words.model, tmp_path / "m.onnx").status == 0
    found, expected = (
        call(ASR, "evaluate", model, words.dev).out for model in (tmp_path / "m.onnx", words.model)
    )
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("task", ["frames", "classify"])
def test_before_and_after_export_the_share_of_wrong_labels_is_measured(task, either, tmp_path):
    one = either[task]
    outcome = call(ASR, "export", one.model, tmp_path / "m.onnx", "--data", one.dev, "--threads", 1)
    assert outcome.status == 0
    heads, torch_row, onnx_row, _ = outcome.out.splitlines()
    assert heads.split()[:3] == ["errors", "as", "torch"]
    errors = 100 * (1 - measured(one, one.dev)[0]["accuracy"])
    assert torch_row.split()[:4] == ["torch", f"{errors:.2f}", "%", "100.00"]
    assert onnx_row.split()[:4] == ["float32", f"{errors:.2f}", "%", "100.00"]


def test_augmentation_that_stretches_takes_the_labels_along(words):
    """All utterances of the fixture are trained on, though most were said faster or slower."""
    assert "left out" not in words.said.err
    example = read_manifest(words.train, ("audio_filepath",)).examples[0]
    names = Names(("ab", "ten"), " ")
    targets = FrameTargets(names, "words", 160, 0.0)

    def read(source: str) -> Signal:
        return ASR.read(source, ASR.signal_config())

    def twice_as_slow(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.repeat(values, 2)

    plain, slow = (
        Examples([example], names, read, augment, frames=targets, steps=lambda length: length // 160)[0, 0]
        for augment in (None, twice_as_slow)
    )
    halves = np.array(slow[2][: 2 * len(plain[2])]).reshape(-1, 2)
    assert (halves == np.array(plain[2])[: len(halves), None]).mean() > 0.97  # all but steps on an edge


def test_augmentation_that_moves_letters_is_left_out_and_said_so(line_words):
    assert "--task frames: warp is 0.0 instead of 0.6, for it would move labels" in line_words.said.err
    assert read_model(line_words.model).header["card"]["augment"]["warp"] == 0


def test_words_that_were_never_learnt_count_as_errors(words, tmp_path):
    rows = [{**row, "words": [["zoo", start, end] for _, start, end in row["words"]]} for row in words.rows]
    dev = rewritten(words.dev.parent / "zoo.jsonl", rows)
    figures, printed = measured(words, dev)
    zoo = [cell for cell in figures["confusions"] if cell["reference"] == "zoo"]
    assert sum(cell["count"] for cell in zoo) > 100
    assert re.search(r"^zoo .* 0\.0 %$", printed, re.MULTILINE)
    said = train(ASR, words.train, dev, tmp_path / "run", *FRAMES)
    assert said.status == 0
    assert "'zoo' (in " in said.err


def test_a_name_with_a_space_in_it_is_one_label(words, tmp_path):
    rows = [
        {**row, "words": [[f"say {text}", start, end] for text, start, end in row["words"]]}
        for row in words.rows
    ]
    corpus = rewritten(words.dev.parent / "say.jsonl", rows)
    assert train(ASR, corpus, corpus, tmp_path / "run", *FRAMES).status == 0
    header = read_model(tmp_path / "run" / "best.safetensors").header
    assert header["alphabet"]["names"] == ["say ab", "say ten"]


# --- texts, by an encoder-decoder


def test_an_encoder_decoder_writes_characters_not_whole_texts(tones, tmp_path):
    said = train(ASR, tones / "dev.jsonl", tones / "dev.jsonl", tmp_path / "run", "--task", "attention")
    assert said.status == 0, said.err
    header = read_model(tmp_path / "run" / "best.safetensors").header
    assert "".join(header["alphabet"]["symbols"]) == " abenrst"
    assert "dev CER" in said.err


# --- going on


@pytest.mark.slow
@pytest.mark.parametrize("task", ["frames", "classify"])
def test_a_run_goes_on_where_it_stopped(task, tones, tmp_path):
    files = (tones / "train.jsonl", tones / "dev.jsonl")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    flags = ("--task", task, "--schedule", "constant", "--warmup-steps", 1)
    assert train(ASR, *files, whole, *flags, "--epochs", 2).status == 0
    assert train(ASR, *files, parts, *flags, "--epochs", 1).status == 0
    assert train(ASR, *files, parts, *flags, "--epochs", 2, "--resume").status == 0
    one, other = (read_model(run / "best.safetensors").tensors for run in (whole, parts))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["frames", "classify"])
def test_weights_of_labels_are_taken_from_another_model(task, either, tmp_path):
    """With next to no training, each label keeps its weights, though a new one stands before them."""
    before = either[task]
    renamed = [
        {**row, "text": "one more", "words": [["a new one", *place[1:]] for place in row["words"]]}
        for row in before.rows[:1]
    ]
    train_rows = [json.loads(line) for line in before.train.read_text().splitlines()]
    more = rewritten(before.train.parent / f"more-{task}.jsonl", train_rows + renamed)
    said = train(
        ASR, more, before.dev, tmp_path / "run", "--task", task, "--start-from", before.model,
        "--learning-rate", "1e-9", "--epochs", 1,
    )  # fmt: skip
    assert said.status == 0, said.err
    assert "knows 2 of 3 symbols" in said.err
    old, new = (read_model(run / "best.safetensors") for run in (before.run, tmp_path / "run"))
    names, more_names = (one.header["alphabet"]["names"] for one in (old, new))
    assert set(more_names) - set(names) == {"one more" if task == "classify" else "a new one"}
    blank = task == "frames"  # the first row is no label
    kept = [0] * blank + [more_names.index(name) + blank for name in names]
    learnt = {name: one for name, one in old.tensors.items() if not name.startswith("front_end.band_")}
    for name, tensor in learnt.items():  # without the means and deviations, which are those of the data
        rows = kept if name.startswith("head.linear") else ...
        np.testing.assert_allclose(new.tensors[name][rows], tensor, atol=1e-5, err_msg=name)


# --- what is refused


@pytest.mark.parametrize("task", ["frames", "classify"])
@pytest.mark.parametrize(
    ("verb", "flags", "sentence"),
    [
        (
            "evaluate",
            ("--report", "page.html"),
            "--report: is for models that write texts; this one gives labels",
        ),
        ("evaluate", ("--tune", 2), "--tune: is for models that write texts; this one gives labels"),
        ("evaluate", ("--decoder", "beam"), "--decoder: of no use to a model that gives labels, not texts"),
        ("align", (), "a model of --task {task} aligns no text; take one of --task ctc"),
    ],
)
def test_what_only_texts_have_is_refused_in_one_sentence(
    task, verb, flags, sentence, either, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    one = either[task]
    outcome = call(ASR, verb, one.model, one.dev, *flags)
    assert (outcome.status, outcome.out) == (2 if flags else 1, "")
    assert outcome.err == f"asr: {sentence.format(task=task)}\n"


def test_steps_have_no_alternatives(words):
    outcome = call(ASR, "transcribe", "-m", words.model, "-f", "json", "--alternatives", 2, words.files[0])
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "asr: --alternatives: a model of --task frames has one label for each step\n"


def refused(corpus: Path, run: Path, *flags: object, dev: Path | None = None) -> str:
    """Return the last line of a training that ends before it begins."""
    outcome = train(ASR, corpus, dev or corpus, run, *flags)
    assert outcome.status == (2 if "--select" in flags else 1)
    assert not run.exists()
    return outcome.err.splitlines()[-1]


def test_one_label_alone_is_refused(tones, tmp_path):
    rows = [{**json.loads(line), "text": "same"} for line in (tones / "dev.jsonl").read_text().splitlines()]
    corpus = rewritten(tones / "same.jsonl", rows)
    assert refused(corpus, tmp_path / "run", *CLASSIFY) == (
        f"asr: {corpus}: all examples have the label 'same'; two labels or more are wanted to be told apart"
    )


def test_an_empty_label_is_left_out_and_named(tones, tmp_path):
    rows = [json.loads(line) for line in (tones / "dev.jsonl").read_text().splitlines()]
    rows[1]["text"], rows[2]["text"] = "", " "
    corpus = rewritten(tones / "empty.jsonl", rows)
    said = train(ASR, corpus, corpus, tmp_path / "run", *CLASSIFY)
    assert said.status == 0
    assert f"left out: {corpus}:2: {tones}/dev/1.wav: the label of this utterance is empty" in said.err
    assert len(set((tmp_path / "run" / "refused.txt").read_text().splitlines())) == 2
    outcome = call(ASR, "evaluate", tmp_path / "run" / "best.safetensors", corpus)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == "asr: 2 of 12 utterances could not be evaluated"


def test_of_an_utterance_without_words_all_steps_have_no_label(words, tmp_path):
    rows = words.rows
    rows[0] = {**rows[0], "text": "", "words": []}
    outcome = call(ASR, "evaluate", words.model, rewritten(words.dev.parent / "quiet.jsonl", rows))
    assert outcome.status == 0
    assert outcome.out.splitlines()[1].startswith("12 utterances, ")


def test_examples_without_places_are_named_and_if_all_are_it_ends(tones, tmp_path):
    rows = [json.loads(line) for line in (tones / "dev.jsonl").read_text().splitlines()]
    del rows[3]["words"]
    said = train(ASR, rewritten(tones / "some.jsonl", rows), tones / "dev.jsonl", tmp_path / "some", *FRAMES)
    assert said.status == 0
    assert f"left out: {tones}/dev/3.wav: does not say where its words are" in said.err
    for row in rows:
        row.pop("words", None)
    corpus = rewritten(tones / "none.jsonl", rows)
    sentence = f"asr: {corpus}: none of its utterances can be used for --task frames"
    assert refused(corpus, tmp_path / "run", *FRAMES) == sentence
    assert refused(tones / "dev.jsonl", tmp_path / "run", *FRAMES, dev=corpus) == sentence


@pytest.mark.parametrize("task", ["frames", "classify"])
def test_a_rate_of_texts_cannot_choose_the_best_model(task, tones, tmp_path):
    said = refused(tones / "train.jsonl", tmp_path / "run", "--task", task, "--select", "wer")
    assert said == f"asr: --select wer: is a rate of texts; --task {task} has none, leave it out"


def test_a_run_of_which_no_example_can_be_read_ends_with_its_first_epoch(tones, tmp_path):
    broken = tmp_path / "broken.wav"
    soundfile.write(broken, np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    rows = [
        {"audio_filepath": str(broken), "duration": 1, "text": label, "words": [[label, 0, 1]]}
        for label in ("a", "b")
    ]
    corpus = rewritten(tmp_path / "broken.jsonl", rows)
    said = train(
        ASR, corpus, tones / "dev.jsonl", tmp_path / "run", *CLASSIFY, "--epochs", 50,
        "--normalise", "utterance",
    )  # fmt: skip
    assert said.status == 1
    assert said.err.splitlines()[-1] == (
        "asr: none of the examples to train on could be used; each is named above"
    )
