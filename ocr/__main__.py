"""The command `ocr`."""

from common import cli
from ocr.modality import OCR


def main() -> None:
    """Run the command `ocr` with the arguments of the command line."""
    cli.main(OCR)


if __name__ == "__main__":
    main()
