"""recipes/core/text.py: texts as numbers, corpora, and models of labels and of pairs."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import call
from PIL import Image
from rapidfuzz.distance import Levenshtein
from run_log import MEMORISED, losses_of
from text import (
    TEXT,
    CorpusConfig,
    FrontEndConfig,
    SignalConfig,
    SymbolEmbedding,
    expand,
    measure,
    read,
    read_corpus,
    render,
)

CHARACTERS, WORDS = SignalConfig("character"), SignalConfig("word", buckets=30_000)
GOOD = ("splendid", "moving", "clever", "warm", "wonderful")
BAD = ("dull", "clumsy", "boring", "empty", "awful")
NEUTRAL = ("the", "film", "is", "a", "story", "of", "two", "people", "who", "live", "by", "sea", "and")


def text_of(data: bytes, config: SignalConfig = CHARACTERS) -> list[int]:
    return read(io.BytesIO(data), config).values.astype(int).tolist()


# --- symbols


def test_a_character_is_its_code_point_in_nfc_with_single_spaces() -> None:
    assert text_of("\ufeff u\u0308ber \n\t a ".encode()) == [0xFC, 98, 101, 114, 32, 97]


def test_code_points_beyond_the_buckets_are_folded_and_none_is_padding() -> None:
    small = SignalConfig("character", buckets=100)
    assert text_of(b"Abcd\0", small) == [65, 98, 99, 1, 99]
    everything = "".join(map(chr, range(1, 0xD800)))
    numbers = text_of(everything.encode(), replace(small, max_length=10**5))
    assert min(numbers) == 1 and max(numbers) == 99


def test_words_are_lower_cased_and_marks_are_words() -> None:
    assert text_of(b"Don't STOP, she said.", WORDS) == text_of(b"don't   stop , she said .", WORDS)
    assert len(text_of(b"Don't STOP, she said.", WORDS)) == 6
    # CRC-32 of "123456789" is 0xCBF43926, its published check value
    assert text_of(b"123456789", WORDS) == [1 + (0xCBF43926 - 1) % 29_999]


@pytest.mark.parametrize(
    ("data", "config", "sentence"),
    [
        (b"ab\xff", CHARACTERS, "byte 0xff at offset 2 is not UTF-8"),
        (b" \n ", CHARACTERS, "has no character in it"),
        (b"abcd", SignalConfig(max_length=3), "has 4 characters, at most 3 were wanted"),
        (b"a b, c", SignalConfig("word", max_length=3), "has 4 words, at most 3 were wanted"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, data, config, sentence) -> None:
    file = tmp_path / "review.txt"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(f"{file}: {sentence}")):
        read(str(file), config)


@pytest.mark.parametrize("setting", [{"unit": "letter"}, {"buckets": 1}, {"max_length": 0}])
def test_settings_out_of_range_are_refused(setting) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        SignalConfig(**setting)


# --- corpora


def test_each_subfolder_is_a_label_or_those_that_are_named(tmp_path: Path) -> None:
    for name in ("neg/0.txt", "pos/1.txt", "pos/0.txt", "unsup/0.txt", "README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a text")
    read_all = read_corpus(str(tmp_path), CorpusConfig()).examples
    assert [(Path(one.source).name, one.text) for one in read_all] == [
        ("0.txt", "neg"), ("0.txt", "pos"), ("1.txt", "pos"), ("0.txt", "unsup"),
    ]  # fmt: skip
    assert {one.text for one in read_corpus(str(tmp_path), CorpusConfig("pos,neg")).examples} == {
        "pos",
        "neg",
    }
    with pytest.raises(ValueError, match=r"has neg, pos, unsup with \*.txt in it, good was wanted"):
        read_corpus(str(tmp_path), CorpusConfig("good"))
    with pytest.raises(ValueError, match="has nothing with"):
        read_corpus(str(tmp_path / "pos"), CorpusConfig())


def test_pairs_are_read_and_problems_are_named_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes("\ufeffein  Tag\teins\r\n\nzwei\n\tdrei\na\tb\tc\nü\t4\n".encode() + b"\xff\t5")
    corpus = read_corpus(str(file), CorpusConfig())
    assert [(one.source, one.text, one.length) for one in corpus.examples] == [
        (f"{file}::1", "eins", 7.0), (f"{file}::6", "4", 1.0),
    ]  # fmt: skip
    starts = [sentence.split(": ")[0] for sentence in corpus.problems]
    assert starts == [f"{file}:{number}" for number in (3, 4, 5, 7)]
    assert "2 were wanted" in corpus.problems[0] and "not UTF-8" in corpus.problems[3]
    for one in corpus.examples:
        assert measure(one.source) == one.length == len(read(one.source, CHARACTERS).values)
    assert expand(str(file)) == [f"{file}::{number}" for number in (1, 3, 4, 5, 6, 7)]
    with pytest.raises(ValueError, match="has 7 lines"):
        read(f"{file}::8", CHARACTERS)
    with pytest.raises(ValueError, match=r"none\.tsv: cannot be read"):
        read_corpus(str(tmp_path / "none.tsv"), CorpusConfig())


# --- front end


def test_padding_is_zero_and_does_not_change_the_rest() -> None:
    front_end = SymbolEmbedding(FrontEndConfig(8), SignalConfig(buckets=50)).eval()
    signals = torch.tensor([[3.0, 4, 5], [6, 0, 0]])
    features, lengths = front_end(signals, torch.tensor([3, 1]))
    alone, _ = front_end(signals[1:, :1], torch.tensor([1]))
    assert lengths.tolist() == [3, 1]
    assert not features[1, 1:].any()
    assert features[1, :1].equal(alone[0])


def test_dropout_silences_whole_symbols_in_training_alone() -> None:
    torch.manual_seed(0)
    front_end = SymbolEmbedding(FrontEndConfig(8, symbol_dropout=0.25), SignalConfig(buckets=50))
    signals, lengths = torch.full((1, 4000), 7.0), torch.tensor([4000])
    features = front_end(signals, lengths)[0][0]
    silent = (features == 0).all(1)
    assert silent.equal((features == 0).any(1))
    assert silent.float().mean() == pytest.approx(0.25, abs=0.03)
    whole = front_end.eval()(signals, lengths)[0][0]
    torch.testing.assert_close(features[~silent], whole[~silent] / 0.75)


@pytest.mark.parametrize("config", [CHARACTERS, WORDS])
def test_a_text_has_a_picture_with_ink_of_it(config) -> None:
    signal = read(io.BytesIO("What a film \U0001f600!".encode() * 20), config)
    picture = np.asarray(Image.open(io.BytesIO(render(signal.values, config).png)))
    assert picture.min() < 128 < picture.max()


# --- models

EMBEDDED = ("--embedding-size", 16, "--buckets", 2000, "--symbol-dropout", 0)


def write_reviews(folder: Path, count: int) -> None:
    """Write neutral words with one good or bad word, in turn."""
    rng = np.random.default_rng(1)
    for number in range(count):
        words = [str(word) for word in rng.choice(NEUTRAL, rng.integers(2, 6))]
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice((GOOD, BAD)[number % 2])))
        file = folder / ("pos", "neg")[number % 2] / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(" ".join(words) + ".")


@pytest.mark.training
@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "pooling"), [("word", "last"), ("character", "mean"), ("word", "attention")]
)
def test_opinions_of_a_batch_are_memorised_and_counted(unit, pooling, tmp_path) -> None:
    """How many unseen opinions are right is a figure of core/sentiment.sh."""
    write_reviews(tmp_path / "train", 16)
    trained = call(
        *(TEXT, "train", tmp_path / "train", tmp_path / "train", "--run", tmp_path / "run", *MEMORISED),
        *("--task", "classify", "--unit", unit, "--pooling", pooling, "--epochs", 12, *EMBEDDED),
    )
    assert trained.status == 0, trained.err
    losses = losses_of(tmp_path / "run")
    assert losses[-1] < losses[0] / 2
    model = tmp_path / "run" / "best.safetensors"
    evaluated = call(TEXT, "evaluate", model, tmp_path / "train")
    files = sorted((tmp_path / "train").rglob("*.txt"))
    labelled = call(TEXT, "transcribe", "-m", model, "-f", "json", *files)
    given = [json.loads(line)["text"] for line in labelled.out.splitlines()]
    right = sum(label == file.parent.name for label, file in zip(given, files, strict=True))
    assert evaluated.out.startswith(f"accuracy {100 * right / 16:.2f} %")


@pytest.mark.training
@pytest.mark.slow
def test_pairs_that_ctc_cannot_spell_are_memorised_and_counted(tmp_path) -> None:
    """Digits become words from the last to the first: the target is longer, and in another order."""
    digits = np.random.default_rng(0).integers(4, size=(12, 3)).tolist()
    texts = ["".join(("nil", "one", "two", "ten")[digit] for digit in reversed(row)) for row in digits]
    pairs = tmp_path / "pairs.tsv"
    rows = zip(digits, texts, strict=True)
    pairs.write_text("".join(f"{''.join(map(str, row))}\t{text}\n" for row, text in rows))
    trained = call(
        *(TEXT, "train", pairs, pairs, "--run", tmp_path / "run", *MEMORISED, *EMBEDDED, "--epochs", 16),
        *("--task", "attention", "--arrangement", "dot", "--decoder-size", 32, "--label-smoothing", 0),
    )
    assert trained.status == 0, trained.err
    losses = losses_of(tmp_path / "run")
    assert losses[-1] < losses[0] / 2
    model = tmp_path / "run" / "best.safetensors"
    written = call(TEXT, "transcribe", "-m", model, pairs).out.splitlines()
    errors = sum(Levenshtein.distance(*pair) for pair in zip(written, texts, strict=True))
    evaluated = call(TEXT, "evaluate", model, pairs)
    assert f"%CER {100 * errors / sum(map(len, texts)):.2f} [ {errors} / {12 * 9}," in evaluated.out
