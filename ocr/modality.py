"""The modality of text lines: the functions and configurations that `common` needs for images."""

from pathlib import Path

from common.recognition.modality import Modality, Training
from ocr.corpora import CorpusConfig, read_corpus
from ocr.rendering import render
from ocr.segmentation import segment
from ocr.signal import SignalConfig, expand, measure, read, steps_per_length


def _training() -> Training:
    from ocr.augment import AugmentConfig, build_augment, evenly
    from ocr.front_end import FrontEndConfig, ImageFrontEnd

    return Training(AugmentConfig, build_augment, FrontEndConfig, ImageFrontEnd, evenly)


def _bundled() -> Path:
    return Path(__file__).parent / "models" / "printed.onnx"


OCR = Modality(
    name="ocr",
    item="line",
    unit="px",
    length_unit="line heights",
    batch_budget=320.0,
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
)
