"""The options of a command line, read from the fields of a dataclass."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from common.command_line.flag import Flag


class Word(NamedTuple):
    """How one word of the command line becomes a value."""

    read: Callable[[str], Any]
    """raises ValueError for a word that does not fit"""
    name: str
    """what the help calls it: "INT", or the choices as in "{txt,json}" """
    wanted: str
    """what an error message asks for: "a whole number" """


def path_on_disk(word: str) -> Path:
    """Return a path; ValueError for an address: Path would make the path s3:/bucket of s3://bucket."""
    if re.match("[a-z][a-z0-9+.-]*://", word):
        raise ValueError(word)
    return Path(word)


WORDS: Mapping[Any, Word] = {
    str: Word(str, "STR", "a text"),
    int: Word(int, "INT", "a whole number"),
    float: Word(float, "FLOAT", "a number"),
    Path: Word(path_on_disk, "PATH", "a path on disk"),
}


class Value(NamedTuple):
    """How the words after a flag become the value of its field."""

    words: tuple[Word, ...]
    """() for a switch: --name or --no-name"""
    is_tuple: bool = False
    is_any_length: bool = False
    """the value is a tuple of any length; each of its items is the one word of `words`"""


@dataclass(frozen=True)
class Option:
    """One flag or one positional argument."""

    field: str
    """name of the field"""
    name: str
    """the same with the names of the dataclasses around it: "augment.strength" """
    flag: Flag
    value: Value
    default: Any
    """MISSING where there is none"""

    @property
    def is_required(self) -> bool:
        """Whether a value must be given. A tuple of any length may be empty."""
        return self.default is MISSING and not self.value.is_any_length

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value."""
        return not self.value.words

    @property
    def flags(self) -> tuple[str, ...]:
        """The flag in all its spellings: "-m", "--model"."""
        return (*self.flag.aliases, f"--{dashed(self.name)}")

    @property
    def negation(self) -> str:
        """The flag that sets a switch to False."""
        prefix, dot, name = self.name.rpartition(".")
        return f"--{dashed(prefix)}{dot}no-{dashed(name)}"

    @property
    def shown(self) -> str:
        """How messages call it."""
        return self.field.upper() if self.flag.positional else f"--{dashed(self.name)}"


@dataclass(frozen=True)
class Section:
    """A dataclass, its options, and the dataclasses in it, by the names of their fields."""

    kind: type
    options: tuple[Option, ...]
    sections: Mapping[str, "Section"]

    def all_options(self) -> Iterator[Option]:
        """Yield its own options, then those of the sections in it."""
        yield from self.options
        for section in self.sections.values():
            yield from section.all_options()


def dashed(name: str) -> str:
    """Return a name as it is written in flags."""
    return name.replace("_", "-")


def read_section(kind: Any, subject: object = None, prefix: str = "") -> Section:
    """Return the options of a dataclass.

    Args:
        kind: the dataclass.
        subject: what `Flag.kind` and `Flag.needs` ask.
        prefix: what comes before the names of its fields: "augment.", or nothing.
    """
    hints = get_type_hints(kind, include_extras=True)
    options, sections = [], {}
    for field in fields(kind):
        flag, bare = _split(hints[field.name])
        if flag.hidden or (flag.needs and getattr(subject, flag.needs) is None):
            continue
        nested = flag.kind(subject) if flag.kind else bare
        if is_dataclass(nested):
            inner = prefix if flag.flat else f"{prefix}{field.name}."
            sections[field.name] = read_section(nested, subject, inner)
        else:
            value = _value(nested, f"{kind.__name__}.{field.name}")
            if flag.repeated:
                value = value._replace(is_any_length=False)
            options.append(Option(field.name, f"{prefix}{field.name}", flag, value, _default(field)))
    return Section(kind, tuple(options), sections)


def _split(hint: Any) -> tuple[Flag, Any]:
    """Return the Flag in a type, or a plain one, and the type without `Annotated`."""
    if get_origin(hint) is not Annotated:
        return Flag(), hint
    bare, *marks = get_args(hint)
    return next((mark for mark in marks if isinstance(mark, Flag)), Flag()), bare


def _default(field: "Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _value(kind: Any, name: str) -> Value:
    """Return how words become a value of the type `kind`; `name` is the field's, for the error."""
    if kind is bool:
        return Value(())
    arguments = get_args(kind)
    if NoneType in arguments and len(arguments) == 2:
        return _value(next(one for one in arguments if one is not NoneType), name)
    if get_origin(kind) is tuple:
        is_any_length = arguments[-1] is Ellipsis
        kinds = arguments[:1] if is_any_length else arguments
        return Value(tuple(_word(one, name) for one in kinds), True, is_any_length)
    return Value((_word(kind, name),))


def _word(kind: Any, name: str) -> Word:
    if get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in get_args(kind)}

        def choose(word: str) -> Any:
            if word not in choices:
                raise ValueError(word)
            return choices[word]

        return Word(choose, f"{{{','.join(choices)}}}", f"one of {', '.join(choices)}")
    assert kind in WORDS, f"{name}: no flag can be made of the type {kind}"
    return WORDS[kind]
