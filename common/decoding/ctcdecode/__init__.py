"""The interface of parlance/ctcdecode on top of our beam search: existing code changes only its import.

    from common.decoding.ctcdecode import CTCBeamDecoder  # was: from ctcdecode import CTCBeamDecoder

These are the same: arguments and their order, types and shapes of results, the order of the hypotheses,
timesteps, and scores, for which lower is better. A score is minus an approximate log-probability of the
hypothesis by the network:

    without a model    -log p(labels)
    with a model       -(fused score - beta x number of labels - alpha x log-probability of the sentence)

The fused score is log p(labels) + sum over tokens of (alpha x log p(token | tokens before it) + beta). The
tokens of a model over characters are the labels, those of a model over words are the words. The
log-probability of the sentence includes its end `</s>`, the fused score does not. Hypotheses are ordered by
the fused score without the part of the last word; of equal ones, the smaller last label comes first. The
returned score thus differs from the score that orders the hypotheses.

A model is over characters if all its tokens except `<s>`, `</s>` and `<unk>` are single characters; it scores
each label. Otherwise it is over words, and a word is scored when the label " " follows, or at the end. Only
words of the model that the labels can spell are possible, separated by one space; the end of the utterance
may cut the last word short. If no label is " ", a hypothesis is a single word. Tokens that a model does not
know have the log-probability -1000.

With a model, the most frequent reason for another text is `model and full beam`; the other reasons are
`rounding`, `space over characters` and `unknown character`. Without a model, only `rounding` remains.

These differ, where the original has an error or undefined behaviour:

    cutoff_prob              here: the mass that is kept; original: compared with sums of logarithms
    probability 0            here: 0, so that a hypothesis that needs it does not exist; original: 1.2e-38
    model and full beam      here: all extensions compete; original: an estimate cut paths off and lost mass
    after out_lens           here: zeros; original: arbitrary memory
    fewer hypotheses         here: if fewer than beam_width, the rows after the last one have length 0 and
                             score +inf
    space over characters    here: `<space>`, `▁` or `|` in an ARPA file is the label " ", or if there is
                             none, the label that is written so; original: a space is never emitted
    unknown character        here: costs 1000 x alpha once; original: again for each label with it as context
    sentence without words   here: `<s> </s>`; original: a second `<s>` is scored, too
    timesteps                the same rule (`timesteps.py`); in the original, prefixes of probability 0
                             take part while the beam is not full, and with a model extensions that are
                             cut off do not
    rounding                 here: sums in float64; original: in float32, so that hypotheses whose scores are
                             nearly equal may change places, or another one of them is pruned
    unfinished last word     here: -1000 in the sentence's log-probability; original: its end is -1000, too
    seq_lens beyond T        here: ValueError, as for wrong shapes and a missing model; original: the lengths
                             are cut to T, or the process ends
"""

from common.decoding.ctcdecode.decoders import CTCBeamDecoder, DecoderState, OnlineCTCBeamDecoder, Results

__all__ = ["CTCBeamDecoder", "DecoderState", "OnlineCTCBeamDecoder", "Results"]
