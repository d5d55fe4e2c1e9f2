"""recipes/core/pairs.py: forms of dates and numbers, listed by hand, and files that share no source."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes" / "core"))

import pairs  # noqa: E402

ENGLISH = {
    0: "zero",
    13: "thirteen",
    40: "forty",
    85: "eighty-five",
    100: "one hundred",
    118: "one hundred and eighteen",
    2006: "two thousand and six",
    1100: "one thousand one hundred",
    21_745: "twenty-one thousand seven hundred and forty-five",
    300_012: "three hundred thousand and twelve",
    999_999: "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
}
GERMAN = {
    0: "null",
    1: "eins",
    17: "siebzehn",
    21: "einundzwanzig",
    30: "dreißig",
    101: "einhunderteins",
    2006: "zweitausendsechs",
    1000: "eintausend",
    101_000: "einhunderteintausend",
    121_976: "einhunderteinundzwanzigtausendneunhundertsechsundsiebzig",
}
FRENCH = {
    0: "zéro",
    17: "dix-sept",
    21: "vingt et un",
    22: "vingt-deux",
    61: "soixante et un",
    70: "soixante-dix",
    71: "soixante et onze",
    77: "soixante-dix-sept",
    80: "quatre-vingts",
    81: "quatre-vingt-un",
    91: "quatre-vingt-onze",
    99: "quatre-vingt-dix-neuf",
    100: "cent",
    101: "cent un",
    200: "deux cents",
    204: "deux cent quatre",
    1921: "mille neuf cent vingt et un",
    80_000: "quatre-vingt mille",
    200_080: "deux cent mille quatre-vingts",
}


@pytest.mark.parametrize(
    ("spell", "listed"),
    [
        (pairs.english_number, ENGLISH),
        (pairs.german_number, GERMAN),
        (pairs.french_number, FRENCH),
    ],
    ids=["English", "German", "French"],
)
def test_numbers_are_spelled_as_listed(spell, listed):
    assert {number: spell(number) for number in listed} == listed


def test_american_numbers_have_no_and():
    assert pairs.english_number(300_112, joined=False) == "three hundred thousand one hundred twelve"


@pytest.mark.parametrize("spell", [pairs.english_number, pairs.german_number, pairs.french_number])
def test_no_two_numbers_are_spelled_alike(spell):
    numbers = [*range(3000), *range(3000, 1_000_000, 271)]
    assert len({spell(number) for number in numbers}) == len(numbers)


def test_dates_have_the_forms_listed():
    day = date(1921, 5, 3)  # a Tuesday
    assert {"the 3rd of May 1921", "the third of May 1921", "May 3, 1921", "3 May 1921"} <= {
        *pairs.english_dates(day)
    }
    assert "Tuesday, May 3, 1921" in pairs.english_dates(day)
    assert {"3. Mai 1921", "03.05.1921", "Dienstag, der dritte Mai 1921"} <= {*pairs.german_dates(day)}
    assert {"le 3 mai 1921", "mardi 3 mai 1921", "le 03/05/1921"} <= {*pairs.french_dates(day)}
    assert "1er mai 1921" in pairs.french_dates(date(1921, 5, 1))


def test_ordinals_are_as_listed():
    english = {1: "1st", 2: "2nd", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 22: "22nd", 23: "23rd"}
    for number, written in english.items():
        assert f"the {written} of May 1900" in pairs.english_dates(date(1900, 5, number))
    words = {4: "fourth", 5: "fifth", 12: "twelfth", 20: "twentieth", 21: "twenty-first", 30: "thirtieth"}
    assert {day: pairs.english_ordinal(day) for day in words} == words
    german = {1: "erste", 7: "siebte", 8: "achte", 19: "neunzehnte", 20: "zwanzigste", 31: "einunddreißigste"}
    assert {day: pairs.german_ordinal(day) for day in german} == german


def test_a_source_has_one_target():
    """No form of a day of four years is a form of another day."""
    meant: dict[str, date] = {}
    for ordinal in range(date(1999, 1, 1).toordinal(), date(2003, 1, 1).toordinal()):
        day = date.fromordinal(ordinal)
        for form in (*pairs.english_dates(day), *pairs.german_dates(day), *pairs.french_dates(day)):
            assert meant.setdefault(form, day) == day


@pytest.mark.parametrize("kind", ["dates", "numbers"])
def test_files_have_the_pairs_wanted_and_no_source_in_common(kind, tmp_path):
    for folder in ("once", "again"):
        command = [sys.executable, ROOT / "recipes/core/pairs.py", kind, tmp_path / folder]
        subprocess.run([*command, "--count", "900", "--dev", "100"], check=True)
    files = {
        name: (tmp_path / "once" / f"{name}.tsv").read_text(encoding="utf-8") for name in ("train", "dev")
    }
    drawn = {name: [line.split("\t") for line in text.splitlines()] for name, text in files.items()}
    assert [len(drawn["train"]), len(drawn["dev"])] == [900, 100]
    sources = [source for rows in drawn.values() for source, _ in rows]
    assert len(set(sources)) == 1000
    assert files["dev"] == (tmp_path / "again" / "dev.tsv").read_text(encoding="utf-8")


def test_more_pairs_than_there_are_is_refused():
    with pytest.raises(ValueError, match="1 to 100000 can be drawn"):
        next(pairs.pairs("dates", 10**6, 1))
