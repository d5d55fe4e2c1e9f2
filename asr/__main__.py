"""The command `asr`."""

from asr.modality import ASR
from common import cli


def main() -> None:
    """Run the command line."""
    cli.main(ASR)


if __name__ == "__main__":
    main()
