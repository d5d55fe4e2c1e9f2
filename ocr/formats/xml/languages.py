"""Names of languages as PAGE has them, by the codes of ISO 639."""

from functools import cache

OTHER = "other"
TABLE = """
af afr Afrikaans|ar ara Arabic|hy hye Armenian|eu eus Basque|be bel Belarusian|bn ben Bengali|
bs bos Bosnian|br bre Breton|bg bul Bulgarian|ca cat Catalan|zh zho Chinese|co cos Corsican|hr hrv Croatian|
cs ces Czech|da dan Danish|nl nld Dutch|en eng English|eo epo Esperanto|et est Estonian|fo fao Faroese|
fi fin Finnish|fr fra French|gd gla Gaelic|gl glg Galician|ka kat Georgian|de deu German|el ell Greek|
gu guj Gujarati|he heb Hebrew|hi hin Hindi|hu hun Hungarian|is isl Icelandic|id ind Indonesian|ga gle Irish|
it ita Italian|ja jpn Japanese|kn kan Kannada|kk kaz Kazakh|km khm Khmer|ko kor Korean|ku kur Kurdish|
lo lao Lao|la lat Latin|lv lav Latvian|lt lit Lithuanian|lb ltz Luxembourgish|mk mkd Macedonian|
ms msa Malay|ml mal Malayalam|mt mlt Maltese|mr mar Marathi|mn mon Mongolian|ne nep Nepali|no nor Norwegian|
nb nob Norwegian Bokmål|nn nno Norwegian Nynorsk|oc oci Occitan|cu chu Old Church Slavonic|ps pus Pashto|
fa fas Persian|pl pol Polish|pt por Portuguese|pa pan Punjabi|ro ron Romanian|rm roh Romansh|ru rus Russian|
sa san Sanskrit|sc srd Sardinian|sr srp Serbian|sd snd Sindhi|si sin Sinhala|sk slk Slovak|sl slv Slovene|
es spa Spanish|sw swa Swahili|sv swe Swedish|tl tgl Tagalog|ta tam Tamil|tt tat Tatar|te tel Telugu|
th tha Thai|bo bod Tibetan|tr tur Turkish|ug uig Uighur|uk ukr Ukrainian|ur urd Urdu|uz uzb Uzbek|
vi vie Vietnamese|cy cym Welsh|fy fry Western Frisian|yi yid Yiddish
"""
"""codes of two and of three letters, and names"""


@cache
def names() -> dict[str, str]:
    """Return the names of languages by their codes."""
    rows = [row.split(" ", 2) for row in TABLE.replace("\n", "").split("|")]
    return {code: name for two, three, name in rows for code in (two, three)}


def page_name(language: str) -> str:
    """Return the name of a language in PAGE, "other" if it is not among those above.

    Args:
        language: a code such as "de", "deu" or "de-CH".
    """
    return names().get(language.split("-", 1)[0].lower(), OTHER)
