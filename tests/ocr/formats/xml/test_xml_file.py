"""What XML may not do, and what is said about files that are damaged."""

import pytest

from ocr.formats.xml.xml_file import Names, Notices, parse_xml

BOMB = (
    "<?xml version='1.0'?><!DOCTYPE z [<!ENTITY a 'lol'>"
    + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><PcGts>&i;</PcGts>"
)
REACHES_OUT = "<!DOCTYPE z [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><PcGts>&a;</PcGts>"


@pytest.mark.parametrize("content", [BOMB, REACHES_OUT, "<!DOCTYPE alto SYSTEM 'alto.dtd'><alto/>"])
def test_a_document_type_is_refused_in_one_sentence(tmp_path, content):
    file = tmp_path / "page.xml"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"page\.xml: declares a document type") as caught:
        parse_xml(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"<alto><Layout></alto>", b"<alto>\xff</alto>", b"\x00\x01", b"&a;"]
)
def test_damaged_xml_is_refused_in_one_sentence(tmp_path, content):
    file = tmp_path / "page.xml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"page\.xml: is not well-formed XML") as caught:
        parse_xml(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.xml: cannot be read"):
        parse_xml(tmp_path / "none.xml")


def test_prefixes_are_removed_whatever_they_are(tmp_path):
    file = tmp_path / "page.xml"
    file.write_text('<p:a xmlns:p="urn:x" p:b="1"><p:c/></p:a>')
    root = parse_xml(file)
    assert (root.tag, root.attrib["b"], root[0].tag) == ("a", "1", "c")


def test_each_element_gets_a_name_of_its_own():
    notices = Notices("page.xml")
    names = Names(notices)
    given = [names.name(identity, "line") for identity in ("a", "a", "a-2", None, "line_4", "a")]
    assert len(set(given)) == len(given)
    assert given[0] == "a"
    assert [sentence.count("a") > 0 for sentence in notices] == [True]


def test_a_kind_of_fault_is_one_sentence_that_names_the_first_elements():
    notices = Notices("page.xml")
    for name in "abcdea":
        notices.add("faults", name)
    assert list(notices) == ["page.xml: faults: a, b, c and 2 more"]
