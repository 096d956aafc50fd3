"""The open experiment as the read path knows it: its salt, its window, and which slot is which role."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usher.decimals import loaded
from usher.recommend.cached import Cached
from usher.records import keys
from usher.router import SLOTS, Slot

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

CHAMPION, CHALLENGER = "champion", "challenger"


class BadExperiment(Exception):
    """An experiment's record is missing or cannot be what shift_traffic wrote."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What never changes of an experiment. slots: by role. attribution_seconds: how long an exposure binds."""

    id: str
    salt: str
    attribution_seconds: float
    slots: Mapping[str, Slot]

    def role_of(self, slot: Slot) -> str:
        """The role that the slot has in this experiment."""
        return CHAMPION if self.slots[CHAMPION] == slot else CHALLENGER


def read_experiment(table: Table, experiment_id: str) -> Experiment:
    """By its META item, read consistently; BadExperiment when that is missing or damaged."""
    item = table.get_item(Key=keys.experiment(experiment_id).item(), ConsistentRead=True).get("Item")
    if item is None:
        raise BadExperiment(f"experiment {experiment_id} has no META item: the champion serves until it is closed")
    found: Any = loaded(item)
    try:
        salt, seconds = found["salt"], float(found["attribution_seconds"])
        slots: dict[str, Slot] = {role: found[role] for role in (CHAMPION, CHALLENGER)}
    except (KeyError, TypeError, ValueError) as error:
        raise BadExperiment(f"experiment {experiment_id}: META lacks {error}, or it is no number") from error
    if (
        sorted(map(str, slots.values())) != list(SLOTS)
        or not (isinstance(salt, str) and salt)
        or not math.isfinite(seconds)
    ):
        raise BadExperiment(f"experiment {experiment_id}: META needs a salt, a window and two slots, A and B")
    return Experiment(experiment_id, salt, seconds, slots)


class Experiments:
    """Each experiment read once; the last one asked for is kept. A failure is told, and tried again a second later."""

    def __init__(
        self,
        read: Callable[[str], Experiment],
        clock: Callable[[], float],
        failures: Callable[[Exception], None],
    ) -> None:
        self._read, self._clock, self._failures = read, clock, failures
        self._id = ""
        self._kept: Cached[Experiment] | None = None

    def get(self, experiment_id: str) -> Experiment | None:
        """The experiment, or None: it cannot be read."""
        if self._kept is None or self._id != experiment_id:
            self._id = experiment_id
            self._kept = Cached(lambda: self._read(experiment_id), math.inf, self._clock, self._failures)
        return self._kept.get()
