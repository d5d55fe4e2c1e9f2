"""The files of a page: who gets them, with which headers, and that a browser keeps them."""

from html.parser import HTMLParser

import pytest
from served import client_of

from asr.modality import ASR
from common.recognition.modality import Modality
from common.serving.page.routes import shared_folder
from ocr.modality import OCR

KEY = "a key of some length"
PAGES = [modality for modality in (ASR, OCR) if modality.page]


class Links(HTMLParser):
    """Collects the addresses that a page of HTML names, and the scripts and styles within it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses, self.within = list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [found[name] or "" for name in ("src", "href") if name in found]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.within.append(tag)
        self.within += [name for name in found if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("modality", PAGES, ids=lambda modality: modality.name)
def test_the_page_and_its_files_come_without_a_key_and_nothing_else_does(modality: Modality):
    with client_of(modality.name, keys=frozenset({KEY.encode()})) as (client, _):
        page = client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        links = Links(page.text)
        assert "/static/base.css" in links.addresses
        assert not links.within  # the policy forbids it
        for address in links.addresses:
            assert client.get(address).status_code == 200, address
        for address in ("/v1/models", "/static/routes.py", "/static/../routes.py", "/static/", "/index.html"):
            assert client.get(address).status_code == 401, address


def test_nothing_within_the_page_may_come_from_elsewhere():
    with client_of("asr") as (client, _):
        for address in ("/", "/static/request.js", "/static/base.css"):
            headers = client.get(address).headers
            policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
            assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
            assert not any("unsafe" in one or "*" in one or "http" in one for one in policy.values())
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


def test_a_file_is_sent_once():
    with client_of("asr") as (client, _):
        first = client.get("/static/base.css")
        assert first.headers.get_list("cache-control") == ["no-cache"]
        again = client.get("/static/base.css", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = client.get("/static/dom.js", headers={"if-none-match": first.headers["etag"]})
        assert other.status_code == 200


def test_no_file_of_a_page_names_an_address_elsewhere():
    for folder in (shared_folder(), *(modality.page() for modality in PAGES if modality.page)):
        for path in folder.iterdir():
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text, path
