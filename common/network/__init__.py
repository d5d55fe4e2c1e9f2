"""The parts of a network, in torch: convolutions, recurrent layers, heads, attention, CTC, language model."""
