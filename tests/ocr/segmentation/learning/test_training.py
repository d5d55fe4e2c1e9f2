import json

import numpy as np
import onnxruntime
import pytest
import torch
from command import call
from PIL import Image
from run_log import losses_of

from common.files.model_file import read_model
from common.files.onnx_file import read_onnx
from ocr.configuration import FinderConfig
from ocr.modality import OCR
from ocr.segmentation.learning.drawing import draw_page
from ocr.segmentation.learning.examples import SquareLoader
from ocr.segmentation.learning.network import LineFinder
from ocr.segmentation.learning.training import described, export_lines, read_pages

SMALL = ("--channels", "2", "2", "3", "3", "4", "--squares", "2", "--squares-per-batch", "2")


def write_page(folder, name: str, seed: int) -> None:
    """Write the first lines of a drawn page, with PAGE XML as Transkribus writes it."""
    drawn = draw_page(np.random.default_rng(seed), ())
    known = drawn.lines[:8]
    grey = drawn.grey[: 40 + round(max(y for line in known for _, y in line.polygon))]
    folder.mkdir(exist_ok=True)
    Image.fromarray(grey).save(folder / f"{name}.png")
    height, width = grey.shape
    lines = "".join(
        f'<TextLine id="l{i}"><Coords points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in line.polygon)}"/>'
        f'<Baseline points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in line.baseline)}"/></TextLine>'
        for i, line in enumerate(known)
    )
    box = f"0,0 {width},0 {width},{height} 0,{height}"
    (folder / f"{name}.xml").write_text(
        '<?xml version="1.0"?><PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">'
        f'<Page imageFilename="{name}.png" imageWidth="{width}" imageHeight="{height}">'
        f'<TextRegion id="r"><Coords points="{box}"/>{lines}</TextRegion></Page></PcGts>'
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(2):
        write_page(folder / "train", f"p{number}", number)
    write_page(folder / "dev", "p", 7)
    return folder


@pytest.mark.slow
@pytest.mark.training
def test_a_run_learns_writes_its_models_and_can_be_resumed(corpus, tmp_path):
    run = tmp_path / "run"
    words = ("train-lines", corpus / "train", corpus / "dev", "--run", run, *SMALL, "--device", "cpu")
    done = call(OCR, *words, "--epochs", "1")
    assert done.status == 0, done.err
    assert {"best.safetensors", "lines.onnx", "log.csv", "config.json"} <= {one.name for one in run.iterdir()}
    assert call(OCR, *words, "--epochs", "1").status == 1  # the folder is in use
    assert call(OCR, *words, "--epochs", "2", "--resume").status == 0
    assert len((run / "log.csv").read_text().splitlines()) == 3
    assert json.loads((run / "config.json").read_text())["squares"] == 2


@pytest.mark.slow
@pytest.mark.training
def test_a_run_that_was_stopped_continues_as_if_it_had_not_been(corpus, tmp_path, monkeypatch):
    words = ("train-lines", corpus / "train", corpus / "dev", *SMALL, "--device", "cpu", "--epochs", "2")
    assert call(OCR, *words, "--run", tmp_path / "whole").status == 0
    batches = SquareLoader.batches

    def stopping(self, epoch=0, start=0):
        if epoch == 1:
            raise KeyboardInterrupt
        yield from batches(self, epoch, start)

    monkeypatch.setattr(SquareLoader, "batches", stopping)
    assert call(OCR, *words, "--run", tmp_path / "stopped").status == 130
    monkeypatch.undo()
    assert call(OCR, *words, "--run", tmp_path / "stopped", "--resume").status == 0
    assert losses_of(tmp_path / "stopped") == losses_of(tmp_path / "whole")
    _, first = read_model(tmp_path / "whole" / "best.safetensors")
    _, second = read_model(tmp_path / "stopped" / "best.safetensors")
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values)


def test_a_run_is_known_by_the_pixels_and_lines_of_its_pages(corpus):
    """So --resume refuses other pages; several folders are read one after the other."""
    train, both = read_pages(str(corpus / "train")), read_pages(f"{corpus / 'train'},{corpus / 'dev'}")
    assert [page.name for page in both[:2]] == [page.name for page in train] and len(both) == 3
    darker = train[0]._replace(grey=train[0].grey // 2)
    fewer = train[0]._replace(lines=train[0].lines[1:])
    moved = train[0]._replace(name="elsewhere.xml")
    assert described([moved]) == described(train[:1])
    assert len({described(pages) for pages in (train, train[:1], train[::-1], [darker], [fewer])}) == 5


def test_onnx_gives_the_maps_of_torch_for_pages_of_any_size(tmp_path):
    torch.manual_seed(0)
    model = LineFinder(FinderConfig((2, 3, 3, 4, 4)), {"by": "a test"}).eval()
    export_lines(model, tmp_path / "lines.onnx")
    header = read_onnx(tmp_path / "lines.onnx").header
    assert (header["kind"], header["stride"], header["card"]) == ("lines", 2, {"by": "a test"})
    session = onnxruntime.InferenceSession(tmp_path / "lines.onnx")
    for size in ((64, 96), (160, 32)):
        page = torch.rand(1, 1, *size)
        with torch.inference_mode():
            expected = model(page).numpy()
        (found,) = session.run(None, {"page": page.numpy()})
        assert found.shape == (1, 5, size[0] // 2, size[1] // 2)
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_the_file_of_a_model_gives_the_same_network(tmp_path):
    model = LineFinder(FinderConfig((2, 3, 3, 4, 4)), {"a": 1}).eval()
    model.save(tmp_path / "a.safetensors")
    again = LineFinder.load(tmp_path / "a.safetensors")
    page = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(again(page), model(page))
    assert again.card == {"a": 1}
    with pytest.raises(ValueError, match="is a model of another kind; name one of `ocr train-lines`"):
        from pathlib import Path

        import ocr

        LineFinder.load(Path(ocr.__file__).parent / "models" / "printed.safetensors")


def test_pages_without_images_or_lines_are_left_out_and_said(corpus, tmp_path, caplog):
    write_page(tmp_path, "good", 3)
    write_page(tmp_path, "lonely", 4)
    (tmp_path / "lonely.png").unlink()
    (tmp_path / "broken.xml").write_text("<PcGts>")
    pages = read_pages(str(tmp_path))
    assert [page.name.rsplit("/", 1)[1] for page in pages] == ["good.xml"]
    assert "lonely.xml: its image was not found" in caplog.text and "broken.xml" in caplog.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no page with lines; name a folder of PAGE XML or ALTO"):
        read_pages(str(tmp_path / "empty"))


def test_impossible_numbers_of_squares_are_bad_usage(corpus, tmp_path):
    words = ("train-lines", corpus / "train", corpus / "dev", "--run", tmp_path / "r", "--squares", "1")
    done = call(OCR, *words)
    assert done.status == 2 and "--squares 1 --squares-per-batch 4" in done.err


def test_the_loss_of_known_maps_falls_with_a_gradient_step():
    """The loss of one batch after a small step against its gradient, in float64."""
    from common.data.batching import Batch

    torch.manual_seed(0)
    model = LineFinder(FinderConfig((2, 2, 2, 2, 2))).double()
    targets = (torch.rand(2, 5, 32, 32) > 0.9).double()
    batch = Batch(torch.rand(2, 64, 64).double(), None, targets, None, [], [0, 1], 2, [])  # type: ignore[arg-type]
    before, _ = model.losses(batch)
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(1e-4 * parameter.grad)
    after, _ = model.losses(batch)
    assert float(after) < float(before)
