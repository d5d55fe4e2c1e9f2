"""What a request for the text of pages may ask for; what cannot be honoured is refused, never ignored."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.serving.errors import RequestError, refused
from common.serving.uploads import bare_name, too_large
from ocr.serving.pages import page_numbers

FORMATS = ("json", "text", "alto", "page", "hocr", "pdf")
ONE_PAGE = ("alto", "page", "hocr")
"""formats of which a file holds one page"""
KNOWN = {"model", "response_format", "pages", "include"}
MOST_PICTURES = 8
"""pages of a request whose pictures are answered"""
OTHER_NAMES = ("mistral-ocr",)
"""beginnings of the names of Mistral's models, under which programs ask that were written for them"""
WITHOUT_EFFECT = {"id", "image_limit", "image_min_size"}
"""parameters of Mistral's interface that are about pictures in a page, of which none are cut out, or about
nothing that changes the text"""
REFUSED = {
    "include_image_base64": "pictures are not cut out of pages",
    "bbox_annotation_format": "pages are not annotated",
    "document_annotation_format": "pages are not annotated",
    "document_annotation_prompt": "pages are not annotated",
    "table_format": "tables are not recognised",
    "extract_header": "headers are not recognised",
    "extract_footer": "footers are not recognised",
}
"""parameters of Mistral's interface that cannot be honoured, and why"""


@dataclass(frozen=True)
class Parameters:
    """What is asked for."""

    response_format: str = "json"
    pages: list[int] | None = None
    """numbers counted from 0; None for all"""
    pictures: bool = False
    """add the pictures of the pages"""


@dataclass(frozen=True)
class Corrected:
    """Pages that were corrected, and what is to be made of them."""

    response_format: str
    file_name: str
    """what the file is called"""
    pages: list[Any]
    """as the format json has them"""


def parameters_of(fields: Mapping[str, Sequence[str]], name: str) -> Parameters:
    """Return what the fields of a form ask for.

    Args:
        fields: the values of each field.
        name: what the model is called.

    Raises:
        RequestError: for something that cannot be honoured.
    """
    for field, values in fields.items():
        if field not in KNOWN:
            raise refused(field, f"{field}: is not supported here; leave it out", "unknown_parameter")
        if len(values) > 1 and field != "pages":
            raise refused(field, f"{field}: is given {len(values)} times; give it once")
    check_model(fields.get("model", [""])[0], name)
    form, include = fields.get("response_format", ["json"])[0], fields.get("include", [])
    _check_format(form, FORMATS)
    if include and (include != ["picture"] or form != "json"):
        raise refused("include", "include: picture is known, once, with response_format json; leave it out")
    pages = fields.get("pages")
    return Parameters(form, page_numbers(None if pages is None else ",".join(pages)), bool(include))


def _check_format(form: str, known: Sequence[str]) -> None:
    if form not in known:
        raise refused("response_format", f"response_format: {form!r} is none of {', '.join(known)}")


def corrected_of(body: Mapping[str, Any]) -> Corrected:
    """Return the pages that a request brings, and the format that it wants.

    Raises:
        RequestError: they are missing, or too many for the format.
    """
    form, name, pages = body.get("response_format"), body.get("file_name", ""), body.get("pages")
    for key in body:
        if key not in {"response_format", "file_name", "pages", "document"}:
            raise refused(key, f"{key}: is not supported here; leave it out", "unknown_parameter")
    if not isinstance(form, str):
        raise refused("response_format", "response_format: is missing", "missing_parameter")
    _check_format(form, FORMATS[1:])
    if not isinstance(name, str):
        raise refused("file_name", "file_name: is no text")
    if not isinstance(pages, list) or not pages:
        raise refused("pages", "pages: is missing; give a list of pages as the format json has them")
    if form in ONE_PAGE and len(pages) > 1:
        raise refused("response_format", f"response_format: {form} holds one page, {len(pages)} came")
    return Corrected(form, bare_name(name), pages)


def check_model(asked: Any, name: str) -> None:
    """Raise RequestError if another model is asked for; the names of Mistral's stand for the one here."""
    if asked and asked != name and not (isinstance(asked, str) and asked.startswith(OTHER_NAMES)):
        message = f"model: there is no {asked!r} here; the one that is served is {name!r}"
        raise RequestError(404, message, "model", "model_not_found")


def parameters_of_json(body: Mapping[str, Any], name: str) -> Parameters:
    """Return what the body of a request after Mistral's interface asks for; the errors of `parameters_of`."""
    for key, value in body.items():
        if key in REFUSED:
            if value:
                raise refused(key, f"{key}: {REFUSED[key]}; leave it out")
        elif key not in {"model", "document", "pages", *WITHOUT_EFFECT}:
            raise refused(key, f"{key}: is not supported here; leave it out", "unknown_parameter")
    check_model(body.get("model"), name)
    return Parameters("json", page_numbers(body.get("pages")))


def document_of(body: Mapping[str, Any], most_bytes: int) -> bytes:
    """Return the content of the document that a request after Mistral's interface has.

    Raises:
        RequestError: it has none, or names an address: nothing is ever fetched.
    """
    document = body.get("document")
    if not isinstance(document, Mapping):
        raise refused("document", "document: is missing; give an object with document_url or image_url")
    kind = document.get("type", next((key for key in document if key.endswith("_url")), ""))
    url = document.get(kind) if kind in ("document_url", "image_url") else None
    if isinstance(url, Mapping):
        url = url.get("url")
    if not isinstance(url, str):
        raise refused("document", "document: has neither a document_url nor an image_url")
    if url[:5].lower() != "data:":
        message = "document: no address is ever fetched; give the content, as data:application/pdf;base64,..."
        raise refused("document", message, "address_not_fetched")
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise refused("document", "document: is no data: address in base64")
    if len(data) > most_bytes * 4 // 3 + 4:
        raise too_large(most_bytes)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise refused("document", "document: its base64 is damaged") from None
