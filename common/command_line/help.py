"""The help page of a dataclass: its flags by section, with the strings after its fields as texts."""

import ast
import inspect
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING
from itertools import pairwise
from typing import Any

from common.command_line.options import Option, Section

WIDTH = 100
"""columns of a page at most"""
TEXT_COLUMN = 26
"""where the text of a flag begins"""


def help_page(section: Section, prog: str, subject: object = None) -> str:
    """Return the help page.

    Args:
        section: the dataclass and its options.
        prog: how the command line begins.
        subject: its attributes are filled into the texts of a `Flag`.
    """
    positional = [option for option in section.all_options() if option.flag.positional]
    words = [_look(option) if option.is_required else f"[{_look(option)}]" for option in positional]
    blocks = [" ".join(["usage:", prog, "[OPTIONS]", *words]), _filled(section.kind.__doc__ or "")]
    if positional:
        blocks.append(_entries(section, subject, positional=True))
    own = [_entry("-h, --help", "Show this page and exit."), _entries(section, subject)]
    blocks.append("\n".join(["options:", *own]))
    blocks += _section_blocks(section, subject)
    return "\n\n".join(block.rstrip() for block in blocks if block)


def field_texts(kind: type) -> dict[str, str]:
    """Return the strings after the fields of a dataclass and of its base classes, from the source."""
    texts = {}
    for base in reversed(kind.__mro__[:-1]):  # without `object`
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for statement, following in pairwise(tree.body):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=text)):
                    texts[name] = str(text)
    return texts


def _section_blocks(section: Section, subject: object) -> Iterator[str]:
    """Yield the options of the dataclasses in a section, each under the first sentence about it."""
    for inner in section.sections.values():
        if inner.options:
            title = inspect.getdoc(inner.kind) or inner.kind.__name__
            yield f"{_filled(title.partition(chr(10) * 2)[0].rstrip('.'))}:\n{_entries(inner, subject)}"
        yield from _section_blocks(inner, subject)


def _entries(section: Section, subject: object, positional: bool = False) -> str:
    """Return the lines of a section's own options, flags or positional arguments."""
    texts = field_texts(section.kind)
    chosen = [option for option in section.options if option.flag.positional is positional]
    return "\n".join(_entry(_look(option), _text(option, texts, subject)) for option in chosen)


def _entry(look: str, text: str) -> str:
    """Return the lines of one option: how it is given, and beside or below that what it does."""
    lines = textwrap.wrap(text, _width() - TEXT_COLUMN, break_long_words=False, break_on_hyphens=False)
    beside = len(look) + 4 <= TEXT_COLUMN
    first = f"  {look}"
    if beside and lines:
        first = f"{first:{TEXT_COLUMN}}{lines.pop(0)}"
    return "\n".join([first, *(f"{'':{TEXT_COLUMN}}{line}" for line in lines)])


def _look(option: Option) -> str:
    """Return how an option is given: "-f {txt,json}, --format {txt,json}"."""
    words = " ".join(word.name for word in option.value.words)
    if option.flag.positional:
        name = words if words.startswith("{") else option.field.upper()
        return f"{name} ..." if option.value.is_any_length else name
    if option.is_switch:
        return ", ".join([*option.flags, option.negation])
    value = f"[{words} ...]" if option.value.is_any_length else words
    return ", ".join(f"{flag} {value}" for flag in option.flags)


class _Facts:
    """The attributes of a subject by name, for `str.format_map`."""

    def __init__(self, subject: object) -> None:
        self.subject = subject

    def __getitem__(self, name: str) -> Any:
        return getattr(self.subject, name)


def _text(option: Option, texts: dict[str, str], subject: object) -> str:
    """Return what an option does, and its default."""
    facts, flag = _Facts(subject), option.flag
    text = flag.help.format_map(facts) if flag.help is not None else texts.get(option.field, "")
    default = flag.default.format_map(facts) if flag.default is not None else _default(option)
    note = "(required)" if option.is_required else f"(default: {default})" if default else ""
    return " ".join(f"{text} {note}".split())


def _default(option: Option) -> str:
    """Return the default value as the command line has it, or nothing if no value has the same effect."""
    default = option.default
    if default is MISSING or default is None or default == ():
        return ""
    if option.is_switch:
        return option.flags[-1] if default else option.negation
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return str(default) or "''"


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _width())


def _width() -> int:
    return min(WIDTH, shutil.get_terminal_size().columns)
