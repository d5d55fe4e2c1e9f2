"""The table of a fusion on a GPU, where the search looks up gains and next states without the host.

What the table has not met yet is answered by a negative number that names it:

    state 5, label 2 -> state 9        known
    state 5, label 3 -> -2 - place     unseen; place 5 * classes + 3 is to be explored on the host

torch is never imported here: the device that is handed in brings it.
"""

import sys

import numpy as np

from common.decoding.arrays import Array

UNSEEN = -1
"""stored as the next state where it is not known"""
FIRST_UNSEEN = -2
"""the number returned for the next state at place 0, if that is unseen; then come -3, -4 ..."""
LEAST_BYTES = 1 << 24
"""the first copy of a table is as large as this: a larger copy costs a new graph"""


class DeviceTable:
    """Gains and next states of a `Table`, with room for more states than it has now.

    Args:
        classes: C.
        count: number of states that it must hold.
        device: a torch device.
    """

    def __init__(self, classes: int, count: int, device: Array) -> None:
        torch = sys.modules["torch"]
        self.classes = classes
        self.room = max(2 * count, LEAST_BYTES // (8 * classes))
        self.count = 0
        self.explored: list[np.ndarray] = []
        """places whose next states are known since the last `update`"""
        size = self.room * classes
        with torch.inference_mode(False):  # what is made in inference mode could not be changed outside it
            self._gains = torch.zeros(size, dtype=torch.float32, device=device)
            self._following = torch.full((size,), UNSEEN, dtype=torch.int32, device=device)

    def update(self, gains: np.ndarray, following: np.ndarray, count: int) -> None:
        """Copy what is new in the arrays (states, C) of the table, of which `count` states are valid."""
        torch, device = sys.modules["torch"], self._gains.device
        old, new = self.count * self.classes, count * self.classes
        if new > old:
            self._gains[old:new] = torch.from_numpy(gains.reshape(-1)[old:new]).to(device)
            self._following[old:new] = torch.from_numpy(following.reshape(-1)[old:new]).to(device)
            self.count = count
        if self.explored:
            places = np.concatenate(self.explored)
            self.explored.clear()
            states = torch.from_numpy(following.reshape(-1)[places]).to(device)
            self._following[torch.from_numpy(places).to(device)] = states

    def gains(self, states: Array, labels: Array) -> Array:
        """Return the gains of `labels` in `states`, float64; the two shapes broadcast."""
        return self._gains.take(states * self.classes + labels).double()

    def extend(self, states: Array, labels: Array, grown: Array) -> Array:
        """Return the next states where `grown`, after `labels` are appended, else `states` (any shape).

        Next states that the table has not met are negative; `unseen_places` says what to explore.
        """
        places = (states * self.classes + labels).masked_fill(~grown, 0)
        following = self._following.take(places).long()
        following = (FIRST_UNSEEN - places).where(following == UNSEEN, following)
        return following.where(grown, states)


def unseen_places(states: np.ndarray) -> np.ndarray:
    """Return the different places (N,) that negative `states` (any shape) name."""
    return np.unique(FIRST_UNSEEN - states[states < 0])
