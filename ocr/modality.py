"""The modality of text lines: the functions and configurations that `common` needs for images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.recognition.modality import AugmentOne, Modality, PageComparison, Training, Verb
from ocr.configuration import FormatConfig, SegmentationConfig
from ocr.corpora import CorpusConfig, read_corpus, read_rows
from ocr.formats.names import BOOK_FORMATS, ENDINGS, FORMATS, book, writer
from ocr.rendering import render
from ocr.segmentation.xml_lines import expand, measure, pack, read, segment
from ocr.signal import IMAGE_SUFFIXES, SignalConfig, steps_per_length


def _training() -> Training:
    from ocr.configuration import AugmentConfig, FrontEndConfig

    return Training(AugmentConfig, _augment, FrontEndConfig, _front_end, _evenly)


def _augment(config: Any, signal_config: SignalConfig) -> AugmentOne:
    from ocr.augment import build_augment

    return build_augment(config, signal_config)


def _front_end(config: Any, signal_config: SignalConfig) -> Any:
    from ocr.front_end import ImageFrontEnd

    return ImageFrontEnd(config, signal_config)


def _evenly(config: Any) -> Any:
    from ocr.augment import evenly

    return evenly(config)


def _compare_pages(recognizer: Any, paths: list[str], refuse: Callable[[str], None]) -> PageComparison:
    from ocr.comparison.pages import compare_pages

    return compare_pages(recognizer, paths, refuse)


def _serving(service: Any) -> Sequence[Any]:
    from ocr.serving.routes import routes

    return routes(service)


def _page() -> Path:
    return Path(__file__).parent / "serving" / "page"


def _bundled() -> Path:
    return Path(__file__).parent / "models" / "printed.onnx"


OCR = Modality(
    name="ocr",
    item="line",
    source="image",
    unit="px",
    length_unit="line heights",
    batch_budget=320.0,
    gpu_batches=8.0,
    search_batches=2.0,
    signal_config=SignalConfig,
    corpus_config=CorpusConfig,
    read=read,
    expand=expand,
    measure=measure,
    pack=pack,
    steps_per_length=steps_per_length,
    corpora=read_corpus,
    listed=read_rows,
    render=render,
    training=_training,
    on_paper=True,
    segmentation_config=SegmentationConfig,
    segment=segment,
    formats=FORMATS,
    endings=ENDINGS,
    format_config=FormatConfig,
    writer=writer,
    book=book,
    book_formats=BOOK_FORMATS,
    compare_pages=_compare_pages,
    suffixes=IMAGE_SUFFIXES,
    serving=_serving,
    page=_page,
    verbs={
        "train-lines": Verb(
            "ocr.segmentation.train_lines",
            "train-lines PAGES DEV --run DIR",
            "learn to find the lines of pages, from PAGE XML or ALTO",
        )
    },
    bundled=_bundled,
    second="handwriting",
)
