"""The verb lm from end to end: text in, a language model and its figures out."""

import bz2
import gzip
import json
import lzma
import re
from pathlib import Path

import numpy as np
import pytest
from command import Outcome, call

from asr.modality import ASR
from common.commands.lm.spelling import spelled
from common.files.model_file import write_model
from common.language.kneser_ney import estimate
from common.language.loading import load_ngrams
from common.language.ngram import NGram
from common.language.perplexity import perplexity
from common.text.symbols import Alphabet
from ocr.modality import OCR

LINES = ("the cat sat on the mat", "a cat ran", "the dog sat", "on the mat a dog ran")
TEXT = "".join(f"{line}\n" for line in LINES)
SPEECH = " 'ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def lm(*arguments: object, modality=OCR, stdin: bytes = b"") -> Outcome:
    return call(modality, "lm", "train", *arguments, stdin=stdin)


def trained(folder: Path, *arguments: object, **options) -> NGram:
    outcome = lm(*arguments, "-o", folder / "made" / "lm.npz", **options)
    assert outcome.status == 0, outcome.err
    return load_ngrams(folder / "made" / "lm.npz")


def assert_same(one: NGram, other: NGram) -> None:
    assert (one.tokens, one.unit, one.order) == (other.tokens, other.unit, other.order)
    np.testing.assert_array_equal(one.log_prob, other.log_prob)
    np.testing.assert_array_equal(one.backoff, other.backoff)


@pytest.fixture
def text(tmp_path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def speech(tmp_path) -> Path:
    """A model that writes capitals only; that it cannot transcribe does not matter here."""
    path = tmp_path / "speech.safetensors"
    alphabet = Alphabet(tuple(sorted(SPEECH))).to_dict()
    write_model(path, {"none": np.zeros(1, np.float32)}, {"alphabet": alphabet})
    return path


@pytest.mark.parametrize("modality", [OCR, ASR], ids=["ocr", "asr"])
@pytest.mark.parametrize("name", ["lm.npz", "lm.arpa", "lm.arpa.gz", "lm"])
def test_text_becomes_a_model(text, tmp_path, modality, name):
    outcome = lm(text, "--order", 4, "-o", tmp_path / "new" / name, modality=modality)
    assert outcome.status == 0, outcome.err
    model = load_ngrams(tmp_path / "new" / name)
    assert_same(model, estimate(LINES, 4))
    assert (name.split(".")[1:2] == ["arpa"]) == ((tmp_path / "new" / name).read_bytes()[:2] != b"PK")
    assert re.findall(r"^(\d)-grams: (\d+), discounts", outcome.out, re.M) == [
        (str(length), str(count)) for length, count in enumerate(model.counts, 1)
    ]
    assert f"{name}: 0.0 MB" in outcome.out


def test_words_are_pruned_limited_and_measured_on_other_text(text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("the cat ran\nthe zebra sat\n")
    path = tmp_path / "lm.npz"
    options = ("--unit", "word", "--prune", 0, 0, 1, "--vocabulary", 6, "--held-out", other)
    outcome = lm(text, *options, "-o", path)
    assert outcome.status == 0, outcome.err
    wanted = estimate(LINES, 3, "word", (0, 0, 1), 6)
    assert_same(load_ngrams(path), wanted)
    found = perplexity(wanted, ["the cat ran", "the zebra sat"])
    assert f"perplexity {found.perplexity:.3f}, {found.perplexity_known:.3f} without the" in outcome.out
    assert re.search(r"3-grams: \d+ of 1\d, ", outcome.out)


def test_the_order_is_six_for_characters_and_three_for_words(text, tmp_path):
    assert trained(tmp_path, text).order == 6
    assert trained(tmp_path, text, "--unit", "word").order == 3


@pytest.mark.parametrize("packed", [gzip.compress, lzma.compress, bz2.compress, bytes])
def test_compressed_text_is_text(tmp_path, packed):
    path = tmp_path / "text"
    path.write_bytes(packed(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()))
    assert_same(trained(tmp_path, path, "--order", 3), estimate(LINES, 3))


def test_standard_input_and_several_texts_are_read(text, tmp_path):
    model = trained(tmp_path, text, "-", "--order", 3, stdin="été\n".encode())
    assert_same(model, estimate([*LINES, "été"], 3))


def test_texts_are_brought_to_a_unicode_form_and_white_space_is_collapsed(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("e\u0301  e\u0301 \n\n", encoding="utf-8")
    assert_same(trained(tmp_path, path, "--order", 2), estimate(["é é"], 2))
    assert_same(
        trained(tmp_path, path, "--order", 2, "--unicode-form", "NFD"), estimate(["e\u0301 e\u0301"], 2)
    )


def test_the_texts_of_a_corpus_are_taken(tmp_path):
    for place, line in enumerate(LINES):
        (tmp_path / f"{place}.png").write_bytes(b"")
        (tmp_path / f"{place}.gt.txt").write_text(line)
    manifest = tmp_path / "lines.jsonl"
    rows = [json.dumps({"image": f"{place}.png", "text": line}) for place, line in enumerate(LINES)]
    manifest.write_text("\n".join(rows))
    (tmp_path / "out").mkdir()
    for corpus in (tmp_path, manifest):
        assert_same(trained(tmp_path / "out", corpus, "--order", 3), estimate(LINES, 3))
    (tmp_path / "0.gt.txt").unlink()
    (tmp_path / "lines").mkdir()
    outcome = lm(tmp_path, "--order", 3, "-o", tmp_path / "lines" / "lm.npz")
    assert outcome.status == 0
    assert "left out: " in outcome.err


def test_texts_are_spelled_like_a_model_writes_and_the_rest_is_counted(tmp_path, speech):
    path = tmp_path / "text.txt"
    path.write_text("“Don’t!” said Zoë—in 18 cafés; well-known.\n", encoding="utf-8")
    outcome = lm(path, "--like", speech, "--order", 3, "-o", tmp_path / "lm.npz")
    assert outcome.status == 0, outcome.err
    wanted = estimate(["DON'T SAID ZOE IN \ufffd\ufffd CAFES WELL KNOWN"], 3)
    assert_same(load_ngrams(tmp_path / "lm.npz"), wanted)
    assert "respelled: 3 times, '’' as \"'\" (1), 'ë' as 'E' (1), 'é' as 'E' (1)" in outcome.err
    assert "left out: 7 times" in outcome.err
    assert "1 line, 38 characters and ends of lines, 2 of them unknown" in outcome.out
    assert "unknown: 2 times, '1' (1), '8' (1)" in outcome.err


def test_texts_to_measure_on_are_spelled_like_a_model_too(tmp_path, speech):
    for name, text in (("learn", "DON'T SAID ZOE\n"), ("bare", "SAID ZOE\n"), ("written", "“said” Zoë!\n")):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    assert lm(tmp_path / "learn.txt", "--order", 2, "-o", tmp_path / "lm.npz").status == 0
    model = ("evaluate", tmp_path / "lm.npz")
    bare = call(OCR, "lm", *model, tmp_path / "bare.txt")
    written = call(OCR, "lm", *model, tmp_path / "written.txt", "--like", speech)
    assert bare.status == written.status == 0, written.err
    assert written.out == bare.out


def test_a_word_with_an_unknown_character_is_unknown(tmp_path, speech):
    path = tmp_path / "text.txt"
    path.write_text("in 18th year in year\n")
    model = trained(tmp_path, path, "--like", speech, "--unit", "word", "--order", 2)
    assert model.tokens[3:] == ("IN", "YEAR")
    assert_same(model, estimate(["IN <unk> YEAR IN YEAR"], 2, "word"))


@pytest.mark.parametrize(
    ("character", "symbols", "text", "why"),
    [
        ("a", "abA", "a", "kept"),
        ("a", "A", "A", "case"),
        ("Q", "q", "q", "case"),
        ("ß", "S", "SS", "case"),
        ("’", "'", "'", "respelled"),
        ("'", "’", "’", "respelled"),
        ("—", "a-", "-", "respelled"),
        ("é", "e", "e", "respelled"),
        ("é", "E", "E", "respelled"),
        ("é", "É", "É", "case"),
        ("æ", "AE", "AE", "respelled"),
        ("ﬁ", "fi", "fi", "respelled"),
        ("…", ".", "...", "respelled"),
        ("…", " a", " ", "left out"),
        ("…", "a", "", "left out"),
        ("’", " a", "", "left out"),
        ("-", " a", " ", "left out"),
        ("\u00ad", " a", "", "left out"),
        ("&", " a", "\ufffd", "unknown"),
        ("7", " a", "\ufffd", "unknown"),
        ("$", " a", "\ufffd", "unknown"),
        ("д", " a", "\ufffd", "unknown"),
    ],
)
def test_how_an_alphabet_spells(character, symbols, text, why):
    assert spelled(character, set(symbols)) == (text, why)


# --- what is wrong


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "no text to learn from"),
        (["{text}", "--order", 0], "order is 0; choose 1 to 10"),
        (["{text}", "--prune", 1], "prune is 1; begin with 0"),
        (["{text}", "--vocabulary", 0], "vocabulary is 0"),
        (["{text}", "--held-out", "{folder}/none.txt"], "none.txt: cannot be read"),
        (["{text}", "--like", "{folder}/none.safetensors"], "none.safetensors: no such file"),
        (["{text}", "--like", "{text}"], "text.txt: is not a .safetensors"),
        (["{text}", "--like", "{folder}/bare.safetensors"], "bare.safetensors: has no alphabet"),
        (["{text}", "--like", "{folder}/odd.safetensors"], "odd.safetensors: alphabet: symbol 'ab'"),
        (["{text}", "--like", "{folder}/speech.safetensors", "--unicode-form", "NFD"], "wants NFC"),
        (["{folder}/none.txt"], "none.txt: cannot be read (No such file"),
        (["{folder}/empty.txt"], "empty.txt: holds no text"),
        (["{folder}/latin.txt"], "latin.txt:2: byte 0xfc is not UTF-8"),
        (["{folder}/broken.gz"], "broken.gz: its compression is damaged"),
        (["{folder}/marks.txt", "--unit", "word"], "the text has the word '</s>'"),
        (["{folder}/broken.jsonl"], "broken.jsonl:1: not JSON"),
        (["-"], "-: holds no text"),
        (["{text}", "--output", "{folder}"], "is a folder; name a file"),
    ],
)
def test_what_cannot_be_is_one_sentence(text, speech, tmp_path, arguments, problem):
    usage = ("no text to learn from", "order is 0", "prune is 1", "vocabulary is 0", "wants NFC")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes("gut\nüber\n".encode("latin-1"))
    (tmp_path / "broken.gz").write_bytes(gzip.compress(TEXT.encode())[:-9])
    (tmp_path / "marks.txt").write_text("a </s> b\n")
    (tmp_path / "broken.jsonl").write_text("no\n")
    none = {"none": np.zeros(1, np.float32)}
    write_model(tmp_path / "bare.safetensors", none, {})
    write_model(tmp_path / "odd.safetensors", none, {"alphabet": {"symbols": ["ab"]}})
    given = [str(one).format(text=text, folder=tmp_path) for one in arguments]
    outcome = lm(*(() if "--output" in given else ("-o", tmp_path / "made" / "lm.npz")), *given)
    assert outcome.status == (2 if problem.startswith(usage) else 1), outcome.err
    assert outcome.out == ""
    (sentence,) = outcome.err.splitlines()
    assert problem in sentence
    assert sentence.startswith("ocr: ")
    assert not (tmp_path / "made" / "lm.npz").exists()


def test_bad_usage_has_status_2(text, tmp_path):
    assert lm(text, "-o").status == 2
    assert lm(text, "-o", tmp_path / "lm.npz", "--unit", "syllable").status == 2
