"""`lm train` without --recurrent: n-grams are counted, smoothed and written."""

from collections.abc import Sequence
from pathlib import Path

from common.command_line.counting import counted
from common.command_line.parser import UsageError
from common.commands.flags.lm import LanguageModelTrainFlags, RecurrentSettings
from common.commands.lm.spelling import read_spelling
from common.commands.lm.texts import read_texts
from common.commands.output import make_place, writing
from common.language.arpa import write_arpa
from common.language.kneser_ney import Discounts, discounts, smooth, thresholds
from common.language.ngram import START_ID, UNKNOWN_ID, NGram
from common.language.ngram_counts import Counts, count_ngrams
from common.language.perplexity import perplexity
from common.recognition.modality import Modality

ORDERS = {"character": 6, "word": 3}
"""the order if --order is not given"""


def train_ngrams(modality: Modality, arguments: LanguageModelTrainFlags) -> None:
    """Train a model of n-grams, write it, and print what it consists of.

    Raises:
        ValueError: flags or texts that cannot be used.
    """
    output = arguments.output
    if output is None:
        raise UsageError("no file to write the model to; name it with --output, or say --recurrent")
    if arguments.settings != RecurrentSettings():
        raise UsageError("flags of recurrent models were given; say --recurrent, too")
    order = ORDERS[arguments.unit] if arguments.order is None else arguments.order
    try:
        thresholds(order, arguments.prune)  # before any text is read
    except ValueError as error:
        raise UsageError(str(error)) from error
    make_place(output)
    spelling = read_spelling(arguments.like, arguments.unicode_form)
    texts = read_texts(modality, arguments.texts, arguments.corpus, spelling)
    held_out = []
    if arguments.held_out is not None:
        held_out = read_texts(modality, [arguments.held_out], arguments.corpus, spelling)
    counts = count_ngrams(texts, order, arguments.unit, arguments.vocabulary)
    taken = [discounts(level) for level in counts.levels]
    model = smooth(counts, taken, arguments.prune)
    _write(model, output)
    _print_counts(counts, taken, model, len(texts))
    if arguments.held_out is not None:
        _print_perplexity(model, arguments.held_out, held_out)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _write(model: NGram, output: Path) -> None:
    with writing(output):
        if output.name.endswith((".arpa", ".arpa.gz")):
            write_arpa(model, output)
        else:
            model.save(output)


def _print_counts(counts: Counts, taken: Sequence[Discounts], model: NGram, lines: int) -> None:
    """Print the tokens of the texts, and the n-grams and discounts of each length."""
    raw = counts.levels[0].raw
    total, unknown = raw.sum() - raw[START_ID], raw[UNKNOWN_ID]
    print(f"{counted(lines, 'line')}, {total:,} {model.unit}s and ends of lines, {unknown:,} of them unknown")
    for length, (level, kept, discount) in enumerate(zip(counts.levels, model.counts, taken, strict=True), 1):
        share = "" if kept == len(level.raw) else f" of {len(level.raw):,}"
        why = " (the fallback: too few n-grams to tell)" if discount.is_fallback else ""
        numbers = " ".join(f"{number:.3f}" for number in discount[:3])
        print(f"{length}-grams: {kept:,}{share}, discounts {numbers}{why}")


def _print_perplexity(model: NGram, name: str, texts: Sequence[str]) -> None:
    found = perplexity(model, texts)
    print(
        f"{name}: perplexity {found.perplexity:.3f}, {found.perplexity_known:.3f} without the {found.oovs:,}"
        f" unknown of {found.tokens:,} {model.unit}s and ends, {found.bits_per_token:.3f} bits each"
    )
