"""`lm sample`: texts drawn from a recurrent language model."""

from common.command_line.parser import UsageError
from common.commands.flags.lm import SampleFlags
from common.recognition.modality import Modality


def run(_modality: Modality, arguments: SampleFlags) -> None:
    """Print the texts, one a line."""
    import torch

    from common.network.language_model import LanguageModel
    from common.network.sampling import sample

    model = LanguageModel.load(arguments.model)
    given = None if arguments.label is None else [arguments.label] * arguments.count
    generator = torch.Generator().manual_seed(arguments.seed)
    try:
        texts = sample(
            model, arguments.count, arguments.length, arguments.prompt, given,
            arguments.temperature, arguments.top_k, arguments.top_p, generator,
        )  # fmt: skip
    except ValueError as error:  # a number out of range, or a label that the model does not have
        raise UsageError(str(error)) from error
    print("\n".join(texts))
