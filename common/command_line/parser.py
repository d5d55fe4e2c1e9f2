"""The parser: words of a command line become a dataclass.

a.png b.png                 words for positional fields; the words of a tuple stand together
--threads 4, --threads=4    a value; underscores are as good as dashes, and no flag can be shortened
-f json, -fjson             the same for a short name
--channels 24 48 96         as many values as the tuple has; for a tuple of any length, up to the next flag
--resume, --no-resume       a switch
--lexicon -                 a single - and negative numbers are values; other words that begin with - are not
-- -a.png                   all that follows is words
"""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from common.command_line.options import Option, Section, dashed, read_section

T = TypeVar("T")

HELP_FLAGS = ("-h", "--help")


class UsageError(ValueError):
    """A command line that cannot be understood, or that contradicts itself; the message is for the user."""


def parse(
    kind: type[T], arguments: Sequence[str] | None = None, prog: str | None = None, subject: object = None
) -> T:
    """Return the dataclass that a command line describes.

    Args:
        kind: the dataclass. Fields without a default must be given.
        arguments: the words after `prog`; None for those of this process.
        prog: how the command line begins.
        subject: what `Flag.kind`, `Flag.needs` and the texts of a `Flag` ask, such as a modality.

    Raises:
        SystemExit: 0 after --help, 2 for a command line that cannot be understood. Standard error says why.
        UsageError: the dataclass refuses its values.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    prog = Path(sys.argv[0]).name if prog is None else prog
    section = read_section(kind, subject)
    try:
        values = read_values(section, arguments)
    except UsageError as error:
        fail(prog, str(error))
    if values is None:
        from common.command_line.help import help_page

        print(help_page(section, prog, subject))
        raise SystemExit(0)
    try:
        return _build(section, values)
    except ValueError as error:
        raise UsageError(str(error)) from error


def choose(choices: Mapping[str, str], arguments: Sequence[str], prog: str) -> tuple[str, Sequence[str]]:
    """Return the first word, which names one of several actions, and the words after it.

    Args:
        choices: what each action does, in a line.
        arguments: the words after `prog`.
        prog: how the command line begins.

    Raises:
        SystemExit: 0 after --help, 2 if no action or an unknown one is named.
    """
    if arguments and arguments[0] in choices:
        return arguments[0], arguments[1:]
    if arguments and arguments[0] in HELP_FLAGS:
        width = max(map(len, choices))
        lines = [f"  {name:{width}}  {what}" for name, what in choices.items()]
        print("\n".join([f"usage: {prog} {{{','.join(choices)}}} ...", "", *lines]))
        raise SystemExit(0)
    wanted = f"choose one of {', '.join(choices)}"
    fail(prog, f"there is no {arguments[0]!r}; {wanted}" if arguments else wanted)


def fail(prog: str, sentence: str) -> NoReturn:
    """Say on standard error what cannot be understood, and exit with status 2."""
    print(f"{prog}: {sentence}\n`{prog} --help` lists what can be given.", file=sys.stderr)
    raise SystemExit(2)


def read_values(section: Section, arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return the values that were given, by the names of their options; None if help was asked for.

    Raises:
        UsageError: the command line cannot be understood.
    """
    every = list(section.all_options())
    waiting = [option for option in every if option.flag.positional]  # in the order of their words
    switches = {option.negation: option for option in every if option.is_switch}
    flags = {flag: option for option in every if not option.flag.positional for flag in option.flags}
    values: dict[str, Any] = {}
    rest = deque(arguments)
    while rest:
        if rest[0] in HELP_FLAGS:
            return None
        if rest[0] == "--" or _is_word(rest[0]):
            words = _take_words(rest)
            if rest and rest[0] == "--":
                words += [*rest][1:]
                rest.clear()
            _fill(waiting, deque(words), values)
        else:
            flag, given = _split(rest.popleft())
            if flag in switches and given is None:
                values[switches[flag].name] = False
            elif flag in flags:
                _read_flag(flags[flag], given, rest, values)
            else:
                raise UsageError(f"there is no flag {flag}{_suggestion(flag, [*flags, *switches])}")
    missing = [option.shown for option in every if option.is_required and option.name not in values]
    if missing:
        raise UsageError(f"missing: {', '.join(missing)}")
    return values


def _is_word(argument: str) -> bool:
    """Return whether it is no flag: a single minus stands for standard input, and numbers may be negative."""
    if argument == "-" or not argument.startswith("-"):
        return True
    try:
        return float(argument) is not None
    except ValueError:
        return False


def _take_words(rest: deque[str], count: int | None = None) -> list[str]:
    """Take words off the front, up to the next flag, and at most `count`."""
    words: list[str] = []
    while rest and len(words) != count and _is_word(rest[0]):
        words.append(rest.popleft())
    return words


def _split(argument: str) -> tuple[str, str | None]:
    """Return the flag in "--flag", "--flag=value", "-f" or "-fvalue", and the value if there is one."""
    if argument.startswith("--"):
        flag, equals, value = argument.partition("=")
        return dashed(flag), value if equals else None
    return argument[:2], argument[2:].removeprefix("=") if argument[2:] else None


def _fill(waiting: list[Option], words: deque[str], values: dict[str, Any]) -> None:
    """Give words that stand together to the positional arguments that wait for theirs."""
    while words:
        if not waiting:
            raise UsageError(f"{words[0]!r} was not expected: no flag or argument takes it")
        option = waiting.pop(0)
        taken = [words.popleft() for _ in range(len(words) if option.value.is_any_length else 1)]
        values[option.name] = _read(option, taken)


def _read_flag(option: Option, given: str | None, rest: deque[str], values: dict[str, Any]) -> None:
    """Put the value of a flag into `values`: what is `given` after "=", or the words that follow."""
    if option.is_switch:
        if given is not None:
            raise UsageError(f"{option.shown} takes no value; give {option.shown} or {option.negation}")
        values[option.name] = True
        return
    count = None if option.value.is_any_length else len(option.value.words)
    value = _read(option, [given] if given is not None else _take_words(rest, count))
    values[option.name] = (*values.get(option.name, ()), *value) if option.flag.repeated else value


def _read(option: Option, words: Sequence[str]) -> Any:
    """Return the value that words make."""
    kinds = option.value.words * len(words) if option.value.is_any_length else option.value.words
    if len(words) != len(kinds):
        wanted = " ".join(kind.name for kind in kinds)
        raise UsageError(f"{option.shown} wants {wanted}, but {' '.join(words) or 'nothing'} follows it")
    values = []
    for kind, word in zip(kinds, words, strict=True):
        try:
            values.append(kind.read(word))
        except ValueError:
            raise UsageError(f"{option.shown} is {word!r}; give {kind.wanted}") from None
    return tuple(values) if option.value.is_tuple else values[0]


def _suggestion(flag: str, flags: Sequence[str]) -> str:
    """Return a hint at the flags that may have been meant, or nothing."""
    from difflib import get_close_matches

    name = flag.strip("-")
    alike = [one for one in flags if one.startswith(flag) or one.endswith(f".{name}")]
    alike = alike or get_close_matches(flag, flags)
    return f"; did you mean {' or '.join(alike)}?" if alike else ""


def _build(section: Section, values: Mapping[str, Any]) -> Any:
    """Return the dataclass of a section; fields that were not given have their defaults."""
    given = {
        option.field: values.get(option.name, ())
        for option in section.options
        if option.name in values or (option.default is MISSING and option.value.is_any_length)
    }
    nested = {name: _build(inner, values) for name, inner in section.sections.items()}
    return section.kind(**given, **nested)
