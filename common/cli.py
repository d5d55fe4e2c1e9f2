"""The commands: train, evaluate, transcribe, align, export and lm, for any modality."""

import atexit
import gc
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from common.commands.flags import parse
from common.commands.output import ItemsFailedError
from common.recognition.modality import Modality

log = logging.getLogger(__name__)

VERBS = ("train", "evaluate", "transcribe", "align", "export", "lm")
"""modules of common.commands; only the one that is called is imported, so that it starts at once"""
TRAINING_PACKAGES = ("lightning", "onnx", "tensorboard", "torch", "torchaudio", "torchvision")
"""of the extra `train`"""


def main(modality: Modality, arguments: Sequence[str] | None = None) -> None:
    """Run the command line of `modality` and exit: 0 all good, 1 something failed, 2 bad usage."""
    atexit.register(gc.freeze)  # nothing is walked once more for cycles at the end, which would take 20 ms
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.formatwarning = lambda message, *_, **__: f"{modality.name}: warning: {message}\n"
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(modality))
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"{modality.name} (amanuensis {version('amanuensis')})")
        raise SystemExit(0)
    name = arguments[0]
    if name not in VERBS:
        print(f"{modality.name}: no verb {name!r}; there are {', '.join(VERBS)}", file=sys.stderr)
        raise SystemExit(2)
    try:
        verb = import_module(f"common.commands.{name}")
        verb.run(modality, parse(verb.arguments(modality), arguments[1:], f"{modality.name} {name}"))
    except BrokenPipeError:  # as the signal module's documentation has it: what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{modality.name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except (ItemsFailedError, ImportError, ValueError, OSError, MemoryError, RuntimeError) as error:
        if not _is_of_the_user(error):
            raise
        print(f"{modality.name}: {_sentence(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _is_of_the_user(error: Exception) -> bool:
    """Return whether what went wrong can be mended by who called, and is no mistake of ours."""
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] in TRAINING_PACKAGES
    return not isinstance(error, RuntimeError) or "memory" in str(error)


def _sentence(error: Exception) -> str:
    """Return in one line what went wrong."""
    if isinstance(error, ImportError):
        return f"this needs {error.name}, which is not installed; pip install 'amanuensis[train]'"
    if isinstance(error, MemoryError | RuntimeError):
        return f"not enough memory ({_first_line(error)}); lower --batch-budget"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if "Original Traceback" in str(
        error
    ):  # of a DataLoader's worker; its last line is "ValueError: sentence"
        return str(error).strip().splitlines()[-1].partition(": ")[2]
    return str(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _overview(modality: Modality) -> str:
    name, item = modality.name, modality.item
    return (
        f"usage: {name} VERB ...\n\n"
        f"  train TRAIN DEV --run DIR         learn from transcribed {item}s; resumes with --resume\n"
        f"  evaluate MODEL DATA               error rates on transcribed {item}s; --report out.html\n"
        f"  transcribe FILE... --model MODEL  the text of {item}s, to stdout or to files\n"
        f"  align MODEL DATA                  where the words of transcribed {item}s are\n"
        f"  export MODEL OUT.onnx             a model that runs without torch, and faster; --int8\n"
        f"  lm train TEXT... -o LM            a language model of n-grams from text; --recurrent --run DIR\n"
        f"  lm evaluate LM TEXT...            bits and perplexity of other text; lm sample LM writes some\n\n"
        f"`{name} VERB --help` lists a verb's options. Text goes to stdout, everything else to stderr."
    )
