"""What a run takes over from the model that it starts from: symbols, Unicode form and rows of weights."""

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from untrained import KINDS

from common.data.manifest import Example
from common.recognition.configuration import EncoderConfig, HeadConfig, ModelConfig
from common.recognition.recognizer import Recognizer
from common.text.symbols import Alphabet, Names, Symbols
from common.training.start import copy_weights, extend_symbols, fold_case, report_start, resolve_unicode_form

TASKS: dict[str, HeadConfig] = {
    "ctc": HeadConfig(),
    "attention": HeadConfig(task="attention", decoder_size=6),
    "both": HeadConfig(task="attention", decoder_size=6, ctc_weight=0.3),
    "frames": HeadConfig(task="frames"),
    "classify": HeadConfig(task="classify"),
}


def model_of(symbols: Symbols, head: HeadConfig, seed: int, **encoder: Any) -> Recognizer:
    torch.manual_seed(seed)
    kind = KINDS["ocr"]
    shape = EncoderConfig(**{"hidden_size": 4, "layers": 1} | encoder)
    config = ModelConfig(kind.signal, kind.front_end, shape, head)
    return Recognizer(kind.modality, config, symbols).eval()


def rows_by_symbol(model: Recognizer, head: HeadConfig) -> dict[str, dict[str, torch.Tensor]]:
    """Return, for each layer with a row for each class, the row of each symbol and of label 0 ("")."""
    first = 0 if head.task == "classify" else 1
    names = [*([""] if first else []), *model.alphabet.symbols]
    return {
        layer: dict(zip(names, tensor, strict=True))
        for layer, tensor in model.state_dict().items()
        if layer.startswith(("head.", "shortcut.", "intermediate.")) and len(tensor) == len(names)
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("theirs", "ours"), [("abc", "abcz"), ("abc", "xyz"), ("dab", "bda"), ("abcd", "a")])
def test_each_symbol_has_the_weights_that_it_had(task: str, theirs: str, ours: str) -> None:
    """The alphabets may have equal sizes, and nothing in common."""
    head = TASKS[task]
    kind = Names if task in ("frames", "classify") else Alphabet
    other = model_of(kind(tuple(theirs)), head, seed=1)
    for symbols in (kind(tuple(ours)), extend_symbols(kind(tuple(ours)), other, head)):
        model = model_of(symbols, head, seed=2)
        before, wanted = rows_by_symbol(model, head), rows_by_symbol(other, head)
        before = {layer: {name: row.clone() for name, row in rows.items()} for layer, rows in before.items()}
        copy_weights(model, other)
        after = rows_by_symbol(model, head)
        layers = after.keys() & wanted.keys()
        assert len(layers) >= {"ctc": 2, "attention": 3, "both": 5, "frames": 2, "classify": 2}[task]
        for layer in layers:
            for name, row in after[layer].items():
                assert row.equal(wanted[layer][name] if name in wanted[layer] else before[layer][name])


BESIDE = {"layers": 2, "shortcut": True, "intermediate_weight": 0.3}
"""an encoder with both heads that help in training"""


@pytest.mark.parametrize("task", ["ctc", "frames"])
def test_heads_that_help_in_training_start_like_the_head(task: str) -> None:
    kind, head = Names if task == "frames" else Alphabet, TASKS[task]
    other, model = (
        model_of(kind(tuple(text)), head, seed, **BESIDE) for seed, text in ((1, "abc"), (2, "cxa"))
    )
    wanted = rows_by_symbol(other, head)
    copy_weights(model, other)
    after = rows_by_symbol(model, head)
    assert {name.partition(".")[0] for name in after} == {"head", "shortcut", "intermediate"}
    for layer, rows in after.items():
        assert rows["a"].equal(wanted[layer]["a"]) and rows["c"].equal(wanted[layer]["c"])


@pytest.mark.parametrize("ours", [BESIDE, {"layers": 2}])
def test_heads_that_help_in_training_may_be_new_or_gone(ours: dict[str, Any]) -> None:
    theirs = {"layers": 2} if "shortcut" in ours else BESIDE
    other = model_of(Alphabet(("a", "b")), HeadConfig(), 1, **theirs)
    model = model_of(Alphabet(("a", "b")), HeadConfig(), 2, **ours)
    beside = {name: one.clone() for name, one in model.state_dict().items() if name not in other.state_dict()}
    copy_weights(model, other)
    for name, values in model.state_dict().items():
        assert values.equal(beside[name] if name in beside else other.state_dict()[name]), name


def test_the_symbols_of_the_model_stay_in_their_order_and_new_ones_follow() -> None:
    other = model_of(Alphabet(tuple("zab"), "NFD"), HeadConfig(), seed=1)
    extended = extend_symbols(Alphabet(tuple("acé"), "NFC"), other, HeadConfig())
    assert extended == Alphabet(tuple("zabcé"), "NFC")


def test_a_model_whose_head_is_not_used_gives_no_symbols() -> None:
    other, names = model_of(Alphabet(tuple("abc")), HeadConfig(), seed=1), Names(("one", "two"))
    assert extend_symbols(names, other, HeadConfig(task="classify")) is names
    words = model_of(Names(("one",)), HeadConfig(task="frames"), seed=1)
    letters = HeadConfig(task="frames", frame_labels="characters")
    assert extend_symbols(names, words, letters) is names


def test_the_unicode_form_is_that_of_the_model_unless_another_is_wanted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = model_of(Alphabet(tuple("abc"), "NFD"), HeadConfig(), seed=1)
    assert resolve_unicode_form(None, None) == "NFC"
    assert resolve_unicode_form("NFKC", None) == "NFKC"
    assert resolve_unicode_form(None, other) == resolve_unicode_form("NFD", other) == "NFD"
    assert not caplog.messages
    assert resolve_unicode_form("NFC", other) == "NFC"
    assert "the model to start from writes NFD" in caplog.text


@pytest.mark.parametrize(
    ("theirs", "ours", "final", "said"),
    [
        ("abc", "abx", "abcx", ["knows 2 of 3 symbols", "1 symbol new to it", "'x'"]),
        ("abc", "ab", "ab", ["knows 2 of 2 symbols", "drops 1 symbol of it", "'c'"]),
        ("abc", "ab", "abc", ["knows 2 of 2 symbols"]),
        (
            "ABC",
            "ab",
            "ABCab",
            ["knows 0 of 2 symbols", "2 letters of these in the other case", "no lower"],
        ),
        ("aBC", "ab", "aBCb", ["knows 1 of 2 symbols", "1 symbol new"]),
    ],
)
def test_what_is_new_dropped_or_of_another_case_is_said(
    theirs: str, ours: str, final: str, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = model_of(Alphabet(tuple(theirs)), HeadConfig(), seed=1)
    report_start(Alphabet(tuple(ours)), model_of(Alphabet(tuple(final)), HeadConfig(), seed=2), other)
    assert all(sentence in caplog.text for sentence in said)
    assert ("drops" in caplog.text) == (len(final) < len(theirs))
    assert ("case" in caplog.text) == (theirs == "ABC")


def test_a_model_of_another_task_is_used_without_its_head(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    other = model_of(Alphabet(tuple("abc")), HeadConfig(), seed=1)
    model = model_of(Names(("a", "b")), replace(TASKS["classify"], pooling="mean"), seed=2)
    copy_weights(model, other)
    report_start(model.alphabet, model, other)
    assert "a model of --task ctc: all but its head is used" in caplog.text


def test_folded_texts_are_in_the_case_of_the_model_and_other_letters_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    other = model_of(Alphabet(tuple("ABb é")), HeadConfig(), seed=1)
    examples = [Example("1", "a Ab é É x"), Example("2", "AB"), Example("3", None)]
    assert [one.text for one in fold_case(examples, other)] == ["A Ab é é x", "AB", None]
    assert "the case of letters is changed in 1 text" in caplog.text
