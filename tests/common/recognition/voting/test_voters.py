"""Models that vote as one model, and how they are named."""

from dataclasses import replace
from pathlib import Path

import pytest
from command import call
from untrained import ALPHABET, recognizer_of, signals_of

import ocr
from asr.modality import ASR
from common.decoding.decoder import Decoder, DecodingConfig
from common.recognition.configuration import EncoderConfig
from common.recognition.voting.loading import load_models, model_paths
from common.recognition.voting.voters import Voters
from common.text.phonetic.phones import Phones
from common.text.phonetic.pronunciations import Pronunciation
from common.text.symbols import Names
from ocr.modality import OCR

SAMPLE = Path(__file__).parents[4] / "recipes" / "ocr" / "sample.png"
SIDES = pytest.mark.parametrize("side", ["ocr", "asr"])


def model(side, size=8, symbols=ALPHABET.symbols, **front_end):
    """Return an untrained model with an encoder of its own, which searches with a beam."""
    made = recognizer_of(side, EncoderConfig(hidden_size=size, layers=2), **front_end)
    made.alphabet = replace(ALPHABET, symbols=tuple(symbols))
    made.decoder = Decoder(made.alphabet, DecodingConfig(decoder="beam", beam_width=20))
    return made


def voting(*voters):
    return Voters([f"model {number}" for number in range(len(voters))], voters)


@SIDES
def test_a_model_that_votes_with_itself_writes_what_it_writes_alone(side):
    signals = signals_of(side)[:6]
    alone = list(model(side).transcribe(signals))
    together = list(voting(model(side), model(side), model(side)).transcribe(signals))
    assert any(one.text for one in alone)
    step = {"ocr": 4 * 1.5, "asr": 0.04}[side]
    for one, other in zip(alone, together, strict=True):
        assert other.text == one.text
        assert other.confidence == pytest.approx(one.confidence)
        for ours, theirs in zip(other.characters, one.characters, strict=True):
            assert (ours.start, ours.end) == pytest.approx((theirs.start, theirs.end), abs=step)
            assert ours.confidence == pytest.approx(theirs.confidence)


@SIDES
def test_no_text_depends_on_the_order_of_the_models_or_on_the_other_signals(side):
    signals = signals_of(side)[:3]
    first, second, third = model(side), model(side, 12), model(side, 16)
    expected = list(voting(first, second, third).transcribe(signals))
    assert list(voting(third, first, second).transcribe(signals)) == expected
    for signal, one in zip(signals, expected, strict=True):
        (alone,) = voting(first, second, third).transcribe(signal)
        assert alone.text == one.text
        assert alone.confidence == pytest.approx(one.confidence, abs=1e-4)


def test_models_of_other_alphabets_vote_for_the_same_symbols():
    # the same network in two spellings: the last label is g for one, h for the other
    signals, spelled = signals_of("ocr")[:8], [" abcdefg", " abcdefh"]
    texts = [one.text for one in model("ocr", symbols=spelled[0]).transcribe(signals)]
    voters = voting(*(model("ocr", symbols=own) for own in spelled))
    assert "".join(voters.alphabet.symbols) == " abcdefgh"
    same = 0
    for found, text in zip(voters.transcribe(signals), texts, strict=True):
        if "g" not in text:
            assert found.text == text
            same += bool(text)
        assert all(one.confidence <= 0.5 for one in found.characters if one.text in "gh")
    assert 0 < same < len(signals)


def test_places_of_models_with_other_strides_are_in_order_within_the_signal():
    voters, signals = voting(model("ocr"), model("ocr", stride=8)), signals_of("ocr")
    for signal, transcript in zip(signals, voters.transcribe(signals), strict=True):
        edges = [edge for one in transcript.characters for edge in (one.start, one.end)]
        assert all(0 <= edge <= signal.length for edge in edges)
        assert edges == sorted(edges)


def test_a_model_of_phones_votes_with_the_letters_of_its_words():
    words = [Pronunciation("knee", ("N",)), Pronunciation("ear", ("I",)), Pronunciation("near", ("N", "I"))]
    phones = model("asr")
    phones.alphabet = Phones.of(words, phones="NIABCDE")
    phones.decoder = Decoder(phones.alphabet, DecodingConfig(decoder="beam"))
    signals = signals_of("asr")[:3]
    alone = [one.text for one in phones.transcribe(signals)]
    assert {"knee", "near"} & set(" ".join(alone).split())
    voters = voting(phones, phones)
    assert [one.text for one in voters.transcribe(signals)] == alone
    assert set("knear ") <= set(voters.alphabet.symbols)
    both = voting(phones, model("asr"))
    assert [one.text for one in both.transcribe(signals)] == [
        one.text for one in voting(model("asr"), phones).transcribe(signals)
    ]


def test_a_model_that_is_greedy_alone_searches_when_it_votes():
    greedy = model("ocr")
    greedy.decoder = Decoder(greedy.alphabet)
    searching = voting(greedy, model("ocr", 12)).voters[0].decoder
    assert (searching.config.decoder, searching.config.beam_width) == ("beam", 20)


def test_models_that_read_or_write_otherwise_cannot_vote():
    other = model("ocr")
    other.config = replace(other.config, signal=replace(other.signal_config, height_px=32))
    with pytest.raises(ValueError, match=r"^model 1: its height_px is 32, where model 0 has 24; only models"):
        voting(model("ocr"), other)
    other = model("ocr")
    other.alphabet = replace(other.alphabet, unicode_form="NFD")
    with pytest.raises(ValueError, match=r"^model 1: its unicode_form is NFD, where model 0 has NFC; only"):
        voting(model("ocr"), other)
    other.alphabet = Names(("a", "b"))
    with pytest.raises(ValueError, match=r"^model 1: a model of --task ctc gives labels, no texts; leave it"):
        voting(model("ocr"), other)


# --- by name


def test_models_have_commas_between_unless_a_file_has_that_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    printed, handwriting = (OCR.bundled().parent / f"{name}.onnx" for name in ("printed", "handwriting"))
    assert model_paths(OCR) == model_paths(OCR, "printed,") == [printed]
    assert model_paths(OCR, "handwriting,a.onnx") == [handwriting, Path("a.onnx")]
    assert model_paths(OCR, [printed, "handwriting"]) == [printed, handwriting]
    (tmp_path / "a,b.onnx").touch()
    assert model_paths(OCR, "a,b.onnx") == model_paths(OCR, Path("a,b.onnx")) == [Path("a,b.onnx")]
    for none in (",", []):
        with pytest.raises(ValueError, match="names no model; name a file, or several with commas between"):
            model_paths(OCR, none)


def test_several_models_are_loaded_to_vote_and_one_alone():
    (one,) = ocr.load().transcribe(SAMPLE)
    voters = ocr.load("printed,printed")
    assert isinstance(voters, Voters) and not isinstance(load_models(OCR, ["printed"]), Voters)
    (together,) = voters.transcribe(SAMPLE)
    assert together.text == one.text
    assert voters.parameter_count == 2 * ocr.load().parameter_count


def test_the_verbs_take_models_that_vote(tmp_path):
    (tmp_path / "line.png").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "line.gt.txt").write_text("An amanuensis takes dictation and copies manuscripts.")
    out = call(OCR, "transcribe", SAMPLE, "--model", "printed,printed").out
    assert out == "An amanuensis takes dictation and copies manuscripts.\n"
    assert "CER 0.00 %" in call(OCR, "evaluate", "printed,printed", tmp_path).out


def test_what_cannot_vote_is_said_in_a_sentence():
    for modality, arguments, sentence in (
        (
            OCR,
            ("transcribe", SAMPLE, "--model", "printed,handwriting"),
            "its height_px is 64, where printed has",
        ),
        (OCR, ("transcribe", SAMPLE, "--model", "printed,no.onnx"), "no.onnx: no such file"),
        (
            OCR,
            ("transcribe", SAMPLE, "--model", f"printed,{ASR.bundled()}"),
            "a model for `asr`, where one for",
        ),
        (OCR, ("evaluate", "printed,printed", "x", "--tune", "4"), "--tune: is for one model; tune each"),
        (
            ASR,
            ("transcribe", "x", "--model", "english,english", "--stream"),
            "--stream: one model follows it",
        ),
        (OCR, ("align", "printed,printed", "x"), "printed,printed: is no file and no bundled model"),
    ):
        outcome = call(modality, *arguments)
        assert outcome.status
        assert sentence in outcome.about(sentence)
