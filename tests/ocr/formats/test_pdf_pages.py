from pathlib import Path

import numpy as np
import pikepdf
import pytest
from PIL import Image

from ocr.formats.pdf_pages import count_pages, is_pdf, render
from ocr.signal import SignalConfig, expand, read


def pdf_of(path: Path, pages: int = 2, **settings: object) -> Path:
    """Write a PDF of pages of 144 by 72 points with a black square in the upper left corner."""
    with pikepdf.new() as pdf:
        for _ in range(pages):
            pdf.add_blank_page(page_size=(144, 72))
            pdf.pages[-1].Contents = pdf.make_stream(b"0 g 0 36 36 36 re f")
        pdf.save(path, **settings)
    return path


def test_a_page_is_rendered_at_300_pixels_per_inch_as_it_is_viewed(tmp_path):
    image = render(pdf_of(tmp_path / "a.pdf"), 1, "a.pdf[1]")
    assert image.size == (600, 300)
    assert image.info["dpi"] == (300, 300)
    dark = np.asarray(image.convert("L")) < 128
    assert dark[:148, :148].all() and not dark[152:].any() and not dark[:, 152:].any()


def test_a_scan_is_rendered_at_its_own_resolution(tmp_path):
    values = np.random.default_rng(1).integers(0, 2, (110, 200), dtype=np.uint8) * 255
    Image.fromarray(values).save(tmp_path / "a.pdf", resolution=150)
    image = render(tmp_path / "a.pdf", 0, "a.pdf")
    assert image.size == (200, 110)


def test_a_huge_page_is_rendered_smaller(tmp_path):
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(14_400, 14_400))  # 5 m
        pdf.save(tmp_path / "a.pdf")
    image = render(tmp_path / "a.pdf", 0, "a.pdf")
    assert 50_000_000 < image.width * image.height < 61_000_000


def test_pages_are_counted_and_expanded_with_names_that_can_be_sorted(tmp_path):
    path = str(pdf_of(tmp_path / "a.pdf", 12))
    assert is_pdf(Path(path))
    assert count_pages(Path(path), path) == 12
    assert expand(path) == [f"{path}[{number:02}]" for number in range(12)]
    assert expand(f"{path}[3-5]") == [f"{path}[03]", f"{path}[04]", f"{path}[05]"]
    assert expand(f"{path}[11]") == [f"{path}[11]"]


@pytest.mark.parametrize("pages", ["[3-12]", "[5-4]", "[12-12]"])
def test_pages_that_are_not_there_are_said(pages, tmp_path):
    with pytest.raises(ValueError, match="has 12 pages, counted from 0"):
        expand(f"{pdf_of(tmp_path / 'a.pdf', 12)}{pages}")


def test_a_page_is_read_from_a_file_and_from_a_pipe_alike(tmp_path):
    path = pdf_of(tmp_path / "a.pdf")
    of_file = read(f"{path}[1]", SignalConfig())
    with path.open("rb") as file:
        second = expand(file)[1]
    np.testing.assert_array_equal(read(second, SignalConfig()).values, of_file.values)


def test_pdfs_that_cannot_be_read_are_said_in_a_sentence(tmp_path):
    secret = pdf_of(tmp_path / "secret.pdf", encryption=pikepdf.Encryption(user="a", owner="b"))
    with pytest.raises(ValueError, match=r"secret.pdf: is encrypted; save it without a password first"):
        expand(str(secret))
    with pytest.raises(ValueError, match=r"none.pdf: is a PDF without pages; add one"):
        expand(str(pdf_of(tmp_path / "none.pdf", 0)))
    whole = pdf_of(tmp_path / "whole.pdf").read_bytes()
    for size in (20, len(whole) // 3):
        (tmp_path / "cut.pdf").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut.pdf: cannot be read as a PDF.*; is the file whole\?"):
            expand(str(tmp_path / "cut.pdf"))
    with pytest.raises(ValueError, match=r"whole.pdf\[7\]: is not there; the file has 2 pages"):
        read(f"{tmp_path / 'whole.pdf'}[7]", SignalConfig())
    with pytest.raises(ValueError, match=r"whole.pdf: has 2 pages, one was wanted; name one, as in"):
        read(str(tmp_path / "whole.pdf"), SignalConfig())
