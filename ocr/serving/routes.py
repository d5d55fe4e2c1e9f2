"""The addresses of `ocr serve`."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from io import BytesIO

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from common.data.signal import Source
from common.files.pipe import PipeContent
from common.serving.answering import unless_gone
from common.serving.errors import refused
from common.serving.service import Service, Work
from common.text.document import Document
from ocr.configuration import FormatConfig
from ocr.formats.names import writer
from ocr.formats.pdf import PdfBook
from ocr.serving import responses
from ocr.serving.corrections import corrected_documents
from ocr.serving.pages import NAME, pages_of
from ocr.serving.parameters import (
    MOST_PICTURES,
    ONE_PAGE,
    Parameters,
    corrected_of,
    document_of,
    parameters_of,
    parameters_of_json,
)
from ocr.serving.pictures import picture_address

MEDIA_TYPES = {"alto": "application/xml", "page": "application/xml", "hocr": "application/xhtml+xml"}


def routes(service: Service) -> list[Route]:
    """Return the addresses of a service."""
    return [
        Route("/v1/ocr", partial(read_json, service), methods=["POST"]),
        Route("/v1/ocr/transcriptions", partial(read_form, service), methods=["POST"]),
        Route("/v1/ocr/corrections", partial(write, service), methods=["POST"]),
    ]


async def read_json(service: Service, request: Request) -> Response:
    """Answer a request after Mistral's interface."""
    service.admit()
    with service.uploads.holding() as held:
        body = await held.json(request)
        asked = parameters_of_json(body, service.name)
        async with service.work() as work:
            return await unless_gone(request, _mistral(service, work, body, asked))


async def read_form(service: Service, request: Request) -> Response:
    """Read the file of a form."""
    service.admit()
    with service.uploads.holding() as held:
        form = await held.form(request)
        asked = parameters_of(form.fields, service.name)
        if form.file is None:
            raise refused("file", "file: is missing; send the image or PDF as `file`", "missing_parameter")
        async with service.work() as work:
            return await unless_gone(request, _formatted(service, work, asked, form.file, form.file_name))


async def write(service: Service, request: Request) -> Response:
    """Write pages that were answered as json, and corrected since, in another format."""
    service.admit()
    with service.uploads.holding() as held:
        return await unless_gone(request, _corrected(service, await held.json(request)))


async def _mistral(service: Service, work: Work, body: dict[str, object], asked: Parameters) -> Response:
    content = await service.read(document_of, body, service.config.max_upload_bytes)
    pages = await service.read(pages_of, content, asked.pages)
    found = await _documents(work, pages.sources)
    return JSONResponse(responses.to_mistral(found, pages.numbers, service.name, len(content)))


async def _formatted(
    service: Service, work: Work, asked: Parameters, content: bytes, file_name: str
) -> Response:
    """Return the answer in the format that is asked for."""
    pages, form = await service.read(pages_of, content, asked.pages), asked.response_format
    if form in ONE_PAGE and len(pages.sources) > 1:
        message = f"response_format: {form} holds one page, {pages.total} are there; name one with pages=0"
        raise refused("response_format", message)
    if asked.pictures and len(pages.sources) > MOST_PICTURES:
        message = f"include: pictures of {MOST_PICTURES} pages are answered at a time; name some with pages"
        raise refused("include", message)
    found = await _documents(work, pages.sources)
    if form == "json":
        wanted = pages.sources if asked.pictures else []
        pictures = [await service.read(picture_address, source) for source in wanted]
        return JSONResponse(responses.to_json(found, pages, service.name, pictures))
    return await _written(service, found, form, file_name, content)


async def _written(
    service: Service, documents: Sequence[Document], form: str, file_name: str, content: bytes
) -> Response:
    """Return pages in another format than json; only pdf needs the `content` of the file."""
    if form == "text":
        return PlainTextResponse(responses.to_text(documents))
    if form == "pdf":
        return Response(await service.read(_pdf, content, documents), media_type="application/pdf")
    (document,) = documents
    if document.page is not None:
        document = replace(document, page=replace(document.page, image=file_name))
    written = await service.read(writer(form, FormatConfig(), ()), replace(document, source=file_name))
    return Response(written, media_type=MEDIA_TYPES[form])


async def _corrected(service: Service, body: dict[str, object]) -> Response:
    """Return corrected pages in a format."""
    asked, content = corrected_of(body), b""
    if asked.response_format == "pdf":
        content = await service.read(document_of, body, service.config.max_upload_bytes)
    found = await service.read(corrected_documents, asked, content)
    return await _written(service, found, asked.response_format, asked.file_name, content)


async def _documents(work: Work, pages: Sequence[Source]) -> list[Document]:
    async with aclosing(work.documents(pages)) as documents:
        return [document async for document in documents]


def _pdf(content: bytes, documents: Sequence[Document]) -> bytes:
    """Return the file as a PDF that can be searched, with the pages that were read."""
    book, made = PdfBook(PipeContent(content, NAME)), BytesIO()
    for document in documents:
        book.expect(document.source)
    for document in documents:
        book.add(document)
    book.write(made)
    return made.getvalue()
