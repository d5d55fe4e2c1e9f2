"""Decoding from end to end: an untrained model that is sure of something, and all that helps it to a text."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from command import Outcome, call
from rapidfuzz.distance import Levenshtein

import asr.front_end
import asr.signal
import ocr.front_end
import ocr.signal
from asr.modality import ASR
from asr.synthesis import write_spoken_tones
from common.decoding.decoder import Decoder, DecodingConfig
from common.files.model_file import read_model
from common.language.arpa import write_arpa
from common.language.kneser_ney import estimate
from common.language.loading import load_ngrams
from common.language.recurrent_model import LanguageModelConfig, RecurrentModel
from common.network.language_model import LanguageModel
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Alphabet
from common.text.transcript import Transcript
from common.text.vocabulary import Vocabulary
from ocr.drawing.lines import write_drawn_lines
from ocr.modality import OCR

TEXTS = ("abba ca", "bad cab", "ac dab", "a bad cad", "dad a cab", "cab bad", "add a", "dab cad ab")
ENCODER = EncoderConfig(hidden_size=8, layers=1)


class Case(NamedTuple):
    """A modality with a model, a corpus, its files and their texts, and a folder of what helps decoding."""

    modality: Modality
    model: Path
    data: Path
    files: list[Path]
    texts: list[str]
    folder: Path

    def transcribe(self, *arguments: object, model: Path | None = None) -> Outcome:
        return call(self.modality, "transcribe", *self.files, "-m", model or self.model, *arguments)

    def lines(self, *arguments: object, model: Path | None = None) -> list[str]:
        outcome = self.transcribe(*arguments, model=model)
        assert (outcome.status, outcome.err) == (0, "")
        return outcome.out.splitlines()

    def evaluate(self, *arguments: object, model: Path | None = None) -> Outcome:
        return call(self.modality, "evaluate", model or self.model, self.data, *arguments)

    def decoded(self, decoder: Decoder, count: int = 1) -> list[Transcript]:
        """Return what the library makes of the files with this decoder."""
        recognizer = Recognizer.load(self.modality, self.model)
        recognizer.decoder = decoder
        return list(recognizer.transcribe(map(str, self.files), alternatives=count - 1))


def sure_of_something(modality: Modality, config: ModelConfig, texts, files) -> Recognizer:
    """Return an untrained recognizer that finds each class the likeliest in some steps of these files."""
    torch.manual_seed(0)
    recognizer = Recognizer(modality, config, Alphabet.from_texts(texts)).eval()
    with torch.no_grad():
        parts = []
        for file in files:
            values = torch.from_numpy(modality.read(str(file), config.signal).values)[None]
            features = recognizer.front_end(values, torch.tensor([values.shape[1]]))
            parts.append(recognizer.encoder(*features)[0][0])
        seen = torch.cat(parts)
        head = recognizer.head.linear
        head.weight.copy_(torch.randn_like(head.weight) / seen.std(dim=0))
        head.bias.copy_(-head.weight @ seen.mean(dim=0))
    return recognizer


def lines_in(folder: Path, said: tuple[str, ...]) -> Case:
    """Return a case of drawn lines that say this."""
    write_drawn_lines(folder / "data", said, len(said), seed=1)
    files = sorted((folder / "data").glob("*.png"))
    texts = [file.with_suffix(".gt.txt").read_text().strip() for file in files]
    signal, front_end = ocr.signal.SignalConfig(height_px=16), ocr.front_end.FrontEndConfig((4, 4, 4, 4))
    config = ModelConfig(signal, front_end, ENCODER)
    sure_of_something(OCR, config, texts, files).save(folder / "m.safetensors")
    return Case(OCR, folder / "m.safetensors", folder / "data", files, texts, folder)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On cores that others use too, small networks are faster with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_help(case: Case) -> Case:
    """Write language models, a lexicon and hot words into the folder of a case."""
    folder = case.folder
    estimate(case.texts, 4).save(folder / "letters.npz")
    write_arpa(estimate(case.texts, 2, "word"), folder / "words.arpa")
    words = sorted({word for text in case.texts for word in text.split()})
    (folder / "lexicon.txt").write_text("\n".join(words[: len(words) // 2]) + "\n")
    (folder / "hot.txt").write_text(f"{words[0]}\n\n  {words[1]}   {words[0]} \n")
    return case


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return with_help(lines_in(tmp_path_factory.mktemp("lines"), TEXTS))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("tones")
    write_spoken_tones(folder, 30, seed=1)
    rows = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()]
    files, texts = [folder / row["audio_filepath"] for row in rows], [row["text"] for row in rows]
    front_end = asr.front_end.FrontEndConfig(mels=16, channels=(4, 4, 4))
    config = ModelConfig(asr.signal.SignalConfig(), front_end, ENCODER)
    sure_of_something(ASR, config, texts, files).save(folder / "m.safetensors")
    return with_help(Case(ASR, folder / "m.safetensors", folder / "dev.jsonl", files, texts, folder))


@pytest.fixture(params=["lines", "tones"])
def case(request: pytest.FixtureRequest) -> Case:
    return request.getfixturevalue(request.param)


def helped(case: Case) -> tuple[object, ...]:
    """Return flags for all that helps."""
    folder = case.folder
    return (
        *("--lm", folder / "letters.npz", "--lm", folder / "words.arpa", "--lexicon", folder / "lexicon.txt"),
        *("--hot-words", folder / "hot.txt", "--beam-width", 6),
    )


def words_in(path: Path) -> list[str]:
    return [" ".join(line.split()) for line in path.read_text().splitlines() if line.strip()]


# --- transcribe


@pytest.mark.slow
def test_flags_say_what_the_decoder_of_the_library_says(case):
    folder, alphabet = case.folder, Recognizer.load(case.modality, case.model).alphabet
    letters, words = (load_ngrams(folder / name) for name in ("letters.npz", "words.arpa"))
    lexicon, hot = words_in(folder / "lexicon.txt"), words_in(folder / "hot.txt")
    wanted = {
        (): Decoder(alphabet),
        ("--decoder", "beam"): Decoder(alphabet, DecodingConfig("beam")),
        ("--decoder", "beam", "--beam-width", 3): Decoder(alphabet, DecodingConfig("beam", 3)),
        ("--lm", folder / "letters.npz"): Decoder(alphabet, DecodingConfig("beam"), [letters]),
        ("--lm", folder / "letters.npz", "--lm-weight", 2, "--label-bonus", 3): Decoder(
            alphabet, DecodingConfig("beam", lm_weight=2, label_bonus=3), [letters]
        ),
        ("--lm", folder / "words.arpa", "--word-bonus", 7, "--unknown-word-penalty", 1): Decoder(
            alphabet, DecodingConfig("beam", word_bonus=7, unknown_word_penalty=1), [words]
        ),
        ("--lexicon", folder / "lexicon.txt"): Decoder(alphabet, DecodingConfig("beam"), words=lexicon),
        ("--hot-words", folder / "hot.txt", "--hot-word-boost", 4): Decoder(
            alphabet, DecodingConfig("beam", hot_word_boost=4), hot_words=hot
        ),
        (*helped(case), "--word-lm-weight", 0.1): Decoder(
            alphabet, DecodingConfig("beam", 6, word_lm_weight=0.1), [letters, words], lexicon, hot
        ),
    }
    seen = set()
    for flags, decoder in wanted.items():
        texts = case.lines(*flags)
        assert texts == [transcript.text for transcript in case.decoded(decoder)], flags
        seen.add(tuple(texts))
    assert len(seen) >= 7  # what is said matters


def recurrent(case: Case, name: str, **settings: object) -> Path:
    """Write an untrained recurrent model of the case's characters, or words, that is sure of something."""
    torch.manual_seed(1)
    config = LanguageModelConfig(hidden_size=8, embedding_size=4)
    model = LanguageModel(config, Vocabulary.from_texts(case.texts, **settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(2 * torch.randn_like(parameter))
    model.save(case.folder / name)
    return case.folder / name


def test_recurrent_models_join_the_search_and_put_its_best_in_a_new_order(case):
    letters, words = recurrent(case, "letters.safetensors"), recurrent(case, "words.safetensors", unit="word")
    alphabet = Recognizer.load(case.modality, case.model).alphabet
    plain, written = case.lines("--decoder", "beam", "--beam-width", 6), []
    for flags, decoder in [
        (
            ("--lm", letters, "--lm-weight", 2),
            Decoder(alphabet, DecodingConfig("beam", 6, lm_weight=2), [RecurrentModel.load(letters)]),
        ),
        (
            ("--rescore", words, "--rescore-weight", 2, "--rescore-bonus", 1),
            Decoder(
                alphabet,
                DecodingConfig("beam", 6, rescore_weight=2, rescore_bonus=1),
                rescorer=RecurrentModel.load(words),
            ),
        ),
    ]:
        written.append(case.lines(*flags, "--beam-width", 6))
        assert written[-1] == [transcript.text for transcript in case.decoded(decoder)]
    assert plain not in written
    assert case.evaluate("--rescore", letters, "--tune", 2).status == 0


def test_a_hard_lexicon_is_kept_to(case):
    allowed = set(words_in(case.folder / "lexicon.txt"))
    for line in case.lines("--lexicon", case.folder / "lexicon.txt"):
        *whole, last = line.split() or [""]
        assert set(whole) <= allowed
        assert not last or any(word.startswith(last) for word in allowed)


def test_flags_may_stand_before_the_files(lines):
    lm = lines.folder / "letters.npz"
    before = call(OCR, "transcribe", "--lm", lm, *lines.files, "-m", lines.model)
    assert before == lines.transcribe("--lm", lm)


def test_alternatives_stand_in_json_best_first(case):
    outcome = case.transcribe("--decoder", "beam", "--alternatives", 3, "-f", "json")
    assert (outcome.status, outcome.err) == (0, "")
    alphabet = Recognizer.load(case.modality, case.model).alphabet
    expected = case.decoded(Decoder(alphabet, DecodingConfig("beam")), count=4)
    some = 0
    for line, wanted in zip(outcome.out.splitlines(), expected, strict=True):
        found = json.loads(line)
        texts = [other["text"] for other in found["alternatives"]]
        assert texts == [other.text for other in wanted.alternatives]
        assert len({found["text"], *texts}) == 1 + len(texts) <= 4
        scores = [other["score"] for other in found["alternatives"]]
        assert scores == sorted(scores, reverse=True)
        some += len(texts)
    assert some > len(case.files)


# --- evaluate


def errors(references: list[str], hypotheses: list[str]) -> int:
    hypotheses = [" ".join(text.split()) for text in hypotheses]
    return sum(Levenshtein.distance(*pair) for pair in zip(references, hypotheses, strict=True))


@pytest.mark.parametrize("beam", [False, True])
def test_evaluation_counts_the_edits_of_what_is_transcribed_with_the_same_flags(case, beam):
    flags = helped(case) if beam else ()
    outcome = case.evaluate(*flags)
    assert outcome.status == 0, outcome.err
    count, length = errors(case.texts, case.lines(*flags)), sum(map(len, case.texts))
    assert f"%CER {100 * count / length:.2f} [ {count} / {length}, " in outcome.out
    assert f"{len(case.files)} {case.modality.item}s" in outcome.out


def table(out: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of what was tried."""
    header, *rows = out[: out.index("\n\n")].splitlines()[1:]
    names = header.replace(" %", "%").split()
    return names, [row.split() for row in rows if not row.startswith("best")]


def test_tuning_prints_what_was_tried_and_measures_on_the_other_half(case, tmp_path):
    figures, report, model = (tmp_path / "new" / name for name in ("f.json", "r.html", "m.safetensors"))
    flags = (*helped(case), "--unknown-word-penalty", 4)
    tuning = ("--tune", 5, "--save-tuned", model, "--json", figures, "--report", report)
    outcome = case.evaluate(*flags, *tuning)
    assert outcome.status == 0, outcome.err
    held_out = list(zip(case.files, case.texts, strict=True))[1::2]
    assert f"on {len(case.files) - len(held_out)}:" in outcome.out.splitlines()[0]
    assert f"\non the other {len(held_out)}:\n" in outcome.out

    names, rows = table(outcome.out)
    settings = ["lm_weight", "label_bonus", "word_lm_weight", "word_bonus", "unknown_word_penalty"]
    assert names == ["trial", *settings, "hot_word_boost", "CER%", "WER%"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[0][1:-2] == ["0.6", "0.8", "-", "1", "4", "1"]

    # the best of the table is what is said, is in the model, and was measured
    best = min(rows, key=lambda row: float(row[-2]))
    said = re.search(r"^best: (.*)$", outcome.out, re.M)[1].split()
    values = dict(zip(names[1:-2], best[1:-2], strict=True))
    expected = [(f"--{name.replace('_', '-')}", value) for name, value in values.items() if value != "-"]
    assert list(zip(said[::2], said[1::2], strict=True)) == expected
    kept = read_model(model).header["decoding"]
    assert {name: kept[name] for name in values} == {
        name: None if value == "-" else float(value) for name, value in values.items()
    }
    assert (kept["decoder"], kept["beam_width"]) == ("beam", 6)

    texts = case.lines(*flags, *said)
    references = [text for _, text in held_out]
    count, length = errors(references, texts[1::2]), sum(map(len, references))
    assert f"%CER {100 * count / length:.2f} [ {count} / {length}, " in outcome.out
    assert f"  tuned          CER {100 * count / length:6.2f} %" in outcome.out
    greedy = errors(references, case.lines()[1::2])
    assert f"  greedy         CER {100 * greedy / length:6.2f} %" in outcome.out
    tuned_on = case.texts[::2]
    assert float(best[-2]) == pytest.approx(
        100 * errors(tuned_on, texts[::2]) / sum(map(len, tuned_on)), abs=0.006
    )

    written = json.loads(figures.read_text())
    assert (written["items"], written["characters"]["errors"]) == (len(held_out), count)
    page = report.read_text()
    assert page.count("<article") == len(held_out)
    assert [file.name in page for file in case.files] == [bool(place % 2) for place in range(len(case.files))]


def test_a_tuned_model_transcribes_without_flags_as_with_them(case, tmp_path):
    model = tmp_path / "tuned.safetensors"
    folder = case.folder
    material = ("--lm", folder / "letters.npz", "--lexicon", folder / "lexicon.txt", "--beam-width", 6)
    tuned = case.evaluate(*material, "--tune", 4, "--save-tuned", model)
    assert tuned.status == 0, tuned.err
    assert tuned.err.splitlines()[-1].startswith(f"{model}: the model with its decoder, ")
    said = re.search(r"^best: (.*)$", tuned.out, re.M)[1].split()
    with_flags = case.lines(*material, *said)
    assert case.lines(model=model) == with_flags
    assert with_flags != case.lines()
    # flags still change what it does
    assert case.lines("--decoder", "greedy", model=model) == case.lines()
    assert case.lines("--lm-weight", 0, "--label-bonus", 0, model=model) == case.lines(
        *material, *said, "--lm-weight", 0, "--label-bonus", 0
    )
    # its confidences are tempered, those of the model as it was are not
    temperature = float(re.search(r"\(temperature ([\d.]+)\)", tuned.out)[1])
    assert read_model(model).header["decoding"]["temperature"] == temperature
    assert read_model(case.model).header["decoding"]["temperature"] == 1.0

    again = case.evaluate(model=model)
    count, length = errors(case.texts, with_flags), sum(map(len, case.texts))
    assert f"%CER {100 * count / length:.2f} [ {count} / {length}, " in again.out


def test_reliability_counts_the_characters_of_the_other_half(case):
    outcome = case.evaluate("--decoder", "beam", "--tune", 1)
    rows = re.findall(r"^  (0\.\d)   ([01]\.\d) +(\d+) +([\d.]+) +([\d.]+)$", outcome.out, re.M)
    alphabet = Recognizer.load(case.modality, case.model).alphabet
    decoder = Decoder(alphabet, DecodingConfig("beam"))
    recognizer = Recognizer.load(case.modality, case.model)
    characters = 0
    for file in case.files[1::2]:
        values = case.modality.read(str(file), recognizer.config.signal).values
        (log_probs,) = recognizer.log_probs([values]).each()
        characters += len(decoder.texts(log_probs[None], np.array([len(log_probs)]))[0])
    assert sum(int(row[2]) for row in rows) == characters > 0
    for low, high, _, confidence, share in rows:
        assert float(low) - 1e-3 <= float(confidence) <= float(high) + 1e-3
        assert 0 <= float(share) <= 1


def test_tuning_what_has_nothing_to_tune_finds_a_temperature(lines, tmp_path):
    for flags, names in (((), ["greedy"]), (("--decoder", "beam"), ["greedy", "before tuning", "tuned"])):
        outcome = lines.evaluate(*flags, "--tune", 3, "--save-tuned", tmp_path / "m.safetensors")
        assert outcome.status == 0, outcome.err
        assert table(outcome.out) == (["trial", "CER%", "WER%"], [outcome.out.splitlines()[2].split()])
        assert "best:" not in outcome.out
        said = (
            "--tune 3: no language model, lexicon or hot words, so no weight to search; one setting is tried"
        )
        assert outcome.about("--tune").startswith(said)
        assert re.findall(r"^  (\w[\w ]*?) +CER +[\d.]+ %   WER", outcome.out, re.M) == names
        assert lines.lines(model=tmp_path / "m.safetensors") == lines.lines(*flags)


def test_two_models_can_stay_as_they_are(lines):
    """The weight of the second is then unsaid."""
    folder = lines.folder
    outcome = lines.evaluate("--lm", folder / "letters.npz", "--lm", folder / "words.arpa", "--tune", 1)
    assert outcome.status == 0, outcome.err
    assert "best: --lm-weight 0.6 --label-bonus 0.8 --word-bonus 1\n" in outcome.out


def test_tuning_is_the_same_each_time_and_looks_at_what_it_is_told_to(lines):
    flags = ("--lm", lines.folder / "letters.npz", "--tune", 4)
    one, again = lines.evaluate(*flags), lines.evaluate(*flags)
    assert one == again
    by_words = lines.evaluate(*flags, "--tune-metric", "wer")
    names, rows = table(by_words.out)
    best = min(rows, key=lambda row: float(row[names.index("WER%")]))
    assert f"best: --lm-weight {best[1]} --label-bonus {best[2]}\n" in by_words.out


# --- what is said of what is lacking


def test_what_a_model_lacks_is_said_once(lines, tmp_path):
    estimate(["abba ca", "cab"], 2).save(tmp_path / "lm.npz")
    (tmp_path / "lexicon.txt").write_text("cab\nxyz\nbad\n")
    (tmp_path / "hot.txt").write_text("cab\nword\n")
    flags = ("--lm", tmp_path / "lm.npz", "--lexicon", tmp_path / "lexicon.txt")
    hot = ("--hot-words", tmp_path / "hot.txt")
    model = tmp_path / "m.safetensors"
    said = [
        "the language model lacks 1 of the alphabet's 5 characters, which it takes for unknown: d",
        "lexicon: 1 of 3 cannot be spelled in this alphabet, such as 'xyz'",
        "hot words: 1 of 2 cannot be spelled in this alphabet, such as 'word'",
    ]
    assert lines.transcribe(*flags, *hot).err.splitlines() == said
    tuned = lines.evaluate(*flags, *hot, "--tune", 3, "--save-tuned", model)
    assert tuned.status == 0
    assert tuned.err.splitlines()[:-1] == said
    assert lines.transcribe(model=model).err == ""


def test_words_are_brought_to_the_form_of_the_alphabet(tmp_path):
    case = lines_in(tmp_path, ("é a", "a é"))
    (tmp_path / "lexicon.txt").write_text("e\u0301\na\n", encoding="utf-8")
    (tmp_path / "hot.txt").write_text("e\u0301\n", encoding="utf-8")
    for line in case.lines("--lexicon", tmp_path / "lexicon.txt", "--hot-words", tmp_path / "hot.txt"):
        assert set(line.split()) <= {"é", "a"}


# --- what is wrong


@pytest.fixture
def wrong(lines, tmp_path) -> Path:
    """A folder of files that are none."""
    write_arpa(estimate(TEXTS, 4), tmp_path / "broken.arpa")
    rows = (tmp_path / "broken.arpa").read_text().splitlines()
    place = rows.index("\\2-grams:") + 1
    rows[place] = "minus one\t" + rows[place]
    (tmp_path / "broken.arpa").write_text("\n".join(rows) + "\n")
    (tmp_path / "place").write_text(str(place + 1))
    estimate([text.upper() for text in TEXTS], 3).save(tmp_path / "upper.npz")
    estimate([text.upper() for text in TEXTS], 2, "word").save(tmp_path / "upper-words.npz")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "upper.txt").write_text("XYQ\nZOO\n")
    (tmp_path / "pronounced.txt").write_text("cab c a b\nbad b a d\n")
    (tmp_path / "latin.txt").write_bytes("déjà\n".encode("latin-1"))
    (tmp_path / "zeros.npz").write_bytes(b"PK" + bytes(50))
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    for name in ("letters.npz", "words.arpa"):
        shutil.copy(lines.folder / name, tmp_path / name)
    shutil.copy(lines.folder / "lexicon.txt", tmp_path / "words.txt")
    return tmp_path


@pytest.mark.parametrize("verb", ["transcribe", "evaluate"])
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["--lm", "letters.npz", "--decoder", "greedy"],
            "--lm: of no use to greedy decoding; say",
        ),
        (["--beam-width", 5], "--beam-width: of no use to greedy decoding; say --decoder beam"),
        (["--lm-weight", 1, "--word-bonus", 2], "--lm-weight, --word-bonus: of no use to greedy decoding"),
        (["--decoder", "beam", "--beam-width", 0], "ocr: --beam-width is 0; give 1 or more"),
        (["--lm", "letters.npz", "--lm-weight", "nan"], "ocr: --lm-weight is nan; give a finite number"),
        (
            ["--decoder", "beam", "--lm-weight", 1],
            "--lm-weight: of no use without a language model; name one",
        ),
        (["--lexicon", "words.txt", "--lm-weight", 1], "--lm-weight: of no use without a language model;"),
        (
            ["--lm", "words.arpa", "--label-bonus", 1],
            "--label-bonus: of no use without a language model over",
        ),
        (["--lm", "letters.npz", "--word-lm-weight", 1], "--word-lm-weight: of no use without two language"),
        (
            ["--lm", "letters.npz", "--word-bonus", 1],
            "--word-bonus: of no use without a language model over words",
        ),
        (["--lm", "letters.npz", "--unknown-word-penalty", 1], "--unknown-word-penalty: of no use without a"),
        (
            ["--lm", "letters.npz", "--hot-word-boost", 1],
            "--hot-word-boost: of no use without hot words; name a",
        ),
        (["--lm", "none.npz"], "none.npz: cannot be read (No such file or directory); name an n-gram model"),
        (["--lm", "broken.arpa"], "broken.arpa:{place}: "),
        (["--lm", "zeros.npz"], "zeros.npz:1: not text, an ARPA file was wanted"),
        (["--lm", "other.npz"], "other.npz: no array 'version'; this is no n-gram model of ours"),
        (["--lm", "letters.npz", "--lm", "letters.npz"], "two language models over the same unit; give one"),
        (
            ["--lm", "upper.npz"],
            "knows none of the letters of this recognizer's alphabet; train it",
        ),
        (
            ["--lm", "upper-words.npz"],
            "language model over words: the alphabet can spell none of its 11",
        ),
        (["--hot-words", "empty.txt"], "empty.txt: holds no word; write one a line"),
        (["--hot-words", "none.txt"], "none.txt: cannot be read (No such file"),
        (
            ["--hot-words", "upper.txt"],
            "hot words: the alphabet can spell none of its 2 words",
        ),
        (["--lexicon", "upper.txt"], "lexicon: the alphabet can spell none of its 2 words, such as 'XYQ'"),
        (["--lexicon", "pronounced.txt"], "lexicon: 'cab c a b' is more than one word"),
        (["--lexicon", "latin.txt"], "latin.txt:1: byte 0xe9 is not UTF-8"),
        (["--lexicon", "."], "cannot be read (Is a directory)"),
    ],
)
def test_what_cannot_be_is_one_sentence(lines, wrong, verb, arguments, problem):
    given = [wrong / one if "." in str(one) else one for one in arguments]
    outcome = lines.transcribe(*given) if verb == "transcribe" else lines.evaluate(*given)
    about_flags = problem.removeprefix("ocr: ").startswith("--")
    assert (outcome.status, outcome.out) == (2 if about_flags else 1, "")
    (sentence,) = outcome.err.splitlines()
    assert sentence.startswith("ocr: ")
    assert problem.format(place=(wrong / "place").read_text()) in sentence


def test_tuning_that_cannot_be_is_one_sentence(lines, tmp_path):
    one = tmp_path / "one"
    write_drawn_lines(one, TEXTS[:1], 1, seed=1)
    onnx, model = tmp_path / "m.onnx", tmp_path / "m.safetensors"
    save = ("--tune", 1, "--save-tuned")
    for outcome, problem in (
        (lines.evaluate(*save, onnx), f"--save-tuned: {onnx} is to hold a .safetensors model"),
        (call(OCR, "evaluate", onnx, one, *save, model), f"--save-tuned: {onnx} is exported and cannot be"),
        (call(OCR, "evaluate", "printed", one, *save, model), "printed.onnx is exported and cannot be saved"),
        (lines.evaluate("--tune", 0), "--tune is 0; give 1 trial or more"),
        (lines.evaluate("--tune", -1), "--tune is -1; give 1 trial or more"),
        (lines.evaluate("--save-tuned", tmp_path / "m"), "--save-tuned without --tune: nothing was tuned"),
        (lines.evaluate("--tune", 2, "--save-tuned", tmp_path), f"{tmp_path}: is a folder; name a file"),
        (lines._replace(data=one).evaluate("--tune", 2), "measures on the other; 1 is too few"),
        (lines.transcribe("--decoder", "beam", "--alternatives", -1), "--alternatives is -1; give 0 or more"),
        (lines.transcribe("--decoder", "beam", "--alternatives", 1), "txt has no place for them"),
        (lines.transcribe("--alternatives", 1, "-f", "json"), "greedy decoding finds one reading"),
    ):
        about_examples_or_disk = "too few" in problem or "is a folder" in problem
        assert (outcome.status, outcome.out) == (1 if about_examples_or_disk else 2, "")
        (sentence,) = outcome.err.splitlines()
        assert problem in sentence
        assert sentence.startswith("ocr: ")


def test_bad_usage_has_status_2(lines):
    for flags in (("--decoder", "viterbi"), ("--beam-width", "wide"), ("--lm",), ("--lm-weight", "much")):
        assert lines.transcribe(*flags).status == lines.evaluate(*flags).status == 2
    assert lines.evaluate("--tune", "often").status == lines.evaluate("--tune-metric", "ler").status == 2
