"""Where the image of an XML file is found."""

import pytest
from PIL import Image

from ocr.formats.xml.images import find_image


@pytest.mark.parametrize(
    "written, xml, image",
    [
        ("scan.png", "scan.xml", "scan.png"),
        ("scan.tif", "scan.xml", "scan.png"),  # another ending
        ("other.png", "scan.xml", "scan.png"),  # the name of the XML file
        ("", "scan.xml", "scan.png"),
        ("", "scan.alto.xml", "scan.png"),
        ("scan.png", "page/scan.xml", "scan.png"),  # Transkribus
        ("OCR-D-IMG/scan.png", "OCR-D-SEG/s.xml", "OCR-D-IMG/scan.png"),  # OCR-D
        ("scan.png", "xml/scan.xml", "images/scan.png"),
        ("scan.png", "scan.xml", "img/scan.png"),
        ("C:\\scans\\scan.png", "s.xml", "scan.png"),
        ("file:///home/me/my%20scan.png", "s.xml", "my scan.png"),
        ("https://example.org/iiif/scan.png?size=full#x", "s.xml", "scan.png"),
        ("https://example.org/iiif/f12/full/full/0/default.jpg", "f12.xml", "f12.jpg"),
        ("SCAN.PNG", "s.xml", "SCAN.PNG"),
    ],
)
def test_the_image_is_found(tmp_path, written, xml, image):
    file = tmp_path / image
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (30, 20)).save(file)
    (tmp_path / xml).parent.mkdir(parents=True, exist_ok=True)
    found = find_image(tmp_path / xml, written)
    assert (tmp_path / image).samefile(found.path)
    assert (found.width_px, found.height_px) == (30, 20)


def test_the_written_name_goes_before_others(tmp_path):
    for name in ("a.png", "page.png"):
        Image.new("L", (30, 20)).save(tmp_path / name)
    assert find_image(tmp_path / "page.xml", "a.png").path == str(tmp_path / "a.png")


def test_a_file_that_is_no_image_is_not_opened(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ValueError, match=r"'/etc/secret' was not found beside it"):
        find_image(tmp_path / "page.xml", "/etc/secret")
