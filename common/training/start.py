"""Starting a run from another model (`--start-from`): its symbols, its Unicode form and its weights."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch

from common.command_line.counting import counted
from common.data.manifest import Example
from common.decoding.beam.hot_words import in_case_of
from common.recognition.configuration import HeadConfig
from common.recognition.recognizer import Recognizer
from common.text.phonetic.phones import Phones
from common.text.symbols import Alphabet, Names, Symbols
from common.training.folder import changed_settings

log = logging.getLogger(__name__)

HEADS = ("head.", "shortcut.", "intermediate.")
"""prefixes of the weights of heads"""
CLASS_LAYERS = (
    *("head.linear.", "shortcut.", "intermediate."),
    *("head.ctc.", "head.decoder.embedding.", "head.decoder.output."),
)
"""prefixes of the weights that have one row for each class"""
SYMBOLS_SHOWN = 40
"""number of symbols that a message lists"""


def resolve_unicode_form(given: str | None, other: Recognizer | None) -> str:
    """Return the Unicode form of the texts: the one that was given, or that of the other model, or NFC.

    Args:
        given: the form that the user wants, or None.
        other: the model to start from, or None.
    """
    if other is None:
        return given or "NFC"
    theirs = other.alphabet.unicode_form
    if given not in (None, theirs):
        log.warning(
            "--unicode-form %s: the model to start from writes %s; letters that differ are learnt anew",
            given,
            theirs,
        )
    return given or theirs


def extend_symbols(symbols: Symbols, other: Recognizer, head: HeadConfig) -> Symbols:
    """Return the symbols of another model in their order, and after them those of the texts that are new.

    Args:
        symbols: those of the texts.
        other: the model to start from. If its head is not copied, its symbols are not wanted either.
        head: of the new model.
    """
    if not _copies_head(other, head) or type(symbols) is not type(other.alphabet):
        return symbols
    if isinstance(symbols, Phones):
        new = (phone for phone in symbols.phones if phone not in other.alphabet.labels)
        phones = (*other.alphabet.symbols[1:], *new)
        return Phones.of(symbols.pronunciations, symbols.unicode_form, phones)
    known = other.alphabet.symbols
    every = (*known, *(symbol for symbol in symbols.symbols if symbol not in other.alphabet.labels))
    if isinstance(symbols, Alphabet):
        return replace(symbols, symbols=every, direction=symbols.direction or other.alphabet.direction)
    assert isinstance(symbols, Names), "the kinds of symbols that training makes"
    return replace(symbols, symbols=every)


def fold_case(examples: Sequence[Example], other: Recognizer) -> list[Example]:
    """Return examples whose texts have letters in the other case where only that is a symbol of a model."""
    texts = in_case_of(other.alphabet.symbols, [example.text or "" for example in examples])
    changed = sum(text != (example.text or "") for example, text in zip(examples, texts, strict=True))
    if changed:
        log.info("--start-case fold: the case of letters is changed in %s", counted(changed, "text"))
    return [
        example if example.text is None else replace(example, text=text)
        for example, text in zip(examples, texts, strict=True)
    ]


def copy_weights(recognizer: Recognizer, other: Recognizer) -> None:
    """Copy the weights of `other` into `recognizer`.

    Front end and encoder are copied whole. In the layers of a head that have one row for each class, the rows
    of the symbols that both alphabets have are copied, and the other rows keep their first weights. A head of
    another task is not copied.

    Raises:
        ValueError: a weight that is copied whole has another shape in `other`, or is missing there and is not
            one of a head.
    """
    changed = changed_settings(asdict(other.config), asdict(recognizer.config))
    differing = ", ".join(f"{name} {theirs} (here {ours})" for name, (theirs, ours) in changed.items())
    rows = _shared_rows(recognizer, other)
    state, copies_head = other.state_dict(), _copies_head(other, recognizer.config.head)
    for name, value in recognizer.state_dict().items():
        if name.startswith(HEADS) and (name not in state or not copies_head):
            continue
        if name.startswith(CLASS_LAYERS) and value.shape[1:] == state[name].shape[1:]:
            value[rows[:, 0]] = state[name][rows[:, 1]]
        elif name in state and value.shape == state[name].shape:
            value.copy_(state[name])
        else:
            raise ValueError(f"--start-from: that model has {differing}; give the same settings here")
    if differing:
        log.info("the settings of the model to start from were others, but its weights fit: %s", differing)


def report_start(symbols: Symbols, recognizer: Recognizer, other: Recognizer) -> None:
    """Log which symbols the other model knows, which ones are new and which ones are dropped.

    Args:
        symbols: those of the texts.
        recognizer: the model to train.
        other: the model that it starts from.
    """
    if not _copies_head(other, recognizer.config.head):
        log.info("starting from a model of --task %s: all but its head is used", other.task)
        return
    known, wanted, kept = other.alphabet.labels, symbols.symbols, recognizer.alphabet.labels
    new = [symbol for symbol in wanted if symbol not in known]
    dropped = [symbol for symbol in known if symbol not in kept]
    log.info("starting from a model that knows %d of %d symbols", len(wanted) - len(new), len(wanted))
    if new:
        log.warning("%s new to it and learnt from nothing: %s", counted(len(new), "symbol"), _listed(new))
    if dropped:
        log.warning(
            "--start-symbols texts drops %s of it: %s",
            counted(len(dropped), "symbol"),
            _listed(dropped),
        )
    cases = [case for case in ("upper", "lower") if not any(map(getattr(str, f"is{case}"), known))]
    for case in cases:
        other_case = [
            symbol for symbol in new if getattr(symbol, f"is{case}")() and symbol.swapcase() in known
        ]
        if other_case:
            log.warning(
                "the model knows %s of these in the other case, but writes no %s case;"
                " say --start-case fold to take the texts in its case",
                counted(len(other_case), "letter"),
                case,
            )


def _copies_head(other: Recognizer, head: HeadConfig) -> bool:
    """Return whether the head of a model means the same as a head of these settings."""
    theirs = other.config.head
    same_labels = head.task != "frames" or theirs.frame_labels == head.frame_labels
    return theirs.task == head.task and same_labels


def _listed(symbols: Sequence[str]) -> str:
    shown = " ".join(map(repr, symbols[:SYMBOLS_SHOWN]))
    return shown if len(symbols) <= SYMBOLS_SHOWN else f"{shown} ..."


def _shared_rows(recognizer: Recognizer, other: Recognizer) -> torch.Tensor:
    """Return the rows (N, 2) of the classes that both models have: the row here and the row in `other`."""
    theirs = other.alphabet.labels
    pairs = [(row, theirs[symbol]) for symbol, row in recognizer.alphabet.labels.items() if symbol in theirs]
    if other.task == "classify":  # it has no class 0: row 0 is label 1
        return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2) - 1
    return torch.tensor([(0, 0), *pairs])
