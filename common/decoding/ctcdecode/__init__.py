"""The interface of parlance/ctcdecode over our beam search: code written for it goes on with another import.

    from common.decoding.ctcdecode import CTCBeamDecoder  # was: from ctcdecode import CTCBeamDecoder

Kept: arguments and their order, types and shapes of what is returned, the order of the hypotheses, and scores
that are minus an approximate log-probability of the hypothesis by the network, lower is better:

    without a model    -log p(labels)
    with a model       -(fused score - beta x number of labels - alpha x log-probability of the sentence)

The fused score is log p(labels) with alpha x log p(token | those before) and beta for each token; the tokens
of a model over characters are the labels, those of one over words the words. The log-probability of the
sentence includes its end `</s>`, the fused score does not. Hypotheses are ordered by the fused score without
the last word's part, of equal ones the smaller last label first; what is returned is not what orders them.

A model is over characters if all its tokens but `<s>`, `</s>` and `<unk>` are single characters; each label
is scored by it. Otherwise it is over words: a word is scored when the label " " follows, or at the end, and
only such of its words as the labels can spell are written, one space between them; the end of the utterance
may cut the last one short. If no label is " ", a hypothesis is a single word. What a model does not know has
the log-probability -1000.

Different, where the original is broken or leaves something to chance:

    cutoff_prob              is the mass that is kept; the original compared sums of logarithms with it
    probability 0            is 0, there 1.2e-38: a hypothesis that needs it does not exist
    model and full beam      all extensions compete; the original cut off paths by an estimate, and lost mass
    behind out_lens          zeros; there whatever was in memory
    fewer hypotheses         than beam_width: the rows behind the last one have length 0 and score +inf
    space over characters    `<space>`, `▁` or `|` in an ARPA file is the label " ", or if there is none, the
                             label that is written so; the original never emitted a space
    unknown character        costs 1000 x alpha once; there also for each label that saw it as context
    sentence without words   is `<s> </s>`; the original scored a second `<s>`, too
    unfinished last word     is -1000 in the sentence's log-probability; there its end was -1000, too
    seq_lens beyond T        raise ValueError, as do wrong shapes and a missing model; the original cut the
                             lengths to T, or ended the process
"""

from common.decoding.ctcdecode.decoders import CTCBeamDecoder, DecoderState, OnlineCTCBeamDecoder, Results

__all__ = ["CTCBeamDecoder", "DecoderState", "OnlineCTCBeamDecoder", "Results"]
