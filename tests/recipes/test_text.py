"""recipes/core/text.py: texts as numbers, corpora, and models of labels and of pairs."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import call
from PIL import Image
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
NEUTRAL = (
    "the",
    "film",
    "is",
    "a",
    "story",
    "of",
    "two",
    "people",
    "who",
    "live",
    "by",
    "sea",
    "and",
    "then",
)


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

QUICK = (
    *("--hidden-size", 32, "--layers", 1, "--embedding-size", 32, "--buckets", 2000, "--symbol-dropout", 0),
    *("--dropout", 0, "--batch-budget", 600, "--learning-rate", "1e-2", "--warmup-steps", 20, "--ema", 0),
    *("--device", "cpu"),
)


def write_reviews(folder: Path, count: int, seed: int, negated: bool) -> None:
    """Write neutral words with one good or bad word; if `negated`, half of these follow "not"."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        words = [str(word) for word in rng.choice(NEUTRAL, rng.integers(4, 14))]
        good, turned = bool(rng.integers(2)), negated and bool(rng.integers(2))
        place = int(rng.integers(len(words) + 1))
        words[place:place] = ["not"] * turned + [str(rng.choice(GOOD if good else BAD))]
        file = folder / ("pos" if good != turned else "neg") / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(" ".join(words) + ".")


@pytest.fixture(scope="module", params=["word", "character"])
def reviews(request, tmp_path_factory) -> tuple[str, Path]:
    """Return a unit and a corpus for it; the corpus for words has negations."""
    folder = tmp_path_factory.mktemp("reviews")
    write_reviews(folder / "train", 1200, 1, negated=request.param == "word")
    write_reviews(folder / "dev", 200, 2, negated=request.param == "word")
    return request.param, folder


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_opinions_are_learnt_with_every_pooling(reviews, pooling, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    unit, folder = reviews
    task = ("--task", "classify", "--unit", unit, "--pooling", pooling, "--epochs", 4)
    trained = call(TEXT, "train", folder / "train", folder / "dev", "--run", tmp_path / "run", *QUICK, *task)
    assert trained.status == 0, trained.err
    model = tmp_path / "run" / "best.safetensors"
    evaluated = call(TEXT, "evaluate", model, folder / "dev")
    assert float(re.search(r"accuracy (\S+) %", evaluated.out)[1]) > 95, trained.err
    labelled = call(
        TEXT, "transcribe", "-", "--model", model, stdin=b"the story is wonderful and the people live."
    )
    assert labelled.out.startswith("pos")


def test_pairs_that_ctc_cannot_spell_are_learnt(tmp_path, monkeypatch) -> None:
    """Digits become words from the last to the first: the target is longer, and in another order."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("train", "dev"):
        rng = np.random.default_rng(len(name))
        drawn = rng.integers(4, size=(600 if name == "train" else 60, 3)).tolist()
        words = [[("nil", "one", "two", "ten")[digit] for digit in reversed(digits)] for digits in drawn]
        lines = [
            f"{''.join(map(str, digits))}\t{''.join(w)}\n" for digits, w in zip(drawn, words, strict=True)
        ]
        (tmp_path / f"{name}.tsv").write_text("".join(lines))
    task = ("--task", "attention", "--arrangement", "dot", "--decoder-size", 48, "--epochs", 6)
    more = ("--precision", "bf16-mixed", "--batch-budget", 60, "--label-smoothing", 0)
    trained = call(
        *(TEXT, "train", tmp_path / "train.tsv", tmp_path / "dev.tsv", "--run", tmp_path / "run"),
        *(*QUICK, *task, *more),
    )
    assert trained.status == 0, trained.err
    evaluated = call(TEXT, "evaluate", tmp_path / "run" / "best.safetensors", tmp_path / "dev.tsv")
    assert float(re.search(r"%CER (\S+)", evaluated.out)[1]) < 5, trained.err
