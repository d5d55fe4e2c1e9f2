"""The command `ocr`."""

import warnings

from common import cli
from ocr.modality import OCR


def main() -> None:
    """Run the command `ocr` with the arguments of the command line."""
    # Pillow's; an image that is too large is refused with a sentence of its own
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    cli.main(OCR)


if __name__ == "__main__":
    main()
