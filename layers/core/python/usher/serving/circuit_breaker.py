"""A variant that fails again and again is passed over for some seconds, then asked once more; a slow one at once.

Each request that fails is answered by the other variant anyway. This bounds what the failures cost: no calls
while a variant is down, and one time-out every ten seconds while it hangs. Every execution environment
learns by itself, and forgets by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from usher.store.router import Variant

#: So many failures in a row make a variant broken.
FAILURES = 3
#: A broken variant is passed over for so long, in seconds; then one request asks it, and if that fails, again.
BROKEN_SECONDS = 5.0
#: The same for a variant that cost a whole time-out, which one failure is enough for.
SLOW_SECONDS = 10.0


@dataclass(slots=True)
class Record:
    """failures: in a row. until: the time at which it may be asked again, in the breaker's seconds."""

    failures: int = 0
    until: float = 0.0
    slow: bool = False


@dataclass(slots=True)
class Breaker:
    """What each (variant, model) did lately. A new model in a variant starts without a record. clock: seconds."""

    clock: Callable[[], float]
    _records: dict[Variant, tuple[str, Record]] = field(default_factory=dict)

    def passes_over(self, variant: Variant, model: str, *, alone: bool = False) -> bool:
        """Whether the variant is not to be asked now.

        alone: no other variant may serve. Then only what costs time is spared: quick failures are cheaper than an
        answer from the lists for everybody, because of a few requests that a model cannot take.
        """
        record = self._record(variant, model)
        return self.clock() < record.until and (record.slow or not alone)

    def failed(self, variant: Variant, model: str, *, slow: bool) -> None:
        """It gave no answer. slow: it cost its whole time-out."""
        record = self._record(variant, model)
        record.failures += 1
        record.slow = slow
        if slow or record.failures >= FAILURES:
            record.until = self.clock() + (SLOW_SECONDS if slow else BROKEN_SECONDS)

    def answered(self, variant: Variant) -> None:
        """It gave an answer: whatever was before is over."""
        self._records.pop(variant, None)

    def _record(self, variant: Variant, model: str) -> Record:
        known, record = self._records.get(variant, ("", Record()))
        if known != model:
            record = Record()
            self._records[variant] = (model, record)
        return record
