from collections.abc import Iterator
from dataclasses import asdict, replace
from io import BytesIO
from itertools import count, product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from untrained import ALPHABET, HEIGHT_PX, KINDS, RATE_HZ, recognizer_of, signals_of

import asr.front_end
import asr.signal
import ocr.front_end
import ocr.signal
from common.data.batching import Batch
from common.data.signal import Signal
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.greedy import greedy
from common.decoding.hypothesis import Hypothesis
from common.files.model_file import read_model, write_model
from common.language.kneser_ney import estimate
from common.recognition.configuration import EncoderConfig, HeadConfig, ModelConfig, build_config
from common.recognition.known_text.aligner import Aligner
from common.recognition.passages import margins
from common.recognition.recognizer import Recognizer
from common.recognition.transcriber import LogProbs
from common.text.symbols import Alphabet
from common.text.transcript import Transcript

ENCODER = EncoderConfig(hidden_size=8, layers=2)
OCR_SETTINGS = [
    {"stride": stride, "height": height, "deep": deep}
    for stride, height, deep in product([4, 8], ["fold", "pool"], [False, True])
]
ASR_SETTINGS = [
    {"subsampling": subsampling, "normalise": normalise, "deep": deep}
    for subsampling, normalise, deep in product([2, 3, 4], ["utterance", "global"], [False, True])
]
BOTH = pytest.mark.parametrize("name", list(KINDS))


def same_place_and_text(left: Transcript, right: Transcript) -> bool:
    places = [[(one.text, one.start, one.end) for one in side.characters] for side in (left, right)]
    return left.text == right.text and places[0] == places[1]


# --- padding


def check_alone_equals_among_others(recognizer: Recognizer, signals: list[Signal]) -> None:
    together = recognizer.log_probs([signal.values for signal in signals]).each()
    for signal, among in zip(signals, together, strict=True):
        (alone,) = recognizer.log_probs([signal.values]).each()
        assert alone.shape == among.shape
        assert len(alone) == recognizer.front_end.output_lengths(torch.tensor(len(signal.values)))
        np.testing.assert_allclose(among, alone, rtol=0, atol=1e-4)
        np.testing.assert_allclose(np.exp(alone).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("ocr", settings) for settings in OCR_SETTINGS] + [("asr", settings) for settings in ASR_SETTINGS],
    ids=str,
)
def test_an_example_has_the_same_log_probabilities_alone_and_among_fifteen_others(name, settings):
    check_alone_equals_among_others(recognizer_of(name, **settings), signals_of(name)[1:])


@BOTH
@pytest.mark.parametrize(
    ("cell", "bidirectional", "residual"),
    list(product(["lstm", "gru", "rnn_tanh", "rnn_relu"], [False, True], [False, True])),
)
def test_so_has_it_with_every_kind_of_encoder(name, cell, bidirectional, residual):
    encoder = replace(ENCODER, cell=cell, bidirectional=bidirectional, residual=residual)
    check_alone_equals_among_others(recognizer_of(name, encoder), signals_of(name)[1:7])


@BOTH
def test_log_probabilities_are_float32_under_mixed_precision(name):
    recognizer = recognizer_of(name)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = recognizer.log_probs([signals_of(name)[2].values]).each()[0]
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(np.exp(mixed).sum(axis=1), 1, atol=1e-5)


@BOTH
def test_a_signal_shorter_than_a_step_is_read_as_if_it_went_on_in_silence(name, monkeypatch):
    monkeypatch.setattr(margins, "SILENT_STEPS", 0)
    recognizer = recognizer_of(name)
    values = signals_of(name)[1].values[: recognizer.front_end.shortest - 1]
    longer = np.concatenate([values, np.zeros_like(values[:1])])
    short, full = recognizer.log_probs([values]).each()[0], recognizer.log_probs([longer]).each()[0]
    assert len(short) == 1
    assert np.array_equal(short, full)


@BOTH
def test_the_shortcut_adds_a_tenth_of_its_own_loss_and_changes_no_output(name):
    recognizer = recognizer_of(name, replace(ENCODER, shortcut=True))
    signals = torch.from_numpy(signals_of(name)[1].values)[None]
    lengths, targets = torch.tensor([signals.shape[1]]), torch.tensor([[1, 2, 3]])
    batch = Batch(signals, lengths, targets, torch.tensor([3]), ["one"], [0], 1, [])
    with torch.no_grad():
        total, impossible = recognizer.losses(batch)
        log_probs, steps = recognizer(signals, lengths)
        features, _ = recognizer.front_end(signals, lengths)
        aside = recognizer.shortcut(features)
    losses = [
        torch.nn.functional.ctc_loss(one[0], targets[0], steps, torch.tensor([3]), reduction="sum")
        for one in (log_probs, aside)
    ]
    assert impossible == 0
    torch.testing.assert_close(total, 0.9 * losses[0] + 0.1 * losses[1])


@BOTH
def test_the_middle_layer_adds_its_share_of_the_loss_and_changes_no_output(name):
    recognizer = recognizer_of(name, replace(ENCODER, layers=3, shortcut=True, intermediate_weight=0.3))
    batch, heads = batch_of(name), [recognizer.head, recognizer.intermediate, recognizer.shortcut]
    with torch.no_grad():
        total, _ = recognizer.losses(batch)
        log_probs, _ = recognizer(batch.signals, batch.lengths)
        features, lengths = recognizer.front_end(batch.signals, batch.lengths)
        encoded, _, _ = recognizer.encoder(features, lengths)
        del recognizer.encoder.forwards[2], recognizer.encoder.backwards[2]
        second, _, _ = recognizer.encoder(features, lengths)
        last, middle, front = [
            head.losses(steps, lengths, batch.targets, batch.target_lengths)[0]
            for head, steps in zip(heads, (encoded, second, features), strict=True)
        ]
    torch.testing.assert_close(total, 0.9 * (0.7 * last + 0.3 * middle) + 0.1 * front)
    assert log_probs.equal(recognizer.head(encoded))


@pytest.mark.parametrize(
    ("encoder", "head", "message"),
    [
        ({"intermediate_weight": 1.0}, {}, "intermediate_weight is 1.0; give 0 to less than 1"),
        ({"intermediate_weight": 0.3, "layers": 1}, {}, "needs two layers or more; --layers is 1"),
        ({"intermediate_weight": 0.3}, {"task": "classify"}, "leave it out with classify"),
    ],
)
def test_a_head_on_the_middle_layer_is_refused_where_it_cannot_be(encoder, head, message):
    kind = KINDS["ocr"]
    with pytest.raises(ValueError, match=message):
        config = ModelConfig(kind.signal, kind.front_end, EncoderConfig(**encoder), HeadConfig(**head))
        Recognizer(kind.modality, config, Alphabet(tuple("abc")))


def consistent(recognizer: Recognizer, weight: float) -> Recognizer:
    recognizer.config = replace(recognizer.config, head=HeadConfig(consistency_weight=weight))
    return recognizer


def batch_of(name: str) -> Batch:
    values = [torch.from_numpy(signals_of(name)[index].values) for index in (1, 3)]
    signals = torch.nn.utils.rnn.pad_sequence(values, batch_first=True)
    lengths, target_lengths = torch.tensor([len(one) for one in values]), torch.tensor([3, 1])
    targets = torch.tensor([[1, 2, 3], [4, 0, 0]])
    return Batch(signals, lengths, targets, target_lengths, ["one", "two"], [0, 1], 2, [])


@BOTH
def test_two_views_that_nothing_sets_apart_have_the_loss_of_one(name):
    still = {"feature_dropout": 0.0, **({"mask_bands": 0, "mask_frames": 0} if name == "asr" else {})}
    recognizer = recognizer_of(name, replace(ENCODER, dropout=0.0, shortcut=True), **still).train()
    once, impossible = recognizer.losses(batch_of(name))
    twice, still_impossible = consistent(recognizer, 0.2).losses(batch_of(name))
    torch.testing.assert_close(twice, once)
    assert still_impossible == impossible


@BOTH
def test_what_two_views_differ_in_counts_by_its_weight_in_training_alone(name):
    encoder = replace(ENCODER, dropout=0.5, shortcut=True, intermediate_weight=0.3)
    recognizer = recognizer_of(name, encoder).train()

    def total(weight: float) -> float:
        torch.manual_seed(1)
        return consistent(recognizer, weight).losses(batch_of(name))[0].item()

    assert total(0.5) > total(0.25)
    assert total(0.5) - total(0.25) == pytest.approx(total(0.75) - total(0.5), rel=1e-3)
    recognizer.eval()
    assert total(0.5) == total(0)


def test_two_views_are_refused_for_what_has_no_steps_to_compare():
    with pytest.raises(
        ValueError, match="consistency-weight: is for --task ctc; leave it out with attention"
    ):
        HeadConfig(task="attention", consistency_weight=0.2)
    with pytest.raises(ValueError, match=r"consistency_weight is -1"):
        HeadConfig(consistency_weight=-1)


# --- the file


@pytest.mark.parametrize(
    ("name", "settings"),
    [("ocr", settings) for settings in OCR_SETTINGS[:3]] + [("asr", s) for s in ASR_SETTINGS[:4]],
)
def test_a_saved_recognizer_loads_as_the_same(name, settings, tmp_path):
    encoder = replace(ENCODER, cell="gru", residual=True, shortcut=True)
    saved = recognizer_of(name, encoder, {"licence": "CC0", "dev": {"cer": 0.02}}, **settings)
    saved.save(tmp_path / "m.safetensors")
    loaded = Recognizer.load(KINDS[name].modality, tmp_path / "m.safetensors")
    assert (loaded.config, loaded.alphabet, loaded.card) == (saved.config, saved.alphabet, saved.card)
    assert not loaded.training
    assert loaded.parameter_count == saved.parameter_count
    values = [signal.values for signal in signals_of(name)[1:]]
    for one, other in zip(saved.log_probs(values).each(), loaded.log_probs(values).each(), strict=True):
        assert np.array_equal(one, other)
    before, after = saved.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@BOTH
def test_a_folder_loads_its_own_models_with_one_line(name, tmp_path):
    recognizer_of(name).save(tmp_path / "m.safetensors")
    package = {"ocr": ocr, "asr": asr}[name]
    assert package.load(str(tmp_path / "m.safetensors")).modality.name == name


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> dict[str, Path]:
    """A saved recognizer of each kind."""
    folder = tmp_path_factory.mktemp("models")
    for name in KINDS:
        recognizer_of(name).save(folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in KINDS}


def refusal(name: str, path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        Recognizer.load(KINDS[name].modality, path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert len(sentence.splitlines()) == 1
    return sentence


@pytest.mark.parametrize(("name", "other"), [("ocr", "asr"), ("asr", "ocr")])
def test_a_model_of_the_other_modality_is_refused(name, other, stored):
    sentence = refusal(name, stored[other])
    assert f"`{other}`" in sentence
    assert f"`{name}`" in sentence


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_model_cut_short_is_refused(share, stored, tmp_path):
    raw = stored["ocr"].read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(raw[: int(len(raw) * share)])
    refusal("ocr", cut)


def altered(path: Path, folder: Path, change) -> Path:
    """Write the model at `path` again, its header and tensors as `change(header, tensors)` leaves them."""
    file = read_model(path)
    header, tensors = dict(file.header), dict(file.tensors)
    change(header, tensors)
    header.pop("format_version")
    write_model(folder / "altered.safetensors", tensors, header)
    return folder / "altered.safetensors"


@BOTH
@pytest.mark.parametrize("section", ["signal", "front_end", "encoder"])
def test_a_setting_that_is_not_known_is_refused_by_name(name, section, stored, tmp_path):
    path = altered(stored[name], tmp_path, lambda header, _: header["config"][section].update(wavelets=3))
    assert "wavelets" in refusal(name, path)


@BOTH
def test_a_model_from_before_there_were_tasks_writes_texts_as_it_did(name, stored, tmp_path):
    path = altered(stored[name], tmp_path, lambda header, _: header["config"].pop("head"))
    before, after = (Recognizer.load(KINDS[name].modality, one) for one in (stored[name], path))
    assert after.task == "ctc"
    signals = signals_of(name)
    assert list(after.transcribe(signals)) == list(before.transcribe(signals))


def test_a_section_of_settings_that_is_not_known_is_refused_by_name(stored, tmp_path):
    path = altered(stored["ocr"], tmp_path, lambda header, _: header["config"].update(decoder={"width": 3}))
    assert "decoder" in refusal("ocr", path)


@pytest.mark.parametrize("section", ["signal", "front_end", "encoder"])
def test_a_section_of_settings_that_is_missing_is_named(section, stored, tmp_path):
    path = altered(stored["ocr"], tmp_path, lambda header, _: header["config"].pop(section))
    assert section in refusal("ocr", path)


@pytest.mark.parametrize("key", ["config", "alphabet"])
def test_a_header_without_settings_or_alphabet_is_refused(key, stored, tmp_path):
    path = altered(stored["ocr"], tmp_path, lambda header, _: header.pop(key))
    assert key in refusal("ocr", path)


@pytest.mark.parametrize(
    ("section", "settings"),
    [("encoder", {"cell": "mamba"}), ("signal", {"height_px": 2}), ("front_end", {"channels": [4, 6]})],
)
def test_a_setting_that_cannot_be_is_refused_with_the_name_of_the_file(section, settings, stored, tmp_path):
    refusal(
        "ocr", altered(stored["ocr"], tmp_path, lambda header, _: header["config"][section].update(settings))
    )


def test_weights_that_are_missing_or_of_another_shape_are_named(stored, tmp_path):
    path = altered(stored["ocr"], tmp_path, lambda _, tensors: tensors.pop("head.linear.bias"))
    assert "head.linear.bias" in refusal("ocr", path)
    path = altered(
        stored["ocr"], tmp_path, lambda _, tensors: tensors.update({"head.linear.bias": np.zeros(3)})
    )
    assert "head.linear.bias" in refusal("ocr", path)
    path = altered(stored["ocr"], tmp_path, lambda _, tensors: tensors.update(more=np.zeros(3)))
    assert "more" in refusal("ocr", path)


def test_a_setting_that_is_missing_takes_its_default():
    stored = asdict(replace(ENCODER, hidden_size=77))
    del stored["shortcut"]
    assert build_config(EncoderConfig, stored) == replace(ENCODER, hidden_size=77)


def test_lists_of_json_become_tuples_again():
    config = build_config(ocr.front_end.FrontEndConfig, {"channels": [1, 2, 3, 4]})
    assert config.channels == (1, 2, 3, 4)
    assert hash(config)


# --- transcripts


@BOTH
def test_transcripts_come_in_the_order_of_the_sources_whatever_the_window(name):
    recognizer, signals = recognizer_of(name), signals_of(name)[1:13]
    alone = [next(recognizer.transcribe([signal])) for signal in signals]
    assert len({transcript.text for transcript in alone}) > 6
    for window, budget in [(256, None), (5, None), (5, 0.1), (1, None), (12, 7.0)]:
        among = list(recognizer.transcribe(signals, batch_budget=budget, window=window))
        assert len(among) == len(alone)
        for one, other in zip(among, alone, strict=True):
            assert same_place_and_text(one, other)
            assert one.confidence == pytest.approx(other.confidence, rel=1e-3, abs=1e-6)


@BOTH
def test_a_recognizer_in_training_transcribes_without_dropout(name):
    recognizer, signals = recognizer_of(name), signals_of(name)[1:4]
    expected = list(recognizer.transcribe(signals))
    assert list(recognizer.train().transcribe(signals)) == expected


def test_sources_are_read_ahead_by_a_few_windows_and_no_more():
    recognizer, taken = recognizer_of("ocr"), []

    def endless() -> Iterator[Signal]:
        for number in count():
            taken.append(number)
            yield signals_of("ocr")[2]

    transcripts = recognizer.transcribe(endless(), window=4)
    for _ in range(4):
        next(transcripts)
    assert 4 <= len(taken) <= 16
    next(transcripts)
    assert 8 <= len(taken) <= 20


def test_of_no_sources_there_are_no_transcripts():
    assert list(recognizer_of("ocr").transcribe([])) == []


def image_file(path: Path, height_px: int = HEIGHT_PX * 3) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height_px, 17), dtype=np.uint8).repeat(20, 1)[:, :331]
    Image.fromarray(pixels).save(path)
    return path


def sound_file(path: Path, rate_hz: int = 44_100) -> Path:
    rng = np.random.default_rng(0)
    level = 0.2 * rng.random(20).repeat(rate_hz // 20)
    soundfile.write(path, level * rng.standard_normal(len(level)), rate_hz)
    return path


def test_files_are_read_as_the_model_wants_them_and_named(tmp_path):
    for name, path in [("ocr", image_file(tmp_path / "a.png")), ("asr", sound_file(tmp_path / "a.wav"))]:
        recognizer = recognizer_of(name)
        signal = KINDS[name].modality.read(path, KINDS[name].signal)
        (known,) = recognizer.transcribe([signal])
        by_path, by_name = recognizer.transcribe([path, str(path)])
        assert by_path.source == by_name.source == str(path)
        assert known.source == ""
        assert known.text
        assert same_place_and_text(by_path, known)
        assert same_place_and_text(by_name, known)
        with path.open("rb") as file:
            (by_stream,) = recognizer.transcribe([file])
        assert same_place_and_text(by_stream, known)


def test_a_stream_without_a_name_is_not_named_by_its_address(tmp_path):
    stream = BytesIO(image_file(tmp_path / "a.png").read_bytes())
    (transcript,) = recognizer_of("ocr").transcribe([stream])
    assert "0x" not in transcript.source


def test_a_source_that_cannot_be_read_is_an_error_with_its_name(tmp_path):
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"torn\.png"):
        list(recognizer_of("ocr").transcribe([image_file(tmp_path / "a.png"), torn]))


def path_of(*labels: int) -> np.ndarray:
    """Return log-probabilities (S, C) of a path that is 0.9 sure of each step."""
    rest = 0.1 / (ALPHABET.classes - 1)
    return np.log(np.where(np.eye(ALPHABET.classes)[list(labels)] > 0, 0.9, rest))


def read_from(recognizer: Recognizer, path: np.ndarray, signal: Signal, source: str = "") -> Transcript:
    """Return the transcript of the best path through `path` (S, C)."""
    return recognizer.placing.transcript([Hypothesis(greedy(path), 0.0)], len(path), signal, source)


@pytest.mark.parametrize("stride", [4, 8])
def test_positions_are_in_pixels_of_the_original(stride):
    recognizer = recognizer_of("ocr", stride=stride)
    signal = Signal(np.zeros((6 * stride - 1, HEIGHT_PX), np.float32), 2.5)
    transcript = read_from(recognizer, path_of(2, 2, 0, 3, 1, 4), signal, "x.png")
    assert (transcript.text, transcript.unit, transcript.source) == ("ab c", "px", "x.png")
    # a step stands half a column before its stride; "a" and "b" share the blank between them
    middle, b, space = (2.5 * stride * step - 1.25 for step in (2.5, 4, 5))
    last = 2.5 * (6 * stride - 1)
    expected = [("a", 0, middle), ("b", middle, b), (" ", b, space), ("c", space, last)]
    assert [(one.text, one.start, one.end) for one in transcript.characters] == expected
    assert [(word.text, word.start, word.end) for word in transcript.words] == [
        ("ab", 0, b),
        ("c", space, last),
    ]
    assert transcript.confidence == pytest.approx(0.9)


def test_positions_are_in_seconds_of_the_recording():
    recognizer = recognizer_of("asr", subsampling=3)
    signal = Signal(np.zeros(RATE_HZ, np.float32), 1 / RATE_HZ)
    transcript = read_from(recognizer, path_of(0, 0, 2, 2, 0, 3, *[0] * 24, 1, 0, 0, 4), signal)
    assert transcript.unit == "s"
    places = [place for one in transcript.characters for place in (one.start, one.end)]
    # a step of 30 ms stands a hop of 10 ms before its stride; the last is clipped to the recording; half a
    # step is the most that a character goes on into blanks, as between "a" and "b"
    assert places == pytest.approx([0.035, 0.125, 0.125, 0.185, 0.875, 0.935, 0.965, 1.0])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ((2, 1, 0, 1, 3), "a b"),
        ((1, 2, 0, 1), "a"),
        ((0, 1, 0, 1, 0), ""),
        ((1, 0, 1, 2, 1, 0, 1, 0, 1, 3, 0, 1), "a b"),
        ((), ""),
    ],
)
def test_there_is_one_space_between_words_and_none_at_the_ends(labels, text):
    recognizer, signal = recognizer_of("ocr"), signals_of("ocr")[1]
    path = path_of(*labels) if labels else np.zeros((0, ALPHABET.classes))
    transcript = read_from(recognizer, path, signal)
    assert transcript.text == text
    assert [word.text for word in transcript.words] == text.split()
    assert transcript.confidence == pytest.approx(0.9 if text else 1.0)
    recognizer.alphabet = replace(ALPHABET, whitespace="keep")
    recognizer.decoder = Decoder(recognizer.alphabet)
    as_it_stands = read_from(recognizer, path, signal)
    assert as_it_stands.text == ALPHABET.decode(hit.label for hit in greedy(path))


def test_alternatives_are_other_texts_than_the_best_and_each_stands_once():
    recognizer, signal = recognizer_of("ocr"), signals_of("ocr")[1]

    def reading(score: float, *labels: int) -> Hypothesis:
        return Hypothesis(greedy(path_of(*labels)), score)

    transcript = recognizer.placing.transcript(
        [
            reading(-1.0, 2, 1, 3),
            reading(-2.0, 2, 1, 3, 1),  # the best one again, with a space at its end
            reading(-3.0, 2, 1, 4),
            reading(-4.0, 1, 2, 1, 4),  # the one before again
            reading(-5.0, 0),
            reading(-6.0, 2, 3),
        ],
        5,
        signal,
    )
    assert transcript.text == "a b"
    assert [(one.text, one.score) for one in transcript.alternatives] == [("a c", -3), ("", -5), ("ab", -6)]
    alone = read_from(recognizer, path_of(2, 1, 3), signal)
    assert alone.alternatives == ()


BEAM = DecodingConfig("beam", beam_width=12, lm_weight=0.4)


@BOTH
def test_transcribing_with_a_beam_is_decoding_the_log_probabilities(name):
    recognizer, signals = recognizer_of(name), signals_of(name)[1:13]
    recognizer.decoder = Decoder(ALPHABET, BEAM, [estimate(["bad cafe fed", "a bed"], 3)])
    lengths = [len(log_probs) for log_probs in recognizer.log_probs([one.values for one in signals]).each()]
    transcripts = list(recognizer.transcribe(signals, alternatives=3))
    assert len({transcript.text for transcript in transcripts}) > 3
    for signal, length, transcript in zip(signals, lengths, transcripts, strict=True):
        (log_probs,) = recognizer.log_probs([signal.values]).each()
        (found,) = recognizer.decoder.decode(log_probs[None], np.array([length]), count=4)
        texts = [" ".join(ALPHABET.decode(hit.label for hit in one.hits).split()) for one in found]
        assert transcript.text == texts[0]
        others = [one.text for one in transcript.alternatives]
        assert others == [text for text in dict.fromkeys(texts) if text != texts[0]]
        scores = [one.score for one in transcript.alternatives]
        assert scores == sorted(scores, reverse=True)
        if len(found[0].hits) == len(transcript.text):  # no space was left out
            sure = [hit.confidence for hit in found[0].hits]
            assert [one.confidence for one in transcript.characters] == pytest.approx(sure, rel=1e-3)
        assert all(0 <= one.confidence <= 1 for one in transcript.characters)


@BOTH
def test_so_it_is_whatever_the_window(name):
    recognizer, signals = recognizer_of(name), signals_of(name)[1:9]
    recognizer.decoder = Decoder(ALPHABET, BEAM, hot_words=["bad"])
    alone = [next(recognizer.transcribe([signal], alternatives=1)) for signal in signals]
    for window, budget in [(256, None), (3, 0.1)]:
        among = list(recognizer.transcribe(signals, budget, window, alternatives=1))
        assert all(same_place_and_text(one, other) for one, other in zip(among, alone, strict=True))


def test_greedy_decoding_has_no_alternatives():
    (transcript,) = recognizer_of("ocr").transcribe(signals_of("ocr")[1:2], alternatives=5)
    assert transcript.alternatives == ()


def test_positions_of_a_file_lie_within_the_original(tmp_path):
    sides = [("ocr", image_file(tmp_path / "a.png"), 331), ("asr", sound_file(tmp_path / "a.wav"), 1.0)]
    for name, path, end in sides:
        (transcript,) = recognizer_of(name).transcribe([path])
        characters = transcript.characters
        assert len(characters) > 3
        assert all(0 <= one.start < one.end <= end + 1e-6 for one in characters)
        assert characters[-1].start > 0.5 * end
        starts = [one.start for one in characters]
        assert starts == sorted(starts)


# --- alignment


def texts_for(signals: list[Signal], recognizer: Recognizer) -> list[str]:
    """Return a text for each signal, of as many letters as fit into half of its steps."""
    rng = np.random.default_rng(1)
    steps = [
        len(log_probs) for log_probs in (recognizer.log_probs([one.values]).each()[0] for one in signals)
    ]
    return ["".join(rng.choice(list("abcdef"), count // 2)) for count in steps]


@BOTH
def test_alignments_have_the_texts_in_order_whatever_the_window(name):
    recognizer, signals = recognizer_of(name), signals_of(name)[1:13]
    texts = texts_for(signals, recognizer)
    alone = [next(Aligner(recognizer).align([one], [text])) for one, text in zip(signals, texts, strict=True)]
    assert [transcript.text for transcript in alone] == texts
    for window, budget in [(256, None), (5, 0.1), (1, None)]:
        among = list(Aligner(recognizer).align(signals, texts, batch_budget=budget, window=window))
        assert len(among) == len(alone)
        assert all(same_place_and_text(one, other) for one, other in zip(among, alone, strict=True))


@BOTH
def test_aligning_what_was_read_has_the_confidences_of_reading(name):
    recognizer, signal = recognizer_of(name), signals_of(name)[1]
    read = next(recognizer.transcribe([signal]))
    (aligned,) = Aligner(recognizer).align([signal], [f"  {read.text} "])
    assert (aligned.text, aligned.unit) == (read.text, read.unit)
    assert len(aligned.characters) > 3
    end = len(signal.values) * signal.unit_per_step
    places = [place for one in aligned.characters for place in (one.start, one.end)]
    assert places == sorted(places)
    assert all(0 <= place <= end + 1e-9 for place in places)
    (log_probs,) = recognizer.log_probs([signal.values]).each()
    if len(read.characters) == len(greedy(log_probs)):  # no space merged
        expected = [one.confidence for one in read.characters]
        assert [one.confidence for one in aligned.characters] == pytest.approx(expected, rel=1e-5)


def test_characters_that_are_aligned_share_what_is_between_them():
    recognizer = recognizer_of("ocr")
    path = path_of(0, 2, 0, 0, 3, 0, 1, 4, 0, 0, 0, 0)
    recognizer.log_probs = lambda _: LogProbs(path[None], np.array([len(path)]))
    signal = Signal(np.zeros((48, HEIGHT_PX), np.float32), 2.0)
    (transcript,) = Aligner(recognizer).align([signal], ["ab c"])
    places = [place for one in transcript.characters for place in (one.start, one.end)]
    assert places == [8 * step - 1 if step else 0 for step in (0, 3, 3, 5.5, 5.5, 7, 7, 9)]
    assert [word.text for word in transcript.words] == ["ab", "c"]
    # at each of 8 blanks, the labels that are not beside it are missing with a share of 0.1 / (C - 1)
    C = ALPHABET.classes
    missing = (5 * (C - 2) + 3 * (C - 3)) * 0.1 / (C - 1)
    assert transcript.confidence == pytest.approx(4 * 0.9 / (4 + missing))


@BOTH
def test_what_cannot_be_aligned_is_an_error_or_refused_and_the_rest_is_done(name, tmp_path):
    recognizer, signals = recognizer_of(name), signals_of(name)[1:4]
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"neither image nor sound")
    sources = [signals[1], torn, signals[0], signals[2], signals[1]]
    texts = ["ab", "ab", "ab" * 99, "xyz", ""]
    refused: list[str] = []
    done = list(Aligner(recognizer).align(sources, texts, refuse=refused.append))
    assert [transcript.text for transcript in done] == ["ab", ""]
    assert str(torn) in refused[0]
    assert "'x', 'y', 'z', not in the alphabet of 8 symbols" in refused[1]
    assert "the text needs 198 steps" in refused[2]
    for source, text in zip(sources[1:4], texts[1:4], strict=True):
        with pytest.raises(ValueError, match=r"torn\.png|alphabet|needs 198 steps"):
            list(Aligner(recognizer).align([source], [text]))


def test_sources_and_texts_are_as_many():
    with pytest.raises(ValueError, match="shorter"):
        list(Aligner(recognizer_of("ocr")).align(signals_of("ocr")[1:3], ["a"]))
