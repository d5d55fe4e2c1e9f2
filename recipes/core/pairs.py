"""Write random pairs to translate: dates in words and ISO 8601, or numbers in words and digits.

    python recipes/core/pairs.py dates FOLDER --count 20000 --dev 1000 --seed 1
    python recipes/core/pairs.py numbers FOLDER

The words are English, German and French. The lines of FOLDER/train.tsv and FOLDER/dev.tsv are source, tab,
target; the two files share no source. The order of a target differs from that of its source ("the 3rd of May
1921" is 1921-05-03), or no part of the source corresponds to a digit ("two thousand and six" is 2006).
"""

import argparse
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

MOST_PAIRS = 100_000
"""both kinds have many more pairs, so that enough different ones are found"""
FIRST_DAY, LAST_DAY = date(1600, 1, 1), date(2099, 12, 31)
DIGITS = 6
"""largest number of digits"""

ENGLISH_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
GERMAN_MONTHS = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni"),
    *("Juli", "August", "September", "Oktober", "November", "Dezember"),
)
FRENCH_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
ENGLISH_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GERMAN_WEEKDAYS = ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag")
FRENCH_WEEKDAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")

ENGLISH_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
    *("sixteen", "seventeen", "eighteen", "nineteen"),
)
ENGLISH_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
GERMAN_SMALL = (
    *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    *("zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn"),
    *("sechzehn", "siebzehn", "achtzehn", "neunzehn"),
)
GERMAN_TENS = (
    *("", "", "zwanzig", "dreißig", "vierzig"),
    *("fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"),
)
FRENCH_SMALL = (
    *("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"),
    *("dix", "onze", "douze", "treize", "quatorze", "quinze"),
    *("seize", "dix-sept", "dix-huit", "dix-neuf"),
)
FRENCH_TENS = (
    *("", "", "vingt", "trente", "quarante"),
    *("cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt"),
)
ENGLISH_ORDINALS = {
    **{1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth"},
    **{20: "twentieth", 30: "thirtieth"},
}
"""ordinals that are not the number with "th" """
GERMAN_ORDINALS = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}
"""ordinals that are not the number with "te" or "ste" """


# --- numbers


def english_number(number: int, joined: bool = True) -> str:
    """Return a number below a million in English words; `joined` puts "and" between them, as in Britain."""
    if number < 20:
        return ENGLISH_SMALL[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return ENGLISH_TENS[tens] + (f"-{ENGLISH_SMALL[rest]}" if rest else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    most, rest = divmod(number, size)
    link = " and " if joined and rest < 100 else " "
    return f"{english_number(most, joined)} {name}" + (link + english_number(rest, joined) if rest else "")


def german_number(number: int, last: bool = True) -> str:
    """Return a number below a million in German words; `last`: no word follows, so that 1 is "eins"."""
    if number < 20:
        return "ein" if number == 1 and not last else GERMAN_SMALL[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return (f"{german_number(rest, False)}und" if rest else "") + GERMAN_TENS[tens]
    size, name = (1000, "tausend") if number >= 1000 else (100, "hundert")
    most, rest = divmod(number, size)
    return f"{german_number(most, False)}{name}" + (german_number(rest, last) if rest else "")


def french_number(number: int, last: bool = True) -> str:
    """Return a number below a million in French words; `last`: no word follows, as after "quatre-vingts"."""
    if number < 20:
        return FRENCH_SMALL[number]
    if number < 100:
        return _french_tens(number, last)
    if number < 1000:
        most, rest = divmod(number, 100)
        hundred = f"{FRENCH_SMALL[most]} cent" if most > 1 else "cent"
        if not rest:
            return hundred + ("s" if most > 1 and last else "")
        return f"{hundred} {french_number(rest, last)}"
    most, rest = divmod(number, 1000)
    thousand = f"{french_number(most, False)} mille" if most > 1 else "mille"
    return thousand + (f" {french_number(rest)}" if rest else "")


def _french_tens(number: int, last: bool) -> str:
    """Return the words of 20 to 99: 70 is sixty-ten, 80 four twenties, 90 four-twenty-ten."""
    tens = number // 10
    rest = number - 10 * (tens - tens % 2 if tens > 6 else tens)  # 70 and 90 count on from 60 and 80
    if not rest:
        return FRENCH_TENS[tens] + ("s" if number == 80 and last else "")
    link = " et " if rest in (1, 11) and tens < 8 else "-"
    return FRENCH_TENS[tens] + link + FRENCH_SMALL[rest]


def number_pair(rng: np.random.Generator) -> tuple[str, str]:
    """Return a random number of 1 to 6 digits in words of a random language, and in digits."""
    number = int(rng.integers(10 ** int(rng.integers(1, DIGITS + 1))))
    forms = (
        english_number(number),
        english_number(number, joined=False),
        german_number(number),
        french_number(number),
    )
    return forms[rng.integers(len(forms))], str(number)


# --- dates


def english_ordinal(day: int) -> str:
    """Return the ordinal of a day from 1 to 31, such as "third"."""
    if day in ENGLISH_ORDINALS:
        return ENGLISH_ORDINALS[day]
    tens, rest = divmod(day, 10)
    if day > 20:
        return f"{ENGLISH_TENS[tens]}-{english_ordinal(rest)}"
    return f"{ENGLISH_SMALL[day]}th"


def german_ordinal(day: int) -> str:
    """Return the ordinal of a day from 1 to 31, such as "dritte"."""
    return GERMAN_ORDINALS.get(day) or german_number(day) + ("te" if day < 20 else "ste")


def english_dates(day: date) -> tuple[str, ...]:
    """Return all English forms of a day."""
    month, year, number = ENGLISH_MONTHS[day.month - 1], day.year, day.day
    ending = "th" if 10 < number < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    weekday = ENGLISH_WEEKDAYS[day.weekday()]
    return (
        f"the {number}{ending} of {month} {year}",
        f"the {english_ordinal(number)} of {month} {year}",
        f"{month} {number}, {year}",
        f"{month} {number}{ending}, {year}",
        f"{number} {month} {year}",
        f"{number} {month[:3]} {year}",
        f"{weekday}, {month} {number}, {year}",
        f"{weekday} the {english_ordinal(number)} of {month}, {year}",
    )


def german_dates(day: date) -> tuple[str, ...]:
    """Return all German forms of a day."""
    month, year, number = GERMAN_MONTHS[day.month - 1], day.year, day.day
    weekday = GERMAN_WEEKDAYS[day.weekday()]
    return (
        f"{number}. {month} {year}",
        f"{number}.{day.month}.{year}",
        f"{number:02}.{day.month:02}.{year}",
        f"am {number}. {month} {year}",
        f"{weekday}, den {number}. {month} {year}",
        f"{weekday}, der {german_ordinal(number)} {month} {year}",
    )


def french_dates(day: date) -> tuple[str, ...]:
    """Return all French forms of a day; in the form with slashes the day is first."""
    month, year = FRENCH_MONTHS[day.month - 1], day.year
    number = "1er" if day.day == 1 else str(day.day)
    return (
        f"{number} {month} {year}",
        f"le {number} {month} {year}",
        f"{FRENCH_WEEKDAYS[day.weekday()]} {number} {month} {year}",
        f"le {day.day:02}/{day.month:02}/{year}",
    )


def date_pair(rng: np.random.Generator) -> tuple[str, str]:
    """Return a random day in a random form of a random language, and in ISO 8601."""
    days = (LAST_DAY - FIRST_DAY).days + 1
    day = FIRST_DAY + timedelta(days=int(rng.integers(days)))
    forms = (english_dates, german_dates, french_dates)[rng.integers(3)](day)
    return forms[rng.integers(len(forms))], day.isoformat()


# --- files

KINDS: dict[str, Callable[[np.random.Generator], tuple[str, str]]] = {
    "dates": date_pair,
    "numbers": number_pair,
}


def pairs(kind: str, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield `count` pairs of a kind with different sources.

    Raises:
        ValueError: `count` is above `MOST_PAIRS`, or below 1.
    """
    if not 0 < count <= MOST_PAIRS:
        raise ValueError(f"{count} pairs were wanted; 1 to {MOST_PAIRS} can be drawn")
    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    while len(seen) < count:
        source, target = KINDS[kind](rng)
        if source not in seen:
            seen.add(source)
            yield source, target


def main() -> None:
    """Write FOLDER/train.tsv and FOLDER/dev.tsv."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=20_000, help="number of pairs to train on")
    parser.add_argument("--dev", type=int, default=1000, help="number of pairs to measure on")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    drawn = pairs(arguments.kind, arguments.count + arguments.dev, arguments.seed)
    lines = [f"{source}\t{target}\n" for source, target in drawn]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("dev", lines[: arguments.dev]), ("train", lines[arguments.dev :])):
        (arguments.folder / f"{name}.tsv").write_text("".join(part), encoding="utf-8")
        print(f"{name}: {len(part)} {arguments.kind}")


if __name__ == "__main__":
    main()
