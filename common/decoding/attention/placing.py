"""The places of the labels that an attention decoder has found: the steps at which they stand."""

import numpy as np

from common.decoding.alignment import align
from common.decoding.attention.search import AttentionHypothesis
from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis
from common.network.ctc import required_steps


def placed(
    found: AttentionHypothesis, steps: int, ctc_log_probs: np.ndarray | None, backwards: bool
) -> Hypothesis:
    """Return a hypothesis with the steps of its labels.

    The steps come from an alignment by CTC if CTC can spell the labels, or else from the peaks of
    attention. If neither is possible, or attention does not move forwards, each label has all steps.

    Args:
        found: a hypothesis of the search.
        steps: number of steps of the signal.
        ctc_log_probs: (steps, C), those of a CTC head beside the decoder; None if there is none.
        backwards: whether the encoder read the signal from its end.
    """
    places = [(0, steps, steps // 2)] * len(found.labels)
    if ctc_log_probs is not None and required_steps(found.labels) <= steps:
        aligned = align(ctc_log_probs, found.labels).hits
        places = [(hit.start, hit.end, hit.peak) for hit in aligned]
    elif found.steps is not None:
        looked = [steps - 1 - int(step) if backwards else int(step) for step in found.steps]
        places = [(step, step + 1, step) for step in looked] if looked == sorted(looked) else places
    hits = [
        Hit(label, start, end, confidence, peak)
        for label, confidence, (start, end, peak) in zip(found.labels, found.confidences, places, strict=True)
    ]
    return Hypothesis(hits, found.score)
