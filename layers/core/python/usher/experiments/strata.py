"""Counts strata: all users enrolled under one version of the router, once their attribution windows have closed.

A count that was interrupted is repeated; one that was written is used as it is, and checked like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from usher.experiments.stats.strata import CountError, Stratum, Uncounted
from usher.store.experiments import ROLES, Meta
from usher.store.exposures import exposures
from usher.store.strata import Epoch, ended_epochs, read_stratum, write_stratum

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: The clocks of two functions differ by less.
SKEW_SECONDS = 5.0
#: Epochs that one tick counts; the next ticks count the rest.
MOST_EPOCHS = 50


@dataclass(slots=True)
class RoleTally:
    """One role's users in a stratum: enrolled, converted, and the sums of their rewards and squared rewards."""

    n: int = 0
    c: int = 0
    sum_y: float = 0.0
    sum_y2: float = 0.0

    def add(self, reward: float | None) -> None:
        """Add a user. reward: 0 to 1 if the user converted, else None."""
        self.n += 1
        if reward is not None:
            self.c += 1
            self.sum_y += reward
            self.sum_y2 += reward * reward


@dataclass(slots=True)
class StratumTally:
    """A stratum's tallies by role, and by fault how many exposures were not counted."""

    roles: dict[str, RoleTally] = field(default_factory=lambda: {role: RoleTally() for role in ROLES})
    faults: dict[str, int] = field(default_factory=dict)

    def add_fault(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1


@dataclass(frozen=True, slots=True)
class DueStrata:
    """What is due at an epoch's close. cursor: the last version that is done with."""

    strata: list[Stratum]
    uncounted: list[Uncounted]
    cursor: int


class StratumCounter:
    """Counts the strata of one experiment."""

    def __init__(self, table: Table, meta: Meta) -> None:
        self._table = table
        self._meta = meta

    def due(self, cursor: int, now: float) -> DueStrata:
        """Count the epochs after version `cursor` whose windows have closed and settled."""
        found = DueStrata([], [], cursor)
        for epoch in ended_epochs(self._table, self._meta.experiment_id, cursor, MOST_EPOCHS):
            if epoch.closed_at + self._meta.attribution_seconds + self._meta.settle_seconds > now:
                break
            found = DueStrata(found.strata, found.uncounted, epoch.version)
            if epoch.void:
                found.uncounted.append(Uncounted(f"stratum {epoch.version}", epoch.void))
                continue
            self._take(epoch, found)
        return found

    def _take(self, epoch: Epoch, found: DueStrata) -> None:
        item = read_stratum(self._table, self._meta.experiment_id, epoch.version) or self._write(epoch)
        for fault, number in sorted(item.get("faults", {}).items()):
            found.uncounted.append(Uncounted(f"{number} exposures of stratum {epoch.version}", fault))
        try:
            found.strata.append(Stratum.read(item))
        except CountError as error:
            found.uncounted.append(Uncounted(f"stratum {epoch.version}", str(error)))

    def _write(self, epoch: Epoch) -> Any:
        tally = self.count(epoch)
        item = {
            "version": epoch.version,
            "weights": dict(epoch.weights),
            "opened_at": epoch.opened_at,
            "closed_at": epoch.closed_at,
            **{role: {"n": t.n, "c": t.c, "sum_y": t.sum_y, "sum_y2": t.sum_y2} for role, t in tally.roles.items()},
            **({"faults": tally.faults} if tally.faults else {}),
        }
        return write_stratum(self._table, self._meta.experiment_id, item)

    def count(self, epoch: Epoch) -> StratumTally:
        """Read every exposure under a version; their attribution windows have to be over."""
        tally = StratumTally()
        for item in exposures(self._table, self._meta.experiment_id, epoch.version):
            self._add(tally, epoch, item)
        return tally

    def _add(self, tally: StratumTally, epoch: Epoch, item: Mapping[str, Any]) -> None:
        meta, enrolled_at = self._meta, _number(item.get("enrolled_at"))
        latest = epoch.closed_at + meta.settle_seconds + SKEW_SECONDS
        if item.get("variant") not in (meta.champion, meta.challenger):
            tally.add_fault("of an unknown variant")
        elif not epoch.opened_at - SKEW_SECONDS <= enrolled_at <= latest:
            tally.add_fault("enrolled at a time outside of it: a clock is wrong, or the item was edited")
        else:
            try:
                tally.roles[meta.role(item["variant"])].add(self._reward(item, enrolled_at))
            except ValueError as error:
                tally.add_fault(str(error))

    def _reward(self, item: Mapping[str, Any], enrolled_at: float) -> float | None:
        """The reward of a user who converted in the window, else None; ValueError when the item is inconsistent."""
        if "converted_at" not in item:
            return None
        delay, reward = _number(item["converted_at"]) - enrolled_at, _number(item.get("reward"))
        if not -SKEW_SECONDS <= delay <= self._meta.attribution_seconds:
            raise ValueError("converted outside of the attribution window")
        if not 0.0 <= reward <= 1.0:
            raise ValueError("with a reward that is not between 0 and 1")
        return reward


def _number(value: Any) -> float:
    """NaN, which lies in no interval, for what is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
