"""Beam search for attention decoders, alone or together with a CTC head."""
