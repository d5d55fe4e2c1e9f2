from dataclasses import replace

import numpy as np
import pytest
from untrained import recognizer_of

from common.data.signal import Segment, Segmentation, Signal
from common.text.document import Interval, Line, Page


def cut(source, config, segmentation, model):
    """Return a number of tones one after the other, as many as the name of the source begins with."""
    if source == "broken":
        raise ValueError("broken: cannot be read")
    segments = []
    for number in range(int(source[0])):
        time = np.arange(1500 + 400 * number + 100 * len(source)) / 4000
        samples = 0.3 * np.sin(2 * np.pi * 300 * (number + 1) * time).astype(np.float32)
        place = Interval(10.0 * number, 10.0 * number + time[-1])
        segments.append(Segment(Signal(samples, 1 / 4000), place, region="a", name=str(number)))
    return Segmentation(segments, Page(len(source), 7))


@pytest.fixture(scope="module")
def recognizer():
    made = recognizer_of("asr")
    made.modality = replace(made.modality, segment=cut)
    return made


def test_the_segments_of_each_source_come_together_and_in_order(recognizer):
    sources = ["2 a", "0 silent", "3 abcdef", "1"]
    documents = list(recognizer.documents(sources, batch_budget=2, window=2))
    assert [document.source for document in documents] == sources
    assert [len(document.passages) for document in documents] == [2, 0, 3, 1]
    for source, document in zip(sources, documents, strict=True):
        segments = cut(source, None, None, None).segments
        assert document.page == Page(len(source), 7)
        assert [passage.name for passage in document.passages] == [segment.name for segment in segments]
        assert [passage.place for passage in document.passages] == [segment.place for segment in segments]
        alone = list(recognizer.transcribe([segment.signal for segment in segments]))
        assert [one.text for one in document.transcripts] == [one.text for one in alone]
        for passage, one in zip(document.passages, alone, strict=True):
            assert passage.transcript.source == source
            assert [word.start for word in passage.transcript.words] == pytest.approx(
                [word.start for word in one.words]
            )


def test_transcripts_are_those_of_the_documents(recognizer):
    sources = ["2 a", "3 b"]
    documents = list(recognizer.documents(sources))
    assert list(recognizer.transcribe(sources)) == [one for each in documents for one in each.transcripts]


def test_a_source_that_cannot_be_cut_is_left_out_and_named(recognizer):
    refused = []
    documents = list(recognizer.documents(["1 a", "broken", "2 b"], refuse=refused.append))
    assert [document.source for document in documents] == ["1 a", "2 b"]
    assert refused == ["broken: cannot be read"]
    with pytest.raises(ValueError, match="broken: cannot be read"):
        list(recognizer.documents(["1 a", "broken"]))


def test_a_modality_that_cuts_nothing_has_one_segment_a_source():
    recognizer = recognizer_of("asr")
    recognizer.modality = replace(recognizer.modality, segment=None, read=lambda source, _: source)
    signal = Signal(np.zeros(4000, np.float32), 1 / 4000)
    (segment,) = recognizer.modality.segmentation(signal, None, None, None).segments
    assert segment == Segment(signal, Interval(0.0, 1.0), whole=True)


def test_a_line_image_is_a_segment_that_fills_it(tmp_path):
    from PIL import Image

    recognizer = recognizer_of("ocr")
    path = tmp_path / "line.png"
    Image.new("L", (200, 48), 255).save(path)
    (document,) = recognizer.documents([path])
    (passage,) = document.passages
    assert document.is_whole
    assert isinstance(passage.place, Line)
    assert passage.place.box == pytest.approx((0, 0, 200, 48))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    import soundfile

    path = tmp_path_factory.mktemp("one") / "a.wav"
    time = np.arange(6000) / 4000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 300 * time), 4000)
    return path


def test_one_source_needs_no_list(recording):
    recognizer = recognizer_of("asr")
    (expected,) = recognizer.transcribe([recording])
    assert expected.text
    for source in (recording, str(recording)):
        assert list(recognizer.transcribe(source)) == [expected]
    signal = recognizer.modality.read(recording, recognizer.signal_config)
    with recording.open("rb") as file:
        alone = [*recognizer.transcribe(file), *recognizer.transcribe(recording.read_bytes())]
    alone += recognizer.transcribe(signal)
    assert [one.text for one in alone] == [expected.text] * 3
    assert [one.text for one in recognizer.transcribe([recording.read_bytes(), signal])] == [
        expected.text
    ] * 2


@pytest.mark.parametrize("in_a_list", [False, True])
def test_an_array_is_refused_because_it_has_no_rate(in_a_list):
    values = np.zeros(4000, np.float32)
    with pytest.raises(ValueError, match=r"an array of shape \(4000,\) has no rate; give Signal\(values"):
        list(recognizer_of("asr").transcribe([values] if in_a_list else values))
