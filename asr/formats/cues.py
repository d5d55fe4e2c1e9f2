"""Cues of subtitles: which words are shown together, from when to when, and on which lines.

    words        |THE|OLD|MAN| |SAT|DOWN|        |AND|WROTE|
    cues         |THE OLD MAN SAT DOWN |         |AND WROTE    |     held longer where there is room

The customary rules (Karamitroglou 1998, "A proposed set of subtitling standards in Europe"; Netflix and BBC
guides): lines of at most 42 characters, two a cue, 5/6 to 7 seconds, 20 characters a second, two frames
between cues; breaks at the end of sentences and clauses, in pauses, before conjunctions and prepositions.
Widths, counts, the longest duration and the gap always hold; a single longer word stands alone. The shortest
duration and the speed of reading hold where the next words leave room: words are never shown late.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from asr.configuration import SubtitleConfig
from common.text.document import Document, Interval

SHORTEST_S, LONGEST_S = 5 / 6, 7.0
CHARACTERS_PER_S = 20.0
GAP_S = 2 / 24
"""two frames of film"""
PAUSE_S = 0.4
"""a pause in speech that is a place for a break"""
LONG_PAUSE_S = 1.5
"""a cue does not go on over a longer pause"""
ENDS = (".", "?", "!", "…", "。", "？", "！")
CLAUSES = (",", ";", ":", "–", "—", "、", "，")
LINKS = frozenset(
    {
        *("and", "or", "but", "nor", "so", "yet", "for", "because", "that", "which", "who", "when"),
        *("where", "while", "if", "as", "than", "with", "without", "in", "on", "at", "by", "of", "to"),
        *("from", "into", "over", "under", "after", "before", "about"),
        *("und", "oder", "aber", "denn", "weil", "dass", "der", "die", "das", "wenn", "als", "mit"),
        *("ohne", "auf", "an", "bei", "von", "zu", "aus", "nach", "vor", "über"),
        *("et", "ou", "mais", "donc", "car", "que", "qui", "quand", "où", "si", "comme", "avec"),
        *("sans", "dans", "sur", "à", "de", "par", "pour", "après", "avant"),
    }
)
"""conjunctions, prepositions and pronouns before which a line is broken: English, German, French"""
BREAK_COSTS = {"end": 0.0, "clause": 1.0, "link": 2.0, "none": 4.0, "phrase": 100.0}
CUE_COST, WITHIN_COST = 3.0, 4.0
"""of every cue, and of every end of a sentence and every pause within one: a cue more is better"""


class CueWord(NamedTuple):
    """A word with its times in the recording."""

    text: str
    start_s: float
    end_s: float
    goes_on: bool = False
    """whether a phrase goes on from the word before, so that no line should end there"""
    begins: bool = False
    """whether a paragraph of a known text begins: a cue does not go on from one to the next"""


class Cue(NamedTuple):
    """Lines of words that are shown from one time to another, in seconds."""

    start_s: float
    end_s: float
    lines: tuple[tuple[CueWord, ...], ...]

    @property
    def words(self) -> list[CueWord]:
        """All words in order."""
        return [word for line in self.lines for word in line]

    @property
    def text(self) -> str:
        """The lines, with line breaks between them."""
        return "\n".join(" ".join(word.text for word in line) for line in self.lines)


def cues_of(document: Document, config: SubtitleConfig, phrases: Sequence[str] = ()) -> list[Cue]:
    """Return the cues of a recording in order.

    Args:
        document: its words have times in seconds.
        config: widths and counts.
        phrases: names of several words, such as hot words, within which no line ends if that is possible.
    """
    groups = _groups(_joined(list(_words(document, config)), phrases), config)
    cues = []
    for number, group in enumerate(groups):
        after = groups[number + 1][0].start_s if number + 1 < len(groups) else None
        lines = _lines(group, config)
        cues.append(Cue(group[0].start_s, _end(group, after), lines))
    return cues


def _words(document: Document, config: SubtitleConfig) -> Iterator[CueWord]:
    """Yield the words of a document; one never starts before the one before it."""
    reached = 0.0
    is_first = True
    for passage in document.passages:
        for number, word in enumerate(passage.transcript.words):
            place = Interval(word.start, word.end) if passage.whole else passage.place_of(word)
            assert isinstance(place, Interval), "speech has times"
            start = max(place.start, reached)
            is_first = is_first or start - reached > LONG_PAUSE_S
            text = _cased(word.text, config.case, is_first)
            begins = number == 0 and passage.region != ""
            yield CueWord(text, start, max(place.end, start), begins=begins)
            reached, is_first = max(place.end, start), word.text.endswith(ENDS)


def _cased(text: str, case: str, is_first: bool) -> str:
    """Return a word in the wanted case; `is_first`: it begins a sentence."""
    if case == "keep":
        return text
    lower = text.lower()
    if case == "sentence":
        if lower == "i" or lower.startswith(("i'", "i’")):
            return lower[:1].upper() + lower[1:]
        return lower[:1].upper() + lower[1:] if is_first else lower
    return lower


def _joined(words: list[CueWord], phrases: Sequence[str]) -> list[CueWord]:
    """Return the words, of which those within a phrase go on from the word before."""
    bare = [word.text.strip("".join((*ENDS, *CLAUSES))).casefold() for word in words]
    for phrase in phrases:
        parts = phrase.casefold().split()
        for start in range(len(bare) - len(parts) + 1) if len(parts) > 1 else ():
            if bare[start : start + len(parts)] == parts:
                for index in range(start + 1, start + len(parts)):
                    words[index] = words[index]._replace(goes_on=True)
    return words


def _groups(words: Sequence[CueWord], config: SubtitleConfig) -> list[Sequence[CueWord]]:
    """Return the words of each cue: the division with the least cost, found from the end of the text."""
    count = len(words)
    costs, ends = [0.0] * (count + 1), [count] * (count + 1)
    for start in range(count - 1, -1, -1):
        best = None
        for end in range(start + 1, count + 1):
            group = words[start:end]
            if end > start + 1 and not _fits(group, config):
                break
            after = words[end].start_s if end < count else None
            cost = costs[end] + _cost(words, start, end, after)
            if best is None or cost <= best:
                best, ends[start] = cost, end
        assert best is not None, "a word alone is a cue"
        costs[start] = best
    groups, start = [], 0
    while start < count:
        groups.append(words[start : ends[start]])
        start = ends[start]
    return groups


def _fits(group: Sequence[CueWord], config: SubtitleConfig) -> bool:
    """Return whether words may stand in one cue."""
    if group[-1].end_s - group[0].start_s > LONGEST_S:
        return False
    if group[-1].begins or group[-1].start_s - group[-2].end_s > LONG_PAUSE_S:
        return False
    lines, width, count = 1, -1, 0
    most = config.max_words_per_line or len(group)
    for unit in _units(group, config.max_line_width, most):  # as few lines as possible
        size = sum(len(word.text) + 1 for word in unit)
        width, count = width + size, count + len(unit)
        if width > config.max_line_width or count > most:
            lines, width, count = lines + 1, size - 1, len(unit)
    return lines <= config.max_line_count


def _units(group: Sequence[CueWord], width: int, most: int) -> Iterator[Sequence[CueWord]]:
    """Yield the phrases that fit into a line of `width` characters and `most` words, and each other word."""
    start = 0
    for end in range(1, len(group) + 1):
        if end < len(group) and group[end].goes_on:
            continue
        unit = group[start:end]
        if len(unit) <= most and sum(len(word.text) + 1 for word in unit) - 1 <= width:
            yield unit
        else:
            yield from ([word] for word in unit)
        start = end


def _cost(words: Sequence[CueWord], start: int, end: int, after: float | None) -> float:
    """Return the cost of the cue of the words from `start` to `end`."""
    group = words[start:end]
    shown = _end(group, after) - group[0].start_s
    length = sum(len(word.text) + 1 for word in group) - 1
    cost = CUE_COST + (_break_cost(words, end) if end < len(words) else 0.0)
    cost += 4.0 * max(0.0, SHORTEST_S - shown)
    cost += 2.0 * max(0.0, length / max(shown, 0.1) / CHARACTERS_PER_S - 1.0)
    for index in range(start + 1, end):
        if words[index - 1].text.endswith(ENDS):
            cost += WITHIN_COST
        if words[index].start_s - words[index - 1].end_s >= PAUSE_S:
            cost += WITHIN_COST
    return cost


def _break_cost(words: Sequence[CueWord], index: int) -> float:
    """Return the cost of a break before word `index`."""
    if words[index].goes_on:
        return BREAK_COSTS["phrase"]
    before, word = words[index - 1], words[index]
    if word.begins:
        return BREAK_COSTS["end"]
    if before.text.endswith(ENDS) or word.start_s - before.end_s >= PAUSE_S:
        return BREAK_COSTS["end"]
    if before.text.endswith(CLAUSES):
        return BREAK_COSTS["clause"]
    if before.text.casefold() in LINKS:
        return BREAK_COSTS["none"] + 2.0  # "of" at the end of a line
    return BREAK_COSTS["link" if word.text.casefold() in LINKS else "none"]


def _lines(group: Sequence[CueWord], config: SubtitleConfig) -> tuple[tuple[CueWord, ...], ...]:
    """Return the lines of a cue with the least cost: of like width, and broken in good places."""
    count = len(group)
    costs: list[dict[int, tuple[float, int]]] = [{} for _ in range(count + 1)]
    costs[count][0] = (0.0, count)
    widths = [0]
    for word in group:
        widths.append(widths[-1] + len(word.text) + 1)
    for start in range(count - 1, -1, -1):
        for end in range(start + 1, count + 1):
            width = widths[end] - widths[start] - 1
            too_many = config.max_words_per_line and end - start > config.max_words_per_line
            if end > start + 1 and (width > config.max_line_width or too_many):
                break
            for used, (cost, _) in costs[end].items():
                if used == config.max_line_count:
                    continue
                new = cost + (width / config.max_line_width) ** 2 * 3 + 1.0
                if end < count:
                    new += _break_cost(group, end)
                if used + 1 not in costs[start] or new < costs[start][used + 1][0]:
                    costs[start][used + 1] = (new, end)
    used = min(costs[0], key=lambda lines: costs[0][lines][0])
    lines, start = [], 0
    while start < count:
        _, end = costs[start][used]
        lines.append(tuple(group[start:end]))
        start, used = end, used - 1
    return tuple(lines)


def _end(group: Sequence[CueWord], after: float | None) -> float:
    """Return until when words are shown: long enough to be read, but not into the next cue, at `after`."""
    start, spoken = group[0].start_s, group[-1].end_s
    length = sum(len(word.text) + 1 for word in group) - 1
    wanted = max(spoken, start + SHORTEST_S, start + length / CHARACTERS_PER_S)
    wanted = min(wanted, start + LONGEST_S)
    return wanted if after is None else max(start, min(wanted, after - GAP_S))
