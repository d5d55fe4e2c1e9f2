import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.data.signal import Signal
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.storage import decoder_from, decoder_tensors
from common.files.model_file import read_model, write_model
from common.language.kneser_ney import estimate
from common.language.ngram import NGram
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.recognizer import Recognizer
from common.text.symbols import Alphabet
from ocr.front_end import FrontEndConfig
from ocr.modality import OCR
from ocr.signal import SignalConfig

ALPHABET = Alphabet(tuple(" abcdé"))
LETTERS = estimate(["a cab", "bad dé", "dad cab a"], 4)
WORDS = estimate(["a cab", "bad dé", "dad cab a"], 2, "word")
LEXICON = ["a", "cab", "dé", "bad", "add"]
CONFIG = DecodingConfig(
    "beam", 7, 0.3, 0.9, 0.2, word_bonus=2.5, unknown_word_penalty=3.0, hot_word_boost=0.5, temperature=1.3
)


def assert_same_model(one: NGram, other: NGram) -> None:
    assert (one.tokens, one.unit, one.order) == (other.tokens, other.unit, other.order)
    np.testing.assert_array_equal(one.log_prob, other.log_prob)
    np.testing.assert_array_equal(one.backoff, other.backoff)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are faster with one thread if other processes use the cores, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """An untrained recognizer that is certain of a different class at each step."""
    torch.manual_seed(0)
    front_end = FrontEndConfig(channels=(4, 4, 4, 4))
    config = ModelConfig(SignalConfig(height_px=16), front_end, EncoderConfig(hidden_size=8, layers=1))
    recognizer = Recognizer(OCR, config, ALPHABET).eval()
    with torch.no_grad():
        encoded = [torch.from_numpy(signal.values)[None] for signal in signals()]
        lengths = [torch.tensor([values.shape[1]]) for values in encoded]
        parts = [
            recognizer.encoder(*recognizer.front_end(values, length))[0][0]
            for values, length in zip(encoded, lengths, strict=True)
        ]
        seen = torch.cat(parts)
        head = recognizer.head.linear
        head.weight.copy_(torch.randn_like(head.weight) / seen.std(dim=0))
        head.bias.copy_(-head.weight @ seen.mean(dim=0))
    return recognizer


def signals() -> list[Signal]:
    rng = np.random.default_rng(1)
    return [Signal(rng.random((width, 16), np.float32), 1.0) for width in (200, 90, 330)]


def loaded(recognizer: Recognizer, decoder: Decoder, path: Path) -> Recognizer:
    recognizer.decoder = decoder
    recognizer.save(path)
    return Recognizer.load(OCR, path)


@pytest.fixture
def file(recognizer, tmp_path) -> Path:
    """A model file with two language models and a lexicon."""
    recognizer.decoder = Decoder(ALPHABET, CONFIG, [LETTERS, WORDS], LEXICON)
    recognizer.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def altered(path: Path, change) -> Path:
    """Write the model at `path` again after `change(header, tensors)` has changed them in place."""
    kept = read_model(path)
    header, tensors = dict(kept.header), dict(kept.tensors)
    change(header, tensors)
    header.pop("format_version")
    write_model(path, tensors, header)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        Recognizer.load(OCR, path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: does not describe a model this version can build (")
    assert len(sentence.splitlines()) == 1
    return sentence


# --- kept


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(ALPHABET),
        Decoder(ALPHABET, DecodingConfig(temperature=2.0)),
        Decoder(ALPHABET, replace(CONFIG, unknown_word_penalty=None)),
        Decoder(ALPHABET, CONFIG, [LETTERS]),
        Decoder(ALPHABET, CONFIG, [WORDS]),
        Decoder(ALPHABET, CONFIG, words=LEXICON),
        Decoder(ALPHABET, CONFIG, [WORDS, LETTERS], LEXICON),
    ],
    ids=["greedy", "tempered", "beam", "characters", "words", "lexicon", "all"],
)
def test_a_decoder_survives_its_file_and_transcribes_the_same(recognizer, decoder, tmp_path):
    again = loaded(recognizer, decoder, tmp_path / "m.safetensors")
    assert again.decoder.config == decoder.config
    assert again.decoder.words == decoder.words
    for one, other in zip(again.decoder.models, decoder.models, strict=True):
        assert_same_model(one, other)
    before = list(recognizer.transcribe(signals(), alternatives=2))
    assert list(again.transcribe(signals(), alternatives=2)) == before
    assert all(transcript.text for transcript in before)


def test_each_part_of_the_decoder_matters_to_what_is_transcribed(recognizer):
    """Otherwise the test above would prove nothing."""
    texts = set()
    for decoder in (
        Decoder(ALPHABET),
        Decoder(ALPHABET, CONFIG, [LETTERS]),
        Decoder(ALPHABET, CONFIG, [WORDS]),
        Decoder(ALPHABET, CONFIG, words=LEXICON),
        Decoder(ALPHABET, CONFIG, [WORDS, LETTERS], LEXICON),
    ):
        recognizer.decoder = decoder
        texts.add(tuple(transcript.text for transcript in recognizer.transcribe(signals())))
    assert len(texts) == 5


def test_the_weights_are_those_without_a_decoder(recognizer, file):
    again = Recognizer.load(OCR, file)
    state = recognizer.state_dict()
    assert state.keys() == again.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in again.state_dict().items())
    assert again.parameter_count == recognizer.parameter_count


def test_saving_what_was_loaded_gives_the_same_bytes(file, tmp_path):
    Recognizer.load(OCR, file).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_the_header_names_the_settings(file):
    assert read_model(file).header["decoding"] == asdict(CONFIG)


def test_models_keep_their_order_however_their_tensors_come():
    arrays = {f"language_model.1.{name}": array for name, array in LETTERS.to_arrays().items()}
    arrays |= {f"language_model.0.{name}": array for name, array in WORDS.to_arrays().items()}
    decoder, rest = decoder_from(ALPHABET, None, arrays | {"head.bias": np.zeros(3)})
    assert [model.unit for model in decoder.models] == ["word", "character"]
    assert list(rest) == ["head.bias"]


def test_hot_words_are_not_kept(recognizer, tmp_path):
    again = loaded(recognizer, Decoder(ALPHABET, CONFIG, hot_words=["cab"]), tmp_path / "m.safetensors")
    assert again.decoder.hot_words == ()
    assert again.decoder.config.hot_word_boost == 0.5


def test_words_may_have_any_letter_of_the_alphabet(recognizer, tmp_path):
    words = ["dé", "é", "a"]
    again = loaded(recognizer, Decoder(ALPHABET, CONFIG, words=words), tmp_path / "m.safetensors")
    assert again.decoder.words == words


def test_greedy_decoding_keeps_its_models_for_later(recognizer, tmp_path):
    again = loaded(recognizer, Decoder(ALPHABET, None, [LETTERS], LEXICON), tmp_path / "m.safetensors")
    assert [model.unit for model in again.decoder.models] == ["character"]
    assert again.decoder.words == LEXICON


# --- files of another time


def test_a_file_from_before_there_were_decoders_loads_as_greedy(recognizer, tmp_path):
    recognizer.decoder = Decoder(ALPHABET)
    recognizer.save(tmp_path / "m.safetensors")
    path = altered(tmp_path / "m.safetensors", lambda header, _: header.pop("decoding"))
    again = Recognizer.load(OCR, path)
    assert again.decoder.config == DecodingConfig()
    assert (again.decoder.models, again.decoder.words) == ((), None)
    assert list(again.transcribe(signals())) == list(recognizer.transcribe(signals()))


def test_a_setting_that_is_missing_takes_its_default(file):
    again = Recognizer.load(OCR, altered(file, lambda header, _: header["decoding"].pop("word_bonus")))
    assert again.decoder.config == replace(CONFIG, word_bonus=1.0)


def test_an_unknown_setting_is_refused_by_name(file):
    path = altered(file, lambda header, _: header["decoding"].update(cutoff=3, nucleus=1))
    assert "unknown setting cutoff, nucleus of decoding" in refusal(path)


# --- damage


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"beam_width": 0}, "beam_width is 0"),
        ({"temperature": 0}, "temperature is 0"),
        ({"decoder": "viterbi"}, "decoder is 'viterbi'"),
        ({"beam_width": "wide"}, "beam_width|'<' not supported"),
    ],
)
def test_a_setting_out_of_range_is_refused(file, settings, sentence):
    assert re.search(sentence, refusal(altered(file, lambda header, _: header["decoding"].update(settings))))


@pytest.mark.parametrize("decoding", [[], [1], "greedy", 3])
def test_settings_that_are_no_table_are_refused(file, decoding):
    refusal(altered(file, lambda header, _: header.update(decoding=decoding)))


PARTS = [
    f"language_model.{number}.{name}"
    for number, model in enumerate((LETTERS, WORDS))
    for name in model.to_arrays()
]


@pytest.mark.parametrize("name", PARTS)
def test_a_language_model_with_a_part_missing_or_cut_is_refused(file, name):
    whole = read_model(file).tensors[name]
    altered(file, lambda _, tensors: tensors.pop(name))
    assert name.rpartition(".")[2] in refusal(file)
    if len(whole) == 1:
        return
    for wrong in (whole[: len(whole) // 2], whole[:0], *[whole[:, None]] * (not name.endswith("tokens"))):
        altered(file, lambda _, tensors, wrong=wrong: tensors.update({name: wrong}))
        assert "n-gram" in refusal(file)


@pytest.mark.parametrize("seed", range(30))
def test_language_model_arrays_with_changed_numbers_are_refused_or_harmless(file, seed):
    rng = np.random.default_rng(seed)

    def damage(_, tensors) -> None:
        name = str(rng.choice(PARTS))
        array = tensors[name].copy()
        place = rng.integers(len(array))
        array[place] = np.nan if array.dtype.kind == "f" else rng.integers(0, 256)
        tensors[name] = array

    altered(file, damage)
    try:
        again = Recognizer.load(OCR, file)
    except ValueError as error:
        assert str(error).startswith(str(file))
        assert len(str(error).splitlines()) == 1
        return
    list(again.transcribe(signals()))


def test_a_lexicon_that_is_no_text_is_refused(file):
    altered(file, lambda _, tensors: tensors.update(lexicon=np.array([0xFF, 0xFE], np.uint8)))
    assert "utf-8" in refusal(file)
    altered(file, lambda _, tensors: tensors.update(lexicon=np.frombuffer(b"xyz\nzz", np.uint8)))
    assert "can spell none of its 2 words" in refusal(file)


def test_the_tensors_of_a_decoder_are_named_after_it():
    settings, tensors = decoder_tensors(Decoder(ALPHABET, CONFIG, [LETTERS], LEXICON))
    assert settings == asdict(CONFIG)
    assert {name.partition(".")[0] for name in tensors} == {"language_model", "lexicon"}
    assert tensors["lexicon"].tobytes().decode() == "a\ncab\ndé\nbad\nadd"
    assert decoder_tensors(Decoder(ALPHABET)) == (asdict(DecodingConfig()), {})
