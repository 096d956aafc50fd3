"""What people saw and did, counted from outside: statuses, waiting times, who answered, and who clicked."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from demo.simulated_users.caller import Answer


@dataclass(slots=True)
class Tally:
    """Counts of many threads. statuses: (operation, HTTP status); variants: (variant or "", whether they clicked)."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    variants: Counter[tuple[str, bool]] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    newcomers: int = 0
    late: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def called(self, operation: str, answer: Answer) -> None:
        with self._lock:
            self.statuses[operation, answer.status] += 1
            if operation == "recommend":
                self.seconds.append(answer.seconds)
            if answer.status >= 400 or not answer.status:
                said = str(answer.body.get("detail") or answer.body.get("message") or "no answer")
                self.refusals[f"{answer.status}: {said}"] += 1

    def visited(self, variant: str, level: str, *, clicked: bool, new: bool) -> None:
        with self._lock:
            self.variants[variant, clicked] += 1
            self.levels[level] += 1
            self.newcomers += new

    def did(self, kinds: Counter[str]) -> None:
        with self._lock:
            self.actions += kinds

    def came_late(self) -> None:
        """A visit that was due could not begin in time: the machine is slower than the people."""
        with self._lock:
            self.late += 1

    @property
    def visits(self) -> int:
        return sum(self.variants.values())

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def server_errors(self) -> int:
        """5xx that somebody saw, and requests that were never answered."""
        return sum(self.errors_of(operation) for operation in {operation for operation, _ in self.statuses})

    def errors_of(self, operation: str) -> int:
        """The same of one operation."""
        return sum(
            count
            for (one, status), count in self.statuses.items()
            if one == operation and (status >= 500 or not status)
        )

    def percentile(self, share: float) -> float:
        """Seconds that `share` (0 to 1) of the recommendations took at most; 0.0 without any."""
        with self._lock:
            ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
