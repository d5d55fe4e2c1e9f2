"""`lm train`: an n-gram model or a recurrent one, as the flags say."""

from common.command_line.parser import UsageError
from common.commands.flags.lm import LanguageModelTrainFlags
from common.commands.lm.ngrams import train_ngrams
from common.commands.lm.spelling import read_spelling
from common.commands.lm.texts import read_labelled_texts, require_texts
from common.recognition.modality import Modality
from common.training.preparation import corpus_paths


def run(modality: Modality, arguments: LanguageModelTrainFlags) -> None:
    """Train a language model.

    Raises:
        ValueError: flags that contradict each other, or texts that cannot be used.
    """
    require_texts(arguments.texts, "learn from")
    if arguments.vocabulary is not None and arguments.vocabulary < 1:
        raise UsageError(f"--vocabulary is {arguments.vocabulary}; keep at least 1 token")
    if arguments.recurrent:
        _train_recurrent(modality, arguments)
    else:
        train_ngrams(modality, arguments)


def _train_recurrent(modality: Modality, arguments: LanguageModelTrainFlags) -> None:
    useless = [f"--{name}" for name in ("order", "prune", "output") if getattr(arguments, name)]
    if useless:
        raise UsageError(f"{', '.join(useless)}: of no use to a recurrent model; leave it out")
    run, k1, k2 = arguments.settings.run, arguments.settings.k1, arguments.settings.k2
    if run is None:
        raise UsageError("--recurrent: trains in a folder of its own; name it with --run")
    if k1 and k2 is not None and (k2 < k1 or k2 % k1):
        raise UsageError(f"--k2 is {k2}; give a multiple of --k1, which is {k1}")
    from common.commands.lm.recurrent import Texts, train_recurrent

    spelling = read_spelling(arguments.like, arguments.unicode_form)

    def read() -> tuple[Texts, Texts]:
        held_out = {}
        texts = read_labelled_texts(modality, arguments.texts, arguments.corpus, spelling)
        if arguments.held_out is not None:
            paths = corpus_paths(arguments.held_out)
            held_out = read_labelled_texts(modality, paths, arguments.corpus, spelling)
        return texts, held_out

    train_recurrent(arguments, run, read, spelling.alphabet.unicode_form)
