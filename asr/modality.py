"""The modality of speech: the functions and configurations that `common` needs for recordings."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.configuration import SegmentationConfig, SubtitleConfig
from asr.corpora import SOUND_EXTS, CorpusConfig, read_corpus, read_rows
from asr.formats.names import FORMATS, writer
from asr.media.raw import as_raw
from asr.rendering import render
from asr.segmentation.activity import Activity, HeardActivity
from asr.segmentation.recordings import segment
from asr.signal import SignalConfig, channels, expand, measure, pack, read, steps_per_length, stream, track
from common.data.signal import Segmentation, Source
from common.recognition.modality import AugmentOne, Modality, ModelSteps, Training

if TYPE_CHECKING:
    from common.recognition.runtime import OnnxRecognizer


def _training() -> Training:
    from asr.configuration import AugmentConfig, FrontEndConfig

    return Training(AugmentConfig, _augment, FrontEndConfig, _front_end, _evenly)


def _augment(config: Any, signal_config: SignalConfig) -> AugmentOne:
    from asr.augment import build_augment

    return build_augment(config, signal_config)


def _front_end(config: Any, signal_config: SignalConfig) -> Any:
    from asr.front_end import SpectrogramFrontEnd

    return SpectrogramFrontEnd(config, signal_config)


def _evenly(config: Any) -> Any:
    from asr.augment import evenly

    return evenly(config)


def _serving(service: Any) -> Sequence[Any]:
    from asr.serving.routes import routes

    return routes(service, _listen)


def _page() -> Path:
    return Path(__file__).parent / "serving" / "page"


def _bundled() -> Path:
    return _models() / "english-words.onnx"


def _models() -> Path:
    return Path(__file__).parent / "models"


def _segment(source: Source, config: Any, segmentation: Any, model: ModelSteps) -> Segmentation:
    return segment(source, config, segmentation, model, _listen)


def _listen(rate_hz: int) -> Activity:
    model = _activity()
    return HeardActivity(model, model.signal_config.sample_rate_hz, rate_hz)


@cache
def _activity() -> "OnnxRecognizer":
    from common.recognition.runtime import OnnxRecognizer

    return OnnxRecognizer.load(ASR, _models() / "activity.onnx", threads=1)


ASR = Modality(
    name="asr",
    item="utterance",
    source="recording",
    unit="s",
    length_unit="seconds",
    batch_budget=160.0,
    short_length=2.0,
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
    segmentation_config=SegmentationConfig,
    segment=_segment,
    formats=FORMATS,
    format_config=SubtitleConfig,
    writer=writer,
    suffixes=frozenset(SOUND_EXTS),
    bundled=_bundled,
    spelling="english",
    channels=channels,
    track=track,
    raw=as_raw,
    stream=stream,
    serving=_serving,
    page=_page,
)
