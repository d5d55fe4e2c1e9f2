"""The command of a modality: it finds the verb, parses its flags and runs it."""

import atexit
import gc
import logging
import os
import sys
import warnings
from collections.abc import Container, Sequence
from contextlib import suppress
from importlib import import_module

from common.command_line.parser import UsageError, choose, parse
from common.commands.output import ItemsFailedError, writing
from common.files.failure import SERVING_PACKAGES, ReportedError, is_lack_of_memory, sentence
from common.files.standard import STANDARD_OUTPUT, prepare_streams
from common.recognition.modality import Modality

log = logging.getLogger(__name__)

VERBS = ("train", "evaluate", "transcribe", "align", "export", "shard", "lm", "serve")
"""modules of common.commands; only the one that is called is imported, which keeps the start fast"""
TRAINING_PACKAGES = ("lightning", "onnx", "tensorboard", "torch", "torchaudio", "torchvision")
"""packages of the extra `train`"""
DEBUG_FLAG = "--debug"
"""shows where errors come from, also those that are said in a sentence"""


def main(modality: Modality, arguments: Sequence[str] | None = None) -> None:
    """Run the command line of a modality.

    Args:
        modality: what the verbs work on.
        arguments: the words after the command; None for those of this process.

    Raises:
        SystemExit: 0 if all went well, 1 if something failed, 2 for bad usage, 130 after an interrupt.
    """
    prepare_streams()
    atexit.register(gc.freeze)  # skips the last search for reference cycles, which takes 20 ms
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments, debug = _without_debug(list(sys.argv[1:] if arguments is None else arguments))
    for package in _packages(modality):
        logging.getLogger(package).setLevel(logging.DEBUG if debug else logging.NOTSET)
    warnings.formatwarning = lambda message, *_, **__: f"{modality.name}: warning: {message}\n"
    try:
        _call(modality, arguments)
    except BrokenPipeError:
        _discard_output()
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{modality.name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except ReportedError as reported:
        if debug or not _can_be_mended_by_the_user(reported.error, _packages(modality)):
            raise reported.error from None
        raise SystemExit(1) from None
    except (ItemsFailedError, ImportError, ValueError, OSError, MemoryError, RuntimeError) as error:
        if debug or not _can_be_mended_by_the_user(error, _packages(modality)):
            raise
        print(f"{modality.name}: {sentence(error)}", file=sys.stderr)
        if isinstance(error, OSError):
            _discard_output()
        raise SystemExit(2 if isinstance(error, UsageError) else 1) from None


def _call(modality: Modality, arguments: Sequence[str]) -> None:
    """Run a verb or print the overview, and see to it that the output has been written."""
    try:
        _dispatch(modality, arguments)
    except SystemExit as ended:
        if ended.code:
            raise
        _flush()
        raise
    _flush()


def _dispatch(modality: Modality, arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(modality))
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"{modality.name} (amanuensis {version('amanuensis')})")
        raise SystemExit(0)
    if arguments[0] not in (*VERBS, *modality.verbs):
        raise UsageError(f"no verb {arguments[0]!r}; there are {', '.join([*VERBS, *modality.verbs])}")
    _run(modality, arguments[0], arguments[1:])


def _flush() -> None:
    with writing(STANDARD_OUTPUT):
        sys.stdout.flush()


def _discard_output() -> None:
    """Let output that cannot be written go nowhere, as in the documentation of Python's signal module.

    Otherwise Python tries again at the end, and complains.
    """
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(modality: Modality, name: str, arguments: Sequence[str]) -> None:
    """Run a verb: the type of its arguments is the dataclass that the flags are made of."""
    words = [name]
    if name == "lm":
        from common.commands.lm import ACTIONS

        action, arguments = choose(ACTIONS, arguments, f"{modality.name} lm")
        words.append(action)
    own = modality.verbs.get(name)
    verb = import_module(".".join(["common.commands", *words]) if own is None else own.module)
    kind = verb.run.__annotations__["arguments"]
    verb.run(modality, parse(kind, arguments, " ".join([modality.name, *words]), modality))


def _without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the words without the flag --debug, which every verb takes, and whether it was there."""
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    kept = [word for word in flags if word != DEBUG_FLAG]
    return [*kept, *arguments[len(flags) :]], len(kept) < len(flags)


def _packages(modality: Modality) -> set[str]:
    """Return the top-level packages whose errors are for the user: those of the core and the modality."""
    modules = [getattr(part, "__module__", "") for part in vars(modality).values()]
    return {module.partition(".")[0] for module in (__name__, *modules) if module}


def _can_be_mended_by_the_user(error: Exception, packages: Container[str]) -> bool:
    """Return whether the user can do something about an error, which is then no mistake of ours."""
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] in (*TRAINING_PACKAGES, *SERVING_PACKAGES)
    if isinstance(error, RuntimeError):
        return is_lack_of_memory(error)
    if isinstance(error, ValueError) and not isinstance(error, OSError | UnicodeError):
        return _is_raised_by(error, packages)
    return isinstance(error, ItemsFailedError | ValueError | OSError | MemoryError)


def _is_raised_by(error: Exception, packages: Container[str]) -> bool:
    """Return whether a `raise` statement in one of `packages` made the error.

    Such an error names what the user gave. A ValueError that an operation or another library raises, such as
    NumPy about two shapes, is a mistake of ours, and its traceback is wanted.
    """
    from opcode import opmap

    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    code = traceback.tb_frame.f_code.co_code
    package = str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0]
    return package in packages and code[traceback.tb_lasti] == opmap["RAISE_VARARGS"]


def _overview(modality: Modality) -> str:
    name, item = modality.name, modality.item
    own = "".join(f"  {verb.usage:<32}  {verb.what}\n" for verb in modality.verbs.values())
    return (
        f"usage: {name} VERB ...\n\n"
        f"  train TRAIN DEV --run DIR         learn from transcribed {item}s; continue with --resume\n"
        f"  evaluate MODEL DATA               measure error rates on transcribed {item}s; --report out.html\n"
        f"  transcribe FILE... --model MODEL  write the text of {modality.source}s to stdout or to files\n"
        f"  align MODEL DATA                  find where the words of transcribed {item}s are\n"
        f"  export MODEL OUT.onnx             write a model that runs without torch, and faster; --int8\n"
        f"  shard DATA -o DIR                 write transcribed {item}s to tars, for training on many\n"
        f"  lm train TEXT... -o LM            learn a language model of n-grams; --recurrent --run DIR\n"
        f"  lm evaluate LM TEXT...            measure bits and perplexity of a text\n"
        f"  lm sample LM                      draw texts from a recurrent language model\n"
        f"  serve                             answer requests over HTTP\n{own}\n"
        f"`{name} VERB --help` lists the options of a verb. Transcripts go to stdout, all else to stderr.\n"
        f"`{name} --debug VERB ...` shows where in the program an error arose."
    )
