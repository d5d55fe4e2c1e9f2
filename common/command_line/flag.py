"""What a field says about its flag, in the `Annotated` of its type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Flag:
    """Options of a command-line flag that the field's name and type do not give."""

    aliases: tuple[str, ...] = ()
    """other names, such as "-m" """
    help: str | None = None
    """help text that replaces the string after the field; it is formatted with the subject's attributes, as
    in "in {length_unit}" """
    default: str | None = None
    """what the help shows instead of the default value; formatted like `help` """
    positional: bool = False
    """the value is a word without a flag; for a tuple, several words"""
    repeated: bool = False
    """the flag takes one value and can be given several times; the field is a tuple"""
    flat: bool = False
    """the fields of a nested dataclass become flags without a prefix"""
    hidden: bool = False
    """there is no flag; the field keeps its default"""
    needs: str | None = None
    """an attribute of the subject; where that is None, the flag is hidden"""
    kind: Callable[[Any], type] | None = None
    """returns the type for a subject, for a field whose type depends on the subject: a nested dataclass, or
    the choices of a flag"""


Positional = Annotated[T, Flag(positional=True)]
"""a field whose value is a word without a flag"""
Flat = Annotated[T, Flag(flat=True)]
"""a nested dataclass whose fields become flags without a prefix"""
