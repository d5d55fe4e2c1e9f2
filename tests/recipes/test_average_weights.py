import numpy as np
import pytest
import torch
from average_weights import average
from untrained import recognizer_of

from common.decoding.decoder import Decoder, DecodingConfig
from common.files.model_file import read_model
from common.language.kneser_ney import estimate
from common.recognition.recognizer import Recognizer
from common.text.phonetic.phones import Phones
from common.text.phonetic.pronunciations import Pronunciation
from ocr.modality import OCR


@pytest.fixture
def models(tmp_path):
    paths = []
    for number in range(2):
        made = recognizer_of("ocr", card={"number": number})
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(number)
        made.save(tmp_path / f"{number}.safetensors")
        paths.append(str(tmp_path / f"{number}.safetensors"))
    return paths


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_lie_between_those_of_both_and_the_card_is_the_first_ones(models, share, tmp_path):
    average(*models, str(tmp_path / "out.safetensors"), share)
    first, second, out = (read_model(path).tensors for path in (*models, str(tmp_path / "out.safetensors")))
    assert out.keys() == first.keys()
    for name, values in first.items():
        expected = values + share * (second[name] - values)
        assert np.allclose(out[name], expected, atol=1e-5), name
    assert read_model(str(tmp_path / "out.safetensors")).header["card"] == {"number": 0}


def phones_of(lines: str, path) -> str:
    made = recognizer_of("ocr")
    alphabet = Phones.of(
        [Pronunciation(word, (*phones,)) for word, *phones in map(str.split, lines.splitlines())]
    )
    Recognizer(made.modality, made.config, alphabet).save(path)
    return str(path)


def test_networks_of_phones_may_write_other_words_but_not_have_other_phones(tmp_path):
    first = phones_of("TO T UW\nOAT OW T", tmp_path / "1.safetensors")
    second = phones_of("TWO T UW\nTOE T OW", tmp_path / "2.safetensors")
    third = phones_of("TWO T UW\nTOE T AW", tmp_path / "3.safetensors")
    average(first, second, str(tmp_path / "out.safetensors"), 0.5)
    assert Recognizer.load(OCR, tmp_path / "out.safetensors").alphabet.said == ("TO", "OAT")
    with pytest.raises(ValueError, match="has other symbols"):
        average(first, third, str(tmp_path / "out.safetensors"), 0.5)


def test_the_language_model_of_the_first_stays_as_it_is(models, tmp_path):
    first = Recognizer.load(OCR, models[0])
    ngrams = estimate(["abc", "bca"], order=2)
    first.decoder = Decoder(first.alphabet, DecodingConfig(decoder="beam"), [ngrams])
    first.save(models[0])
    average(*models, str(tmp_path / "out.safetensors"), 0.5)
    (kept,) = Recognizer.load(OCR, tmp_path / "out.safetensors").decoder.models
    for name, array in ngrams.to_arrays().items():
        assert np.array_equal(kept.to_arrays()[name], array), name


def test_models_that_do_not_fit_are_refused(models, tmp_path):
    other = recognizer_of("ocr", channels=(4, 6, 8, 12))
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="train it on from there"):
        average(models[0], str(tmp_path / "other.safetensors"), str(tmp_path / "out"), 0.5)
    with pytest.raises(ValueError, match="from 0 to 1"):
        average(*models, str(tmp_path / "out"), 1.5)
