"""The twin's scaled clock: AWS's time passes `speed` times as fast as here, from the moment the twin starts."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable


class Clock:
    """Says what time it is on AWS's side.

    speed:     how many of AWS's seconds pass in one real second.
    monotonic: real seconds that never go back; tests give their own, so that nothing has to wait.
    origin:    the time at which the clock starts, UTC; now, unless a test says otherwise.
    """

    def __init__(
        self,
        speed: float,
        monotonic: Callable[[], float] = time.monotonic,
        origin: datetime.datetime | None = None,
    ) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._began = monotonic()
        self._origin = origin or datetime.datetime.now(datetime.UTC)

    def now(self) -> datetime.datetime:
        """AWS's time, UTC."""
        return self._origin + datetime.timedelta(seconds=(self._monotonic() - self._began) * self.speed)

    def real_seconds_until(self, moment: datetime.datetime) -> float:
        """How long it takes here until `moment` on AWS's side; 0 when it has passed."""
        return max(0.0, (moment - self.now()).total_seconds() / self.speed)

    def from_real(self, moment: datetime.datetime, real_now: datetime.datetime | None = None) -> datetime.datetime:
        """When something comes that is due at `moment` by the calendar: as many of AWS's seconds from now."""
        return self.now() + (moment - (real_now or datetime.datetime.now(datetime.UTC)))
