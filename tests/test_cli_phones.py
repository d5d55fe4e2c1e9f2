"""Models of phones from end to end: trained with pronunciations, searched for words, exported."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from command import Outcome, call

from asr.modality import ASR
from asr.synthesis import draw_speaker, say_tones
from common.commands.decoding import set_decoder
from common.commands.flags.decoding import DecodingFlags
from common.files.model_file import read_model
from common.recognition.recognizer import Recognizer
from common.recognition.voting.loading import load_models
from common.text.phonetic.phones import Phones
from common.text.symbols import Alphabet, Symbols

SAMPLE = Path(__file__).parents[1] / "recipes" / "asr" / "sample.opus"
TEXTS = ("AB TEN", "TEN", "AB", "CAB AB")
SAID = ";;; a dictionary\nab  AE1 B\ncab  K AE1 B\nten  T EH1 N\nabb  AE1 B\n"
TINY = (
    *("--hidden-size", "8", "--layers", "1", "--precision", "32-true", "--channels", "4", "4", "4"),
    *("--mels", "16", "--batch-budget", "6", "--epochs", "1"),
)


class Trained(NamedTuple):
    """A folder with data and pronunciations, and what the training said."""

    folder: Path
    said: Outcome

    @property
    def model(self) -> Path:
        return self.folder / "run" / "best.safetensors"

    @property
    def dev(self) -> Path:
        return self.folder / "dev.jsonl"

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("dev/*.wav"))


def write_tones(folder: Path, name: str, texts: tuple[str, ...]) -> None:
    rng, rows = np.random.default_rng(0), []
    (folder / name).mkdir(parents=True)
    for number, text in enumerate(texts):
        samples = say_tones(text.lower(), draw_speaker(name, rng), rng).samples
        soundfile.write(folder / name / f"{number}.wav", samples, 16_000)
        row = {"audio_filepath": f"{name}/{number}.wav", "duration": len(samples) / 16_000, "text": text}
        rows.append(json.dumps(row))
    (folder / f"{name}.jsonl").write_text("\n".join(rows))


def train(folder: Path, run: str, *arguments: object) -> Outcome:
    return call(
        ASR, "train", folder / "train.jsonl", folder / "dev.jsonl", "--run", folder / run, *TINY, *arguments
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    folder = tmp_path_factory.mktemp("phones")
    write_tones(folder, "train", (*TEXTS, "TEN CABS", "AB DAB CABS"))
    write_tones(folder, "dev", TEXTS[:3])
    (folder / "said.txt").write_text(SAID)
    (folder / "words.txt").write_text("ab ten\nTEN CÂB\nAB AB TEN ABB!\n" * 3)
    language_model = ("lm", "train", folder / "words.txt", "--unit", "word", "--order", "2")
    found = Trained(folder, train(folder, "run", "--pronunciations", folder / "said.txt"))
    lm = call(ASR, *language_model, "--like", found.model, "-o", folder / "lm.npz")
    assert lm.status == 0, lm.err
    return found


def symbols_of(run: Path) -> Symbols:
    return Recognizer.load(ASR, run / "best.safetensors").alphabet


def sure(trained: Trained) -> Path:
    """Write a model with weights by chance, whatever training has reached; it is sure of some phones."""
    recognizer = Recognizer.load(ASR, trained.model)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in recognizer.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    path = trained.folder / "sure.safetensors"
    recognizer.save(path)
    return path


def test_a_training_learns_the_phones_of_its_texts(trained):
    assert trained.said.status == 0, trained.said.err
    symbols = symbols_of(trained.model.parent)
    assert isinstance(symbols, Phones)
    assert symbols.phones == ("AE", "B", "EH", "K", "N", "T")
    assert symbols.words == ("AB", "CAB", "TEN", "ABB")  # in the case of the texts


def test_a_training_names_the_texts_and_words_without_a_pronunciation(trained):
    sentence = "2 texts left out for 2 words without a pronunciation, such as 'CABS', 'DAB'"
    assert sentence in trained.said.about("words without")
    assert "train/4.wav: has no pronunciation of 'CABS'" in trained.said.err
    assert len((trained.folder / "run" / "refused.txt").read_text().splitlines()) == 2


def test_words_are_found_with_a_language_model_and_each_has_its_time(trained):
    arguments = ("-m", sure(trained), "--lm", trained.folder / "lm.npz", "-f", "json")
    found = call(ASR, "transcribe", *trained.files, *arguments)
    assert (found.status, found.err) == (0, "")
    for line in map(json.loads, found.out.splitlines()):
        words = line["words"]
        assert words
        assert {word["text"] for word in words} <= {"AB", "TEN", "CAB", "ABB"}
        times = [time for word in words for time in (word["start"], word["end"])]
        assert times == sorted(times)


def test_a_tuned_model_keeps_language_model_and_pronunciations_in_both_kinds_of_file(trained):
    folder, model = trained.folder, sure(trained)
    tuning = ("--lm", folder / "lm.npz", "--tune", 2, "--save-tuned", folder / "t.safetensors")
    tuned = call(ASR, "evaluate", model, trained.dev, *tuning)
    assert tuned.status == 0, tuned.err
    assert call(ASR, "export", folder / "t.safetensors", folder / "t.onnx", "--data", trained.dev).status == 0
    texts = [
        call(ASR, "transcribe", *trained.files, "-m", folder / f"t.{kind}").out
        for kind in ("safetensors", "onnx")
    ]
    assert texts[0] == texts[1]
    assert set(texts[0].split()) <= {"AB", "TEN", "CAB", "ABB"}
    assert {"words", "sounds"} <= read_model(folder / "t.safetensors").header["alphabet"].keys()


def test_other_pronunciations_may_replace_those_of_the_model(trained):
    (trained.folder / "other.txt").write_text("neat N EH T\n")
    arguments = ("transcribe", *trained.files, "-m", sure(trained), "--decoder", "beam", "--pronunciations")
    found = call(ASR, *arguments, trained.folder / "other.txt")
    assert found.status == 0, found.err
    assert not {"AB", "TEN", "CAB", "ABB"} & set(found.out.split())
    (trained.folder / "strange.txt").write_text("neat N IY T\n")
    refused = call(ASR, *arguments, trained.folder / "strange.txt")
    assert refused.status != 0
    assert "strange.txt: pronunciation of 'NEAT': 'IY' is none of the model's 6 phones" in refused.err


def test_training_goes_on_from_phones_and_from_characters(trained):
    again = train(trained.folder, "again", "--start-from", trained.model)
    assert again.status == 0, again.err
    assert isinstance(symbols_of(trained.folder / "again"), Phones)
    letters = train(trained.folder, "letters")
    assert letters.status == 0, letters.err
    assert isinstance(
        Recognizer.load(ASR, trained.folder / "letters" / "best.safetensors").alphabet, Alphabet
    )
    start = ("--start-from", trained.folder / "letters" / "best.safetensors")
    phones = train(trained.folder, "phones", *start, "--pronunciations", trained.folder / "said.txt")
    assert phones.status == 0, phones.err
    assert symbols_of(trained.folder / "phones").symbols == (" ", "AE", "B", "EH", "K", "N", "T")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--hot-words", "said.txt"), "hot words and rescoring are for models of characters"),
        (("--lexicon", "words.txt"), "no word that is allowed has a pronunciation"),
    ],
)
def test_what_does_not_go_with_phones_is_refused(trained, arguments, sentence, monkeypatch):
    monkeypatch.chdir(trained.folder)
    outcome = call(ASR, "transcribe", *trained.files, "-m", trained.model, *arguments)
    assert outcome.status != 0
    assert sentence in outcome.err


def test_a_model_of_phones_aligns_no_text(trained):
    outcome = call(ASR, "align", trained.model, trained.dev)
    assert outcome.status != 0
    assert "a model of phones aligns no text; take one of characters, such as english" in outcome.err


# --- the bundled models: one knows words by their sound, and another spells


@pytest.fixture(scope="module")
def heard() -> dict[str, str]:
    """Give the text of the sample as each bundled model hears it."""
    return {name: call(ASR, "transcribe", SAMPLE, "-m", name).out for name in ASR.model_names}


def test_english_is_heard_by_words_where_nothing_is_said(heard):
    assert heard["english-words"] != heard["english"]
    assert call(ASR, "transcribe", SAMPLE) == Outcome(0, heard["english-words"], "")


@pytest.mark.parametrize("flag", ["--hot-words", "--lexicon"])
def test_what_is_spelled_is_read_by_the_model_that_spells_which_is_said(heard, flag, tmp_path):
    (tmp_path / "words.txt").write_text("AMANUENSIS\nPAPER\n")
    found = call(ASR, "transcribe", SAMPLE, flag, tmp_path / "words.txt")
    assert (found.status, found.err) == (
        0,
        f"{flag}: the model english reads, which spells; --model names another one\n",
    )
    named = call(ASR, "transcribe", SAMPLE, flag, tmp_path / "words.txt", "-m", "english")
    assert found.out == named.out != heard["english-words"]


def test_a_folder_of_the_name_of_a_model_does_not_stand_in_its_way(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "english").mkdir()
    (tmp_path / "words.txt").write_text("AMANUENSIS\n")
    for arguments in (("transcribe", SAMPLE, "--hot-words", "words.txt"), ("align", SAMPLE, "--text", "ONE")):
        assert call(ASR, *arguments).status == 0
    assert load_models(ASR).spelling.loaded().language == "en"


def test_the_width_of_the_search_holds_for_both_and_weights_of_words_for_words():
    recognizer = load_models(ASR)
    set_decoder(recognizer, DecodingFlags(beam_width=7, lm_weight=0.123))
    assert (recognizer.decoder.config.beam_width, recognizer.decoder.config.lm_weight) == (7, 0.123)
    spelling = recognizer.spelling.loaded().decoder.config
    assert spelling.beam_width == 7 and spelling.lm_weight != 0.123


def test_a_search_with_what_the_file_holds_says_nothing_of_it():
    assert call(ASR, "transcribe", SAMPLE, "--beam-width", 10).err == ""


def test_greedy_decoding_spells_where_no_model_is_named():
    found = call(ASR, "transcribe", SAMPLE, "--decoder", "greedy")
    assert found.err == "--decoder greedy: the model english reads, which spells; --model names another one\n"
    assert found.out == call(ASR, "transcribe", SAMPLE, "--decoder", "greedy", "-m", "english").out


def test_with_pronunciations_words_stay_words(tmp_path):
    (tmp_path / "said.txt").write_text("however HH AW EH V ER\nthe DH AH\nfact F AE K T\n")
    (tmp_path / "words.txt").write_text("THE\nHOWEVER\n")
    arguments = ("--pronunciations", tmp_path / "said.txt", "--lexicon", tmp_path / "words.txt")
    found = call(ASR, "transcribe", SAMPLE, *arguments)
    assert found.status == 0, found.err
    assert {"THE"} <= set(found.out.split()) <= {"HOWEVER", "THE", "FACT"}
    assert "the model english" not in found.err


def test_a_known_text_is_aligned_by_the_model_that_spells():
    arguments = (SAMPLE, "--text", "HOWEVER THE FACT MUST NOT BE", "-f", "ctm")
    found = call(ASR, "align", *arguments)
    assert (found.status, found.out) == (0, call(ASR, "align", "english", *arguments).out)
    refused = call(ASR, "align", "english-words", *arguments)
    assert refused.status == 1
    assert refused.err == "asr: a model of phones aligns no text; take one of characters, such as english\n"


def test_pronunciations_are_refused_where_they_are_of_no_use(trained):
    folder = trained.folder
    task = train(folder, "none", "--pronunciations", folder / "said.txt", "--task", "classify")
    assert task.status != 0
    assert "--pronunciations: is for --task ctc; leave it out with classify" in task.err
    missing = train(folder, "none", "--pronunciations", folder / "no.txt")
    assert missing.status != 0
    assert "no.txt: cannot be read" in missing.err
    (folder / "few.txt").write_text("one W AH N\n")
    none = train(folder, "none", "--pronunciations", folder / "few.txt")
    assert none.status != 0
    assert "such as 'AB', 'TEN'" in none.err
    assert "no utterance is left to train on" in none.err
