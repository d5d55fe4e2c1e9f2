"""The modality of speech: the functions and configurations that `common` needs for recordings."""

from pathlib import Path

from asr.corpora import CorpusConfig, read_corpus
from asr.rendering import render
from asr.segmentation import segment
from asr.signal import SignalConfig, expand, measure, read, steps_per_length, stream
from common.recognition.modality import Modality, Training


def _training() -> Training:
    from asr.augment import AugmentConfig, build_augment, evenly
    from asr.front_end import FrontEndConfig, SpectrogramFrontEnd

    return Training(AugmentConfig, build_augment, FrontEndConfig, SpectrogramFrontEnd, evenly)


def _bundled() -> Path:
    return Path(__file__).parent / "models" / "english.onnx"


ASR = Modality(
    name="asr",
    item="utterance",
    unit="s",
    length_unit="seconds",
    batch_budget=160.0,
    signal_config=SignalConfig,
    corpus_config=CorpusConfig,
    read=read,
    expand=expand,
    measure=measure,
    steps_per_length=steps_per_length,
    corpora=read_corpus,
    render=render,
    training=_training,
    segment=segment,
    bundled=_bundled,
    stream=stream,
)
