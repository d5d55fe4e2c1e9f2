"""Texts to draw: consecutive words, with figures, entries of catalogues and notes among them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

COMMON_WORDS = """
a about after again air all always an and answer any are around as ask at away back be because been
before began below best between big book both boy but by call came can change city close cold come could
country cross day did different do does down each earth eat end even every example eye face far father
feet few find first five fly follow food for form found four from gave get girl give go good great group
grow had half hand hard has have head hear help her here high him his home horse house how hundred idea
if important in into it its joke journey judge just keep kind king knew know land large last late lazy
learn leave left less letter life light like line list little live long look low made make man many map
mark me mean men might mile more morning most mother mountain move much music must name near need never
new next night no north note nothing now number of off often old on once one only open or order other our
out over own page paper part people piece place plain plant play point problem pull put quality queen
question quick quiet quite rain ran reach read real red rest right river rock room rule run said same saw
say sea second see seem sentence set several she ship short should show side simple six size sleep slow
small snow so some song soon sound south spell stand star start state stay step still stop story street
strong study such sun sure table take talk tax tell ten than that the their them then there these they
thing think this those thought three through time to today together too took top toward town travel tree
true try turn two under unit until up upon us use usual very voice vowel walk want war warm was watch
water way we week well went were west what wheel when where which while white who why wind wish with
without wonder wood word work world would write year yellow yes yet you young zebra zero zone
"""

DASHES = "–", "—"


class Mixture(NamedTuple):
    """What texts are made of."""

    letters: tuple[int, int]
    """the shortest and longest text in characters, roughly"""
    figures: float = 0.0
    """share of the words that are replaced by numbers, dates, prices and the like"""
    entries: float = 0.0
    """share of the texts that are entries of a catalogue, as in: 52. Am See (48) 350"""
    notes: float = 0.0
    """share of the words that are replaced by what scholars write: references and abbreviations"""


def draw_texts(words: Sequence[str], count: int, rng: np.random.Generator, mixture: Mixture) -> Iterator[str]:
    """Yield `count` texts of consecutive `words`."""
    for _ in range(count):
        start, wanted = int(rng.integers(len(words))), int(rng.integers(*mixture.letters))
        following = words[start : start + max(4, wanted // 4)]
        if mixture.entries and rng.random() < mixture.entries:
            yield _entry(following, rng)
            continue
        text = ""
        for word in following:
            if len(text) >= wanted:
                break
            text += f" {_instead(word, mixture, rng)}"
        yield text.strip()


def _instead(word: str, mixture: Mixture, rng: np.random.Generator) -> str:
    """Return `word`, or what stands in its place."""
    if mixture.figures and rng.random() < mixture.figures:
        return _figure(rng)
    return _note(rng) if mixture.notes and rng.random() < mixture.notes else word


def _entry(words: Sequence[str], rng: np.random.Generator) -> str:
    """Return a line of a catalogue: a number, a title of some `words`, another number and a price."""
    title = " ".join(words[: int(rng.integers(1, 6))]).strip(" .,;:-–—\"'")
    number, other = int(rng.integers(1, 400)), int(rng.integers(1, 400))
    price = int(rng.integers(1, 60)) * int(rng.choice((5, 10, 25, 50, 100)))
    dash = DASHES[rng.integers(len(DASHES))]
    heads = (f"{number}. ", f"{number} ", f"*{number}. ", f"{number}) ", "")
    middles = (f" ({other})", f" ({other}).", f" [{other}]", f", {other}", f" (S. {other})", ".", "")
    sums = (f" {price}", f" {price}. {dash}", f" {dash}", f" Fr. {price}.", f" M. {price}", f" {price} Fr.")
    chosen = (
        forms[rng.choice(len(forms), p=chances)]
        for forms, chances in (
            (heads, (0.6, 0.1, 0.05, 0.05, 0.2)),
            (middles, (0.5, 0.05, 0.05, 0.05, 0.05, 0.1, 0.2)),
            ((*sums, ""), (0.3, 0.1, 0.2, 0.1, 0.05, 0.05, 0.2)),
        )
    )
    head, middle, end = chosen
    return f"{head}{title}{middle}{end}".strip() or f"{number}."  # words may be signs alone


def _figure(rng: np.random.Generator) -> str:
    """Return a random number, date, price or the like, as in letters, bills and catalogues."""
    number, part, year = int(10 ** rng.uniform(0, 5)), int(rng.integers(100)), int(rng.integers(1600, 2030))
    day, month = int(rng.integers(1, 29)), int(rng.integers(1, 13))
    forms = [
        str(number), str(year), f"({number})", f"[{number}]", f"{number}.", f"{number},", f"{number};",
        f"{day}.{month}.{year}", f"{year}-{month:02d}-{day:02d}", f"{day}/{month}/{year}",
        f"{day}:{part % 60:02d}", f"{number},{part:02d}", f"{number}.{part:02d}",
        f"{number // 100:,}.{part:02d}", f"{part}%", f"{part} %", f"${number}.{part:02d}", f"£{number}",
        f"{number},{part:02d} €", f"№ {number}", f"No. {number}", f"Nr. {number}", f"§ {part}",
        f"S. {number}", f"p. {number}-{number + part}", f"+{number} {part}{year}", f"#{number}", f"{part}°",
        f"{number} x {part}", f"{number}/{part}", f"{part}a", f"{part}th", f"*{number}",
        f"{year}–{year % 100}", f"& {number}", f"info{part}@example.org", f"www.example.com/{part}",
        f"{part} = {number}", f"“{number}”", f"„{part}“", f"'{part}", f"~{number}", f"<{part}>",
        f"a_{part}", f"{part}+{number}",
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def _note(rng: np.random.Generator) -> str:
    """Return a reference, an abbreviation or the like, as in footnotes and indices of scholarly books."""
    number, more = int(10 ** rng.uniform(0, 3)), int(rng.integers(1, 40))
    roman = _roman(int(rng.integers(1, 90)))
    forms = [
        f"p. {number}", f"pp. {number}-{number + more}", f"pp. {number}–{number + more}", f"S. {number}",
        f"S. {number} f.", f"vol. {roman}", f"Bd. {roman}", f"t. {roman},", f"cap. {roman}.",
        f"fol. {number}v", f"fol. {number}r", f"f. {number}", f"l. {number}", f"n. {more}", f"Anm. {more}",
        f"{roman}, {number}", f"{roman}. {number}", f"{roman},", f"{roman}.", "cf.", "vgl.", "ibid.",
        "Ibid.,", "ib.", "id.", "op. cit.,", "loc. cit.", "s. v.", "i. e.", "e. g.", "sqq.", "ff.", "etc.",
        "ed.", "u. s. w.", "d. h.", "z. B.", f"({number})", f"({roman})", f"({more},",
        f"({roman} {number}),", f"{more})", f"[{number}]", f"{more}:{number};", f"c. {1000 + number}",
        f"{1000 + number}–{(more + 10) % 100}", f"§ {number}.", f"({1500 + number % 450}),", f"‘{roman}’",
        f"{number}.{more};", f"† {1000 + number}",
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def _roman(number: int) -> str:
    """Return 1 to 399 in Roman numerals, in capitals."""
    values, signs = (100, 90, 50, 40, 10, 9, 5, 4, 1), ("C", "XC", "L", "XL", "X", "IX", "V", "IV", "I")
    written = ""
    for value, sign in zip(values, signs, strict=True):
        times, number = divmod(number, value)
        written += sign * times
    return written
