"""A page as a picture that every browser shows, of the size that the places of its lines refer to."""

import base64
from io import BytesIO

from PIL import Image, ImageOps

from common.data.signal import Source
from ocr.signal import read_page_image
from ocr.source import locate, open_image

JPEG_QUALITY = 90
LARGEST_JPEG_PX = 65_500
"""the larger side of a JPEG; a larger image is a PNG"""


def picture_address(source: Source) -> str:
    """Return a page as a data: address, JPEG or, of two levels, PNG.

    Raises:
        ValueError: it cannot be read.
    """
    image, content = _as_viewed(source), BytesIO()
    form = "PNG" if image.mode == "1" or max(image.size) > LARGEST_JPEG_PX else "JPEG"
    image.save(content, form, quality=JPEG_QUALITY)
    return f"data:image/{form.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def _as_viewed(source: Source) -> Image.Image:
    """Return a page in mode 1, L or RGB, turned as its file says, on white where it is transparent."""
    with open_image(locate(source)) as image:
        image.load()
        shown = ImageOps.exif_transpose(image)
        if shown.has_transparency_data:
            shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown.convert("RGBA"))
        if shown.mode in ("1", "L", "RGB"):
            return shown
        if shown.mode in ("P", "RGBA", "CMYK", "YCbCr"):
            return shown.convert("RGB")
    return Image.fromarray(read_page_image(source))  # 16 bits and more
