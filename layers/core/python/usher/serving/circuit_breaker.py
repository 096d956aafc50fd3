"""Circuit breaker: a variant that keeps failing is skipped for some seconds, then tried again; a slow one at once.

A request that fails is answered by the other variant anyway. The breaker bounds what failures cost: no calls while a
variant is down, and one timeout every ten seconds while it hangs. Each execution environment has its own breaker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from usher.store.router import Variant

#: Failures in a row that make a variant broken.
FAILURES = 3
#: How long a broken variant is skipped; then one request tries it, and if that fails, it is skipped again.
BROKEN_SECONDS = 5.0
#: The same for a variant that timed out: one timeout is enough.
SLOW_SECONDS = 10.0


@dataclass(slots=True)
class Record:
    """failures: in a row. until: when the variant may be tried again, in the breaker's seconds."""

    failures: int = 0
    until: float = 0.0
    slow: bool = False


@dataclass(slots=True)
class Breaker:
    """The recent failures of each (variant, model). A new model in a variant starts without any. clock: seconds."""

    clock: Callable[[], float]
    _records: dict[Variant, tuple[str, Record]] = field(default_factory=dict)

    def skips(self, variant: Variant, model: str, *, alone: bool = False) -> bool:
        """Whether the variant must not be asked now.

        alone: no other variant may serve. Then only a slow variant is skipped: quick failures cost less than popularity
        lists for all users because of a few requests that the model cannot answer.
        """
        record = self._record(variant, model)
        return self.clock() < record.until and (record.slow or not alone)

    def failed(self, variant: Variant, model: str, *, slow: bool) -> None:
        """The variant did not answer. slow: it timed out."""
        record = self._record(variant, model)
        record.failures += 1
        record.slow = slow
        if slow or record.failures >= FAILURES:
            record.until = self.clock() + (SLOW_SECONDS if slow else BROKEN_SECONDS)

    def answered(self, variant: Variant) -> None:
        """The variant answered: its failures are forgotten."""
        self._records.pop(variant, None)

    def _record(self, variant: Variant, model: str) -> Record:
        known, record = self._records.get(variant, ("", Record()))
        if known != model:
            record = Record()
            self._records[variant] = (model, record)
        return record
