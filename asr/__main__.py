"""The command `asr`."""

from asr.modality import ASR
from common import cli


def main() -> None:
    """Run the command `asr` with the arguments of the command line."""
    cli.main(ASR)


if __name__ == "__main__":
    main()
