"""Keys of names: what Python's own set says."""

import numpy as np
import pytest

from common.recognition.bulk import keys
from common.recognition.bulk.keys import Keys


@pytest.mark.parametrize("latest", [1, 3, 1000])
def test_keys_are_in_and_counted_as_in_a_set(latest, monkeypatch):
    monkeypatch.setattr(keys, "LATEST", latest)
    drawn = np.random.default_rng(0).integers(0, 400, 500).tolist()
    ends = [0, 2**64 - 1, 2**63, 2**53 + 1]
    ours, wanted = Keys(), set[int]()
    for key in [*drawn, *ends]:
        assert (key in ours) == (key in wanted)
        ours.add(key)
        wanted.add(key)
        assert len(ours) == len(wanted)
    for key in [*range(400), *ends, 2**53, 2**64 - 2]:
        assert (key in ours) == (key in wanted)
