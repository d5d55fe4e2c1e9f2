"""`asr transcribe --channel`: each channel of a call has the text that it has alone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import call

from asr.modality import ASR
from ocr.modality import OCR

SAMPLE = Path(__file__).parents[2] / "recipes" / "asr" / "sample.opus"


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two callers, one after the other, in two files and in the channels of one."""
    folder = tmp_path_factory.mktemp("call")
    samples, rate_hz = soundfile.read(SAMPLE, dtype="float32")
    first, second = samples[: int(1.5 * rate_hz)], samples[int(1.5 * rate_hz) : int(3.5 * rate_hz)]
    left = np.concatenate([first, np.zeros_like(second)])
    right = np.concatenate([np.zeros_like(first), second])
    soundfile.write(folder / "left.wav", left, rate_hz, subtype="FLOAT")
    soundfile.write(folder / "right.wav", right, rate_hz, subtype="FLOAT")
    soundfile.write(folder / "call.wav", np.stack([left, right], 1), rate_hz, subtype="FLOAT")
    return folder


@pytest.mark.slow
def test_a_call_of_two_channels_gives_two_texts(callers: Path) -> None:
    wanted = [call(ASR, "transcribe", callers / f"{side}.wav").out for side in ("left", "right")]
    assert wanted[0] != wanted[1]
    assert all(text.strip() for text in wanted)
    each = call(ASR, "transcribe", callers / "call.wav", "--channel", "each", "-o", callers / "texts")
    assert each.status == 0
    found = [(callers / "texts" / f"call-channel{number}.txt").read_text() for number in (1, 2)]
    assert found == wanted
    assert call(ASR, "transcribe", callers / "call.wav", "--channel", "right").out == wanted[1]


def test_a_channel_that_is_none_is_refused(callers: Path) -> None:
    for channel, files, said in (
        ("middle", callers / "call.wav", "give left, right, each or a number from 1"),
        ("0", callers / "call.wav", "give left, right, each or a number from 1"),
        ("left", "-", "--channel: is for files"),
    ):
        outcome = call(ASR, "transcribe", files, "--channel", channel)
        assert outcome.status == 2
        assert said in outcome.err
    outcome = call(ASR, "transcribe", callers / "left.wav", "--channel", "right")
    assert outcome.status == 1
    assert "left.wav: has no channel 2, only 1" in outcome.err
    assert call(OCR, "transcribe", callers / "call.wav", "--channel", "left").status == 2
