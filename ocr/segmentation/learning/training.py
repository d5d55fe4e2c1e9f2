"""Training of the network that finds lines: `ocr train-lines PAGES DEV --run DIR`.

PAGES, DEV    folders of PAGE XML or ALTO with their images
    -> lines moved to the ink -> squares cut out of pages, real and drawn -> the loop of `common.training`
    -> RUN/best.safetensors, and RUN/lines.onnx, which `ocr transcribe` reads
"""

import hashlib
import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from common.command_line.counting import counted
from common.files.aside import written_aside
from common.files.folder import files_below
from common.files.onnx_file import metadata
from common.text.document import Line
from common.training.folder import as_json, check_folder, provenance, write_config
from common.training.loop import Data, Trainer
from common.training.optimisation import build_fabric, on_rank_zero, seed_everything
from common.training.preparation import corpus_paths
from ocr.configuration import FinderConfig
from ocr.drawing.fonts import find_fonts
from ocr.formats.xml.pages import is_xml, read_page
from ocr.segmentation.learning.examples import KnownPage, SquareLoader, known_page
from ocr.segmentation.learning.flags import TrainLinesFlags
from ocr.segmentation.learning.network import KIND, STRIDE, LineFinder
from ocr.segmentation.maps import CHANNELS
from ocr.signal import read_page_image

log = logging.getLogger(__name__)

SQUARE_PX = 512
"""side of the squares that are cut out of pages"""
OPSET = 17
FOUND = 0.5
"""probability from which a pixel counts as found when maps are measured"""


def train_lines(arguments: TrainLinesFlags) -> None:
    """Train a network and write its model files.

    Raises:
        ValueError: the run folder is in use, or a folder has no page with lines and an image.
    """
    settings, folder = as_json(arguments), arguments.run
    check_folder(folder, arguments.resume, settings)
    fabric = build_fabric(arguments.training)
    seed_everything(arguments.training.seed)
    model = LineFinder(FinderConfig(tuple(arguments.network.channels)))  # type: ignore[arg-type]
    train, dev = read_pages(arguments.pages), read_pages(arguments.dev)
    model.card = {
        **provenance(),
        "training_data": ["/".join(Path(path).parts[-2:]) for path in corpus_paths(arguments.pages)],
        "pages": len(train),
        "lines": sum(len(page.lines) for page in train),
        "training": asdict(arguments.training),
    }
    data = _data(arguments, train, dev, fabric)
    trainer = Trainer(fabric, model, data, arguments.training, folder, measure_maps)
    if arguments.resume:
        trainer.resume()

    def begin() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_config(folder, settings)
        lines = sum(len(page.lines) for page in train)
        numbers = counted(len(train), "page"), counted(lines, "line"), counted(len(dev), "page")
        log.info("%s with %s to learn from, %s to measure on", *numbers)

    on_rank_zero(fabric, begin)
    trainer.fit()
    best = folder / "best.safetensors"
    on_rank_zero(fabric, lambda: export_lines(LineFinder.load(best), folder / "lines.onnx"))
    log.info("written: %s", folder / "lines.onnx")


def _data(
    arguments: TrainLinesFlags, train: Sequence[KnownPage], dev: Sequence[KnownPage], fabric: Fabric
) -> Data:
    rank, ranks, seed = fabric.global_rank, fabric.world_size, arguments.training.seed
    fonts = find_fonts(arguments.fonts)
    size, count = arguments.squares_per_batch, arguments.squares
    squares: Any = SquareLoader(train, SQUARE_PX, size, count, seed, fonts, rank, ranks)
    whole: Any = SquareLoader(dev, SQUARE_PX, 1, 0, None, (), rank, ranks)
    return Data(squares, whole, {"pages": described(train), "pages to measure on": described(dev)})


def described(pages: Sequence[KnownPage]) -> str:
    """Return the number of pages and a hash of their pixels and lines; files may move."""
    digest = hashlib.sha256()
    for page in pages:
        digest.update(repr((page.grey.shape, page.lines)).encode())
        digest.update(page.grey.tobytes())
    return f"{len(pages)} pages, {digest.hexdigest()[:16]}"


def read_pages(folders: str) -> list[KnownPage]:
    """Return the pages in folders, with commas between, that have an image and lines; the others are named.

    Raises:
        ValueError: there are none.
    """
    pages = []
    for file in (file for folder in corpus_paths(folders) for file in files_below(Path(folder))):
        if not is_xml(file):
            continue
        try:
            document = read_page(file)
            if document.page is None or not document.page.image:
                raise ValueError(f"{file}: its image was not found; put it beside the file")
            grey = read_page_image(document.page.image)
        except (ValueError, OSError) as error:
            log.warning("left out: %s", error)
            continue
        lines = [one.place for one in document.passages if isinstance(one.place, Line)]
        if lines:
            pages.append(known_page(file, grey, lines))
        else:
            log.warning("left out: %s: describes no line", file)
    if not pages:
        raise ValueError(f"{folders}: has no page with lines; name a folder of PAGE XML or ALTO with images")
    return pages


def measure_maps(model: LineFinder, loader: Any, fabric: Fabric) -> dict[str, tuple[float, float]]:
    """Return for baselines and ends, as (errors, reference): 1 minus the Dice coefficient of their pixels."""
    errors = {name: [0.0, 0.0] for name in ("baseline", "end")}
    for batch in loader.batches():
        with torch.inference_mode(), fabric.autocast():
            maps = model(batch.signals.unsqueeze(1).to(fabric.device)).float().cpu()
        for name, sums in errors.items():
            channel = CHANNELS.index(name)
            found, wanted = maps[:, channel] > FOUND, batch.targets[:, channel] > FOUND
            both = float(found.sum() + wanted.sum())
            sums[0] += both - 2 * float((found & wanted).sum())
            sums[1] += both
    return {name: (wrong, of) for name, (wrong, of) in errors.items()}


def export_lines(model: LineFinder, path: Path) -> None:
    """Write a network as ONNX, which `Finder` reads: "page" (1, 1, H, W) -> "maps" (1, 5, H/2, W/2)."""
    import onnx

    header = {"kind": KIND, "stride": STRIDE, "channels": list(CHANNELS), "card": model.card}
    sides = {"page": {2: "H", 3: "W"}, "maps": {2: "H/2", 3: "W/2"}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated; the others of this project use it
        torch.onnx.export(
            model.eval(),
            (torch.zeros(1, 1, 64, 96),),
            f"{folder}/graph.onnx",
            input_names=["page"],
            output_names=["maps"],
            dynamic_axes=sides,
            opset_version=OPSET,
            dynamo=False,
        )
        graph = onnx.load(f"{folder}/graph.onnx")
    onnx.helper.set_model_props(graph, metadata(header, {}))
    with written_aside(path) as file:
        file.write(graph.SerializeToString())
