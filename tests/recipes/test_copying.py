"""The copy problem; the expected sequence is written by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from command import call
from copying import COPYING, CorpusConfig, SignalConfig, read, read_corpus
from copying_corpus import CopyingCorpus, build_inputs, draw_texts, write_corpus
from copying_table import recalled, table
from run_log import MEMORISED, losses_of

from common.data.frame_targets import FrameTargets, frame_names


def small(folder: Path, **settings: int) -> CopyingCorpus:
    corpus = CopyingCorpus(folder, **{"blanks": 4, "copied": 3, "train": 20, "dev": 10, **settings})
    write_corpus(corpus)
    return corpus


# --- the corpus


def test_an_input_is_the_text_blanks_the_mark_and_a_blank_for_each_symbol():
    inputs = build_inputs(np.array([[3, 0, 7], [1, 1, 2]]), blanks=4)
    assert inputs.tolist() == [[3, 0, 7, 8, 8, 8, 9, 8, 8, 8], [1, 1, 2, 8, 8, 8, 9, 8, 8, 8]]
    assert build_inputs(np.array([[5]]), blanks=1).tolist() == [[5, 9, 8]]


def test_texts_are_different_and_of_all_symbols_alike():
    texts = draw_texts(4000, 10, np.random.default_rng(0))
    assert len(np.unique(texts, axis=0)) == len(texts) == 4000
    counts = np.array([np.bincount(column, minlength=8) for column in texts.T])  # (10, 8), 500 each
    assert counts.shape == (10, 8)
    assert abs(counts - 500).max() < 110  # five deviations
    assert draw_texts(64, 2, np.random.default_rng(0)).shape == (64, 2)  # all there are


def test_a_step_is_one_of_ten_and_its_label_is_the_symbol_to_be_given_back(tmp_path):
    small(tmp_path)
    examples, problems = read_corpus(str(tmp_path / "dev.jsonl"), CorpusConfig())
    assert len(examples) == 10
    assert problems == []
    names = frame_names(examples, "characters", "NFC")
    assert names.symbols == tuple("abcdefgh")
    targets = FrameTargets(names, "characters", stride=1, offset=0)
    for example, channels in zip(examples, np.load(tmp_path / "dev.npy").tolist(), strict=True):
        values, unit_per_step = read(example.source, SignalConfig())
        assert values.dtype == np.float32
        assert values.tolist() == [[float(place == channel) for place in range(10)] for channel in channels]
        assert example.length == COPYING.measure(example.source) == 10
        assert targets(example, unit_per_step, 10) == [0] * 7 + [channel + 1 for channel in channels[:3]]
        assert example.text == "".join("abcdefgh"[channel] for channel in channels[:3])


def test_no_text_is_in_both_parts(tmp_path):
    small(tmp_path, train=400, dev=100)
    lines = [
        line for name in ("train", "dev") for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()
    ]
    assert len({json.loads(line)["text"] for line in lines}) == len(lines) == 500


def test_a_corpus_that_cannot_be_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="blanks is 0"):
        CopyingCorpus(tmp_path, blanks=0)
    with pytest.raises(ValueError, match="60 \\+ 5 sequences are wanted, but there are only 64 of 2 symbols"):
        CopyingCorpus(tmp_path, copied=2, train=60, dev=5)


@pytest.mark.parametrize("source", ["dev.npy::10", "dev.npy::x", "dev.npy", "none.npy::0", "dev.jsonl::0"])
def test_a_source_that_is_no_row_is_named(tmp_path, source):
    small(tmp_path)
    with pytest.raises(ValueError, match=source.replace(".", r"\.")):
        read(str(tmp_path / source), SignalConfig())


# --- what is measured


def test_only_steps_with_a_symbol_count():
    entries = [("", "", 900), ("", "a", 5), ("a", "a", 6), ("a", "", 1), ("a", "b", 2), ("b", "b", 3)]
    names = ("reference", "given", "count")
    assert recalled({"confusions": [dict(zip(names, entry, strict=True)) for entry in entries]}) == 9 / 12


def test_the_table_has_a_row_for_a_cell_and_a_column_for_a_length(tmp_path):
    for name, right in (("lstm-50", 3), ("lstm-100", 2), ("rnn_tanh-50", 1)):
        entries = [
            {"reference": "a", "given": "a", "count": right},
            {"reference": "a", "given": "b", "count": 1},
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"confusions": entries}))
    assert table(tmp_path).splitlines()[2:] == ["| lstm | 75.0 % | 66.7 % |", "| rnn_tanh | 50.0 % | - |"]
    with pytest.raises(ValueError, match="evaluate with --json first"):
        table(tmp_path / "none")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a corpus and a run on it, of one batch in each epoch."""
    folder = tmp_path_factory.mktemp("copying")
    small(folder)
    cell = ("--cell", "lstm", "--initialisation", "orthogonal", "--forget-bias", 1, "--no-bidirectional")
    outcome = call(
        *(COPYING, "train", folder / "train.jsonl", folder / "dev.jsonl", "--run", folder / "run"),
        *("--task", "frames", "--frame-labels", "characters", *cell, *MEMORISED, "--epochs", 30),
    )
    assert outcome.status == 0, outcome.err
    return folder


@pytest.mark.slow
@pytest.mark.training
def test_the_loss_of_a_batch_falls(trained):
    """At first nine labels are alike."""
    losses = losses_of(trained / "run")
    assert losses[0] == pytest.approx(math.log(9), rel=0.2)
    assert losses[-1] < losses[0] / 2


@pytest.mark.slow
@pytest.mark.training
def test_the_share_is_that_of_the_transcripts(trained):
    model, given = trained / "run" / "best.safetensors", trained / "lstm-4.json"
    assert call(COPYING, "evaluate", model, trained / "dev.jsonl", "--json", given).status == 0
    rows = [json.loads(line) for line in (trained / "dev.jsonl").read_text().splitlines()]
    sources = [f"{trained}/{row['source']}" for row in rows]
    outcome = call(COPYING, "transcribe", "-m", model, "-f", "json", *sources)
    right = 0
    for row, line in zip(rows, outcome.out.splitlines(), strict=True):
        words = json.loads(line)["words"]
        for step, symbol in enumerate(row["text"], start=7):
            right += any(word["text"] == symbol and word["start"] <= step < word["end"] for word in words)
    assert recalled(json.loads(given.read_text())) == pytest.approx(right / 30)
