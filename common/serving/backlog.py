"""Work that has been accepted and is not done, and how long it will take."""


class Backlog:
    """Units of work that wait or are under way, and the rate at which they have been done lately.

    The rate is measured while there is work: the units of a piece of work that ends, over the time since the
    piece before it ended. So it holds for whatever runs side by side.

    Args:
        seconds_per_unit: what is assumed until something has been measured.
    """

    FORGETTING = 0.1
    """weight of the latest piece of work in the average"""

    def __init__(self, seconds_per_unit: float) -> None:
        self.units, self.seconds_per_unit = 0.0, seconds_per_unit
        self._running, self._mark_s, self._measured = 0, 0.0, False

    @property
    def seconds(self) -> float:
        """Estimate of the time until all of it is done."""
        return self.units * self.seconds_per_unit

    def add(self, units: float) -> None:
        """Accept work."""
        self.units += units

    def drop(self, units: float) -> None:
        """Forget work that is done, or that nobody wants any more."""
        self.units = max(0.0, self.units - units)

    def begin(self, now_s: float) -> None:
        """Note that a piece of work begins."""
        if not self._running:
            self._mark_s = now_s
        self._running += 1

    def end(self, units: float, now_s: float) -> None:
        """Note that a piece of work of `units` units has ended."""
        self._running -= 1
        if units > 0:
            found = (now_s - self._mark_s) / units
            weight = self.FORGETTING if self._measured else 1.0
            self.seconds_per_unit += weight * (found - self.seconds_per_unit)
            self._measured = True
        self._mark_s = now_s
