"""The verb lm with recurrent models, from end to end: trained, resumed, beside n-grams, drawn from."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
from command import Outcome, call

from common.files.model_file import read_model
from common.language.loading import load_ngrams
from common.network.language_model import LanguageModel
from common.network.scoring import label_log_probs, text_log_probs
from ocr.modality import OCR

SMALL = ("--hidden-size", 12, "--embedding-size", 6, "--streams", 4, "--k1", 8, "--ema", 0)


def lm(*arguments: object, stdin: bytes = b"") -> Outcome:
    outcome = call(OCR, "lm", *arguments, stdin=stdin)
    assert outcome.status == 0, outcome.err
    return outcome


@pytest.fixture
def text(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    words = ["tick", "tock", "ding", "dong"]
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(rng.choice(words, 4)) + "\n" for _ in range(60)))
    return path


def bits_of(outcome: Outcome) -> dict[tuple[str, str], float]:
    """Return the bits of each row, by model and context."""
    rows = re.findall(r"^(\S+) +(line|running) +(\S+) +(\S+)$", outcome.out, re.M)
    for *_, bits, perplexity in rows:
        assert 2 ** float(bits) == pytest.approx(float(perplexity), rel=1e-3)
    return {(name, context): float(bits) for name, context, bits, _ in rows}


@pytest.mark.slow
def test_a_recurrent_model_is_trained_measured_beside_ngrams_and_drawn_from(text, tmp_path):
    run = tmp_path / "run"
    lm("train", text, "--recurrent", "--run", run, "--epochs", 2, "--learning-rate", 1e-2, "--k2", 16, *SMALL)
    lm("train", text, "--order", 3, "-o", tmp_path / "lm.npz")
    other = tmp_path / "other.txt"
    other.write_text("ding dong tick\ntock tick zing\n")
    found = lm("evaluate", run / "best.safetensors", other, "--beside", tmp_path / "lm.npz")
    bits = bits_of(found)
    assert list(bits) == [("best.safetensors", "line"), ("best.safetensors", "running"), ("lm.npz", "line")]
    assert (
        "29 characters and ends of lines in 2 lines; 1 not counted, unknown to a model: 'z' (1)" in found.out
    )
    lines = other.read_text().splitlines()
    mask = [np.array([*(symbol != "z" for symbol in line), True]) for line in lines]
    model, ngram = LanguageModel.load(run / "best.safetensors"), load_ngrams(tmp_path / "lm.npz")
    for name, log_probs in [
        (("best.safetensors", "line"), label_log_probs(model, lines)),
        (("best.safetensors", "running"), label_log_probs(model, lines, running=True)),
        (("lm.npz", "line"), [ngram.log_probs(line) for line in lines]),
    ]:
        nats = -sum(float(one[kept].sum()) for one, kept in zip(log_probs, mask, strict=True))
        assert bits[name] == pytest.approx(nats / 29 / math.log(2), abs=1e-4)
    drawn = lm(
        "sample", run / "best.safetensors", "--prompt", "ti", "--count", 3, "--length", 20, "--top-k", 2
    )
    texts = drawn.out.splitlines()
    assert len(texts) == 3
    assert all(text.startswith("ti") and len(text) <= 22 for text in texts)
    again = lm(
        "sample", run / "best.safetensors", "--prompt", "ti", "--count", 3, "--length", 20, "--top-k", 2
    )
    assert again.out == drawn.out
    log = list(csv.DictReader((run / "log.csv").open()))
    rates = [float(row["dev_bits_per_character"]) for row in log]
    header = read_model(run / "best.safetensors").header
    assert header["card"]["dev"]["bits_per_character"] == pytest.approx(min(rates))
    assert header["card"]["lines"] == 59  # every fiftieth was held out


@pytest.mark.slow
@pytest.mark.training
def test_a_run_that_was_cut_off_resumes_to_the_same_weights_but_not_with_another_text(
    text, tmp_path, monkeypatch
):
    flags = ("--recurrent", "--k2", 16, "--dropout", 0.2, "--precision", "32-true", *SMALL)
    lm("train", text, *flags, "--epochs", 2, "--run", tmp_path / "whole")
    from common.training.loop import Trainer

    step, done = Trainer._step, []

    def interrupted(self: Trainer, batch: object) -> bool:
        due = step(self, batch)
        done.append(1)
        if len(done) == 50:  # in the second epoch
            self.save_checkpoint()
            raise KeyboardInterrupt
        return due

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        assert call(OCR, "lm", "train", text, *flags, "--epochs", 2, "--run", tmp_path / "cut").status == 130
    lm("train", text, *flags, "--epochs", 2, "--run", tmp_path / "cut", "--resume")
    whole, cut = (read_model(tmp_path / name / "best.safetensors").tensors for name in ("whole", "cut"))
    for name, tensor in whole.items():
        np.testing.assert_array_equal(cut[name], tensor, err_msg=name)
    text.write_text(text.read_text().replace("tick", "tack"))  # as many lines, letters and labels
    other = call(OCR, "lm", "train", text, *flags, "--epochs", 3, "--run", tmp_path / "cut", "--resume")
    assert other.status == 1
    assert "other texts (59 lines" in other.about("latest.ckpt")


@pytest.mark.training
@pytest.mark.slow
@pytest.mark.parametrize("k1", [0, 8])
def test_labels_of_files_are_conditions(tmp_path, k1):
    """A text is drawn and measured under the label that is named; two files teach two different texts."""
    words = {"english": "the", "german": "und"}
    for label, word in words.items():
        (tmp_path / label).write_text(f"{word}\n" * 50)
    texts = [f"{label}={tmp_path / label}" for label in words]
    flags = ("--epochs", 12, "--learning-rate", 2e-2, "--batch-budget", 120, *SMALL, "--k1", k1)
    lm("train", *texts, "--recurrent", "--run", tmp_path / "run", *flags, "--precision", "32-true")
    path = tmp_path / "run" / "best.safetensors"
    model = LanguageModel.load(path)
    (tmp_path / "more").write_text("und\n")
    bits = {}
    for label in words:
        found = bits_of(lm("evaluate", path, tmp_path / "more", "--label", label))
        bits[label] = found[path.name, "line"]
        nats = -text_log_probs(model, ["und"], [label])[0]
        assert bits[label] == pytest.approx(nats / 4 / math.log(2), abs=1e-4)
        drawn = lm("sample", path, "--label", label, "--top-k", 1, "--length", 3).out[:-1]
        for place, symbol in enumerate(drawn):
            others = [drawn[:place] + other for other in model.vocabulary.symbols if other != "\ufffd"]
            best = max(label_log_probs(model, [other], [label])[0][place] for other in others)
            given = label_log_probs(model, [drawn[:place] + symbol], [label])[0][place]
            assert given == pytest.approx(best, abs=1e-5)
    assert bits["german"] < bits["english"] / 2


def test_words_are_measured_in_bits_per_word(text, tmp_path):
    flags = ("--unit", "word", "--epochs", 1, "--vocabulary", 3, *SMALL)
    lm("train", text, "--recurrent", "--run", tmp_path / "run", *flags)
    found = lm("evaluate", tmp_path / "run" / "best.safetensors", "-", stdin=b"tick tock ding dong\n")
    assert "bits per word" in found.out
    assert re.search(r"4 words and ends of lines in 1 line; 1 not counted", found.out)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["train", "{text}", "--recurrent"], "--run"),
        (["train", "{text}"], "--output"),
        (["train", "{text}", "-o", "{folder}/lm.npz", "--hidden-size", "9"], "--recurrent"),
        (["train", "{text}", "--recurrent", "--run", "{folder}/run", "--order", "3"], "--order"),
        (["train", "a={text}", "{text}", "--recurrent", "--run", "{folder}/run"], "some have none"),
        (
            ["train", "a={text}", "--recurrent", "--run", "{folder}/run", "--held-out", "b={text}"],
            "label b, but texts have a",
        ),
        (["train", "{text}", "--recurrent", "--run", "{folder}/run", "--k1", "4", "--k2", "6"], "multiple"),
        (["evaluate", "{folder}/none.safetensors", "{text}"], "none.safetensors"),
        (["evaluate", "{text}"], "no text to measure on"),
        (["sample", "{text}"], "not a .safetensors"),
    ],
)
def test_what_cannot_be_is_one_sentence(text, tmp_path, arguments, problem):
    outcome = call(OCR, "lm", *(one.format(text=text, folder=tmp_path) for one in arguments))
    about_a_file = problem in ("none.safetensors", "not a .safetensors")
    assert outcome.status == (1 if about_a_file else 2), outcome.err
    assert problem in outcome.err.splitlines()[-1]
