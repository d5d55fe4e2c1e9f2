"""Invisible text of a PDF, such as another program has put under a scan, removed.

Text is invisible in rendering mode 3, "neither fill nor stroke" (ISO 32000-1, 9.3.6). The mode is part of the
graphics state: q keeps it and Q brings it back, and a form that is drawn begins with that of its caller.
"""

from collections.abc import Iterator, Sequence
from typing import Any

INVISIBLE = 3
"""the rendering mode of text that is not painted"""
SHOWING = {"Tj", "TJ", "'", '"'}
"""operators that show text"""
DEEPEST = 20
"""how many forms may lie within one another; a form that draws itself is no valid PDF"""


def remove_invisible_text(pdf: Any, page: Any) -> None:
    """Remove the text of a page that is not painted, also within the forms that it draws.

    A form is copied before it is changed, since other pages may draw it too.

    Args:
        pdf: the pikepdf.Pdf of the page.
        page: a pikepdf.Page.
    """
    import pikepdf

    resources = page.resources
    kept, forms, changed = _visible(pdf, page, resources, 0, 0)
    if changed:
        page.obj.Contents = pdf.make_stream(pikepdf.unparse_content_stream(kept))
        page.obj.Resources = _with_forms(resources, forms)


def _visible(
    pdf: Any, content: Any, resources: Any, mode: int, depth: int
) -> tuple[list[Any], dict[str, Any], bool]:
    """Return the instructions of a page or form without those of invisible text.

    Args:
        pdf: the pikepdf.Pdf.
        content: a pikepdf.Page, or the stream of a form.
        resources: its resources.
        mode: the rendering mode in which it begins.
        depth: how many forms it lies in.

    Returns:
        The instructions; forms without invisible text, by the name under which they are drawn; and whether
        anything was removed.
    """
    import pikepdf

    kept, forms, changed, modes = list[Any](), dict[str, Any](), False, list[int]()
    for instruction in pikepdf.parse_content_stream(content):
        operands, name = list(instruction.operands), str(instruction.operator)
        if name == "q":
            modes.append(mode)
        elif name == "Q" and modes:
            mode = modes.pop()
        elif name == "Tr" and operands:
            mode = INVISIBLE if operands[0] == INVISIBLE else 0
        if name in SHOWING and mode == INVISIBLE:
            kept.extend(_moves(operands, name))
            changed = True
        elif (
            name == "Do"
            and (form := _form(resources, operands))
            and (new := _stripped(pdf, form, resources, mode, depth))
        ):
            alias = f"{operands[0]}-{mode}-visible"
            forms[alias] = new
            kept.append(([pikepdf.Name(alias)], instruction.operator))
            changed = True
        else:
            kept.append(instruction)
    return kept, forms, changed


def _form(resources: Any, operands: Sequence[Any]) -> Any | None:
    """Return the form that an operator draws; None for an image, or for what is missing."""
    found = resources.get("/XObject", {}).get(str(operands[0]))
    return found if found is not None and found.get("/Subtype") == "/Form" else None


def _stripped(pdf: Any, form: Any, outer: Any, mode: int, depth: int) -> Any | None:
    """Return a copy of a form without its invisible text, or None if it has none."""
    import pikepdf

    if depth == DEEPEST:
        return None
    resources = form.get("/Resources", outer)
    kept, forms, changed = _visible(pdf, form, resources, mode, depth + 1)
    if not changed:
        return None
    copy = pdf.make_stream(pikepdf.unparse_content_stream(kept))
    for key, value in form.stream_dict.items():
        if key not in ("/Length", "/Filter", "/DecodeParms"):
            copy[key] = value
    copy.Resources = _with_forms(resources, forms)
    return copy


def _with_forms(resources: Any, forms: dict[str, Any]) -> Any:
    """Return a copy of resources with more forms."""
    import pikepdf

    copy = pikepdf.Dictionary(resources)
    known = pikepdf.Dictionary(resources.get("/XObject", pikepdf.Dictionary()))
    for name, form in forms.items():
        known[name] = form
    copy.XObject = known
    return copy


def _moves(operands: Sequence[Any], name: str) -> Iterator[Any]:
    """Yield what an operator that shows text does besides: ' and " begin a line, " sets the spacing."""
    import pikepdf

    if name == '"':
        yield [operands[0]], pikepdf.Operator("Tw")
        yield [operands[1]], pikepdf.Operator("Tc")
    if name in ("'", '"'):
        yield [], pikepdf.Operator("T*")
