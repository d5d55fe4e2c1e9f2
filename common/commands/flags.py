"""Flags made of the fields of a dataclass: by tyro, save for plain calls, since tyro takes 80 ms to start.

a.png b.png --format json      files, and flags with one value each: read here
--help, --lm a.npz, a mistake  whatever else there is: by tyro, which knows all flags and what to say
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from common.recognition.modality import Modality


@dataclass(frozen=True)
class Flag:
    """What of a field's flag is not said by its name and type; stands in its `Annotated`."""

    aliases: tuple[str, ...] = ()
    """other names, such as "-m" """
    name: str | None = None
    """instead of the field's; "" for a dataclass whose fields are to have no prefix"""
    help: str | None = None
    """instead of the field's docstring"""
    hint: str | None = None
    """instead of the default value, in the help"""
    positional: bool = False
    """no flag, but a word of its own; several, for a tuple"""
    repeated: bool = False
    """given several times, for the items of a tuple"""
    hidden: bool = False
    """there is no such flag here; the field keeps its default"""


def flat(kind: Any) -> Any:
    """Return `kind` such that its fields become flags without a prefix."""
    return Annotated[kind, Flag(name="")]


def budget(modality: Modality) -> Any:
    """Return the type of the flag --batch-budget."""
    what = f"Padded length of one batch, in {modality.length_unit}: lower it if memory is short."
    hint = f"(default: {modality.batch_budget:g})"
    return Annotated[float | None, Flag(help=what, hint=hint)]


def check_budget(batch_budget: float | None) -> None:
    """Raise ValueError for a budget nothing fits into."""
    if batch_budget is not None and not batch_budget > 0:
        raise ValueError(f"--batch-budget is {batch_budget:g}; give a length above 0")


class _Reader(NamedTuple):
    """The field that a flag fills, and what makes its value of a word, or raises ValueError."""

    field: str
    read: Callable[[str], Any]


def parse(kind: Any, arguments: Sequence[str], prog: str) -> Any:
    """Return the `kind`, a dataclass, that `arguments` say.

    Args:
        kind: whose fields are flags; those without a default must be given. Or a union of such, of tyro's
            making, each behind a word of its own.
        arguments: of the command line, behind `prog`.
        prog: how it begins.

    Raises:
        SystemExit: 0 after --help, 2 for what cannot be understood, which is told on standard error.
    """
    plain = read_plain(kind, arguments) if isinstance(kind, type) else None
    if plain is not None:
        return plain
    import tyro

    for one in [kind] if isinstance(kind, type) else [get_args(part)[0] for part in get_args(kind)]:
        _tell_tyro(one)
    markers = (
        tyro.conf.DisallowNone,  # "PATH" instead of "{None}|PATH"; what is left out is None
        tyro.conf.HelptextFromCommentsOff,
        tyro.conf.PositionalMetavarFromFieldName,
    )
    return tyro.cli(kind, prog=prog, args=list(arguments), config=markers)


def read_plain(kind: type, arguments: Sequence[str]) -> Any:
    """Return the `kind` that a plain call says: words for its tuple, in one place, and flags; else None."""
    words, readers = _plain_fields(kind)
    values: dict[str, Any] = {}
    place = 0
    while place < len(arguments):
        run = tuple(takewhile(_is_word, arguments[place:]))
        reader = readers.get(arguments[place])
        if run and words is not None and words not in values:
            values[words] = run
            place += len(run)
        elif reader and place + 1 < len(arguments) and _is_word(arguments[place + 1]):
            try:
                values[reader.field] = reader.read(arguments[place + 1])
            except ValueError:
                return None
            place += 2
        else:
            return None
    return kind(**values) if words in values else None


def _is_word(argument: str) -> bool:
    """Return whether it is no flag; a minus alone is standard input."""
    return argument == "-" or not argument.startswith("-")


def _plain_fields(kind: type) -> tuple[str | None, dict[str, _Reader]]:
    """Return which field takes words, if any, and the readers of the flags that take one value."""
    words, readers = None, {}
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        flag = next((mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Flag)), Flag())
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        read = _reader(bare)
        if flag.positional and bare == tuple[str, ...]:
            words = field.name
        elif read and not flag.positional and not flag.hidden and flag.name is None:
            for name in (f"--{field.name.replace('_', '-')}", *flag.aliases):
                readers[name] = _Reader(field.name, read)
    return words, readers


def _reader(kind: Any) -> Callable[[str], Any] | None:
    """Return what makes a value of this type of a word, None for a type that is left to tyro."""
    of_value = [one for one in get_args(kind) if one is not type(None)]
    if type(None) in get_args(kind) and len(of_value) == 1:
        return _reader(of_value[0])
    if get_origin(kind) is Literal and all(isinstance(choice, str) for choice in of_value):
        return lambda word: of_value[of_value.index(word)]
    return kind if kind in (str, int, float, Path) else None


def _tell_tyro(kind: type) -> None:
    """Put beside each `Flag` of a dataclass, and of those in it, what tyro has for it."""
    import tyro

    conf: Any = tyro.conf
    for name, hint in get_type_hints(kind, include_extras=True).items():
        bare, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if hasattr(bare, "__dataclass_fields__"):
            _tell_tyro(bare)
        if len(marks) == 1 and isinstance(marks[0], Flag):  # with more, it has been told already
            flag = marks[0]
            look = conf.arg(
                name=flag.name, help=flag.help, help_behavior_hint=flag.hint, aliases=flag.aliases or None
            )
            told: Any = Annotated[bare, flag, look]
            if flag.positional:
                told = conf.Positional[told]
            if flag.repeated:
                told = conf.UseAppendAction[told]
            if flag.hidden:
                told = conf.Suppress[told]
            kind.__annotations__[name] = told
