"""Counted strata: each is read and checked, and left uncounted, with the reason, when it is inconsistent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from usher.experiments.stats.numerics import Floats, Ints

#: A stratum with more users than this was miscounted, and would make one decision slow.
MOST_USERS = 100_000_000
_TOLERANCE = 1e-6


class CountError(ValueError):
    """Counts that are malformed or inconsistent; a retry does not help."""


@dataclass(frozen=True, slots=True)
class RoleCount:
    """One role's users in a stratum: enrolled, converted, and the sums of their rewards (each 0 to 1) and squares."""

    exposed: int
    converted: int
    reward_sum: float = 0.0
    reward_squares: float = 0.0


@dataclass(frozen=True, slots=True)
class Stratum:
    """The users enrolled under one router version, counted once. weight: the challenger's designed share, 0 to 1."""

    version: int
    weight: float
    champion: RoleCount
    challenger: RoleCount

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> Stratum:
        """From a STRATUM item: version; weights, n, c, sum_y and sum_y2 by role. CountError for a malformed one."""
        version = _integer(item, "version")
        where = f"stratum {version}"
        weights = _mapping(item, "weights", where)
        shares = [_number(weights, "champion", where), _number(weights, "challenger", where)]
        if not math.isclose(sum(shares), 1.0, abs_tol=_TOLERANCE) or min(shares) < 0:
            raise CountError(f"{where}: weights {shares[0]:g} and {shares[1]:g} do not sum to one")
        return cls(version, min(shares[1], 1.0), _role(item, "champion", where), _role(item, "challenger", where))

    @property
    def exposed(self) -> Ints:
        """(1, 2) by role."""
        return np.array([[self.champion.exposed, self.challenger.exposed]], dtype=np.int64)

    @property
    def converted(self) -> Ints:
        return np.array([[self.champion.converted, self.challenger.converted]], dtype=np.int64)

    @property
    def reward_sum(self) -> Floats:
        return np.array([[self.champion.reward_sum, self.challenger.reward_sum]])

    @property
    def reward_squares(self) -> Floats:
        return np.array([[self.champion.reward_squares, self.challenger.reward_squares]])


class Uncounted(NamedTuple):
    """Something that was not counted, and why."""

    what: str
    reason: str


def sift(strata: Iterable[Stratum], last_version: int) -> tuple[list[Stratum], list[Uncounted]]:
    """The strata to count, in the order of their versions, and the others. last_version: the last one counted before.

    A version that is not above the last one was counted already, or came after a later one: it is not counted.
    """
    taken: list[Stratum] = []
    uncounted: list[Uncounted] = []
    for stratum in sorted(strata, key=lambda item: item.version):
        last = taken[-1].version if taken else last_version
        fault = _fault(stratum)
        if stratum.version <= last:
            fault = f"not above {last}, the last one counted: it came twice or too late"
        if fault:
            uncounted.append(Uncounted(f"stratum {stratum.version}", fault))
        else:
            taken.append(stratum)
    return taken, uncounted


def _fault(stratum: Stratum) -> str | None:
    """Why a stratum cannot be counted, or None."""
    if not (math.isfinite(stratum.weight) and 0 <= stratum.weight <= 1):
        return f"the challenger's weight {stratum.weight:g} is not between 0 and 1"
    if stratum.champion.exposed + stratum.challenger.exposed == 0:
        return "no user was enrolled in it"
    for role, count, share in (
        ("champion", stratum.champion, 1.0 - stratum.weight),
        ("challenger", stratum.challenger, stratum.weight),
    ):
        fault = _role_fault(count)
        if not fault and share == 0 and count.exposed:
            fault = f"{count.exposed} users although its weight is 0"
        if fault:
            return f"{role}: {fault}"
    return None


def _role_fault(count: RoleCount) -> str | None:
    if min(count.exposed, count.converted) < 0:
        return "a negative count"
    if count.exposed > MOST_USERS:
        return f"{count.exposed} users: a stratum has at most {MOST_USERS}"
    if count.converted > count.exposed:
        return f"{count.converted} conversions of {count.exposed} users"
    slack = _TOLERANCE * (1 + count.exposed)
    sums = (count.reward_squares, count.reward_sum)
    if (
        not all(math.isfinite(value) for value in sums)
        or not -slack <= sums[0] <= sums[1] + slack <= count.exposed + 2 * slack
    ):
        return "sums of rewards that are impossible for values between 0 and 1"
    return None


def _role(stratum: Mapping[str, Any], role: str, where: str) -> RoleCount:
    item, where = _mapping(stratum, role, where), f"{where}, {role}"
    return RoleCount(
        _integer(item, "n", where),
        _integer(item, "c", where),
        _number(item, "sum_y", where) if "sum_y" in item else 0.0,
        _number(item, "sum_y2", where) if "sum_y2" in item else 0.0,
    )


def _mapping(item: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = item.get(name)
    if not isinstance(value, Mapping):
        raise CountError(f"{where}: {name} is missing")
    return value


def _integer(item: Mapping[str, Any], name: str, where: str = "stratum") -> int:
    value = _number(item, name, where)
    if value != int(value):
        raise CountError(f"{where}: {name} is {item[name]!r}, not a whole number")
    return int(value)


def _number(item: Mapping[str, Any], name: str, where: str) -> float:
    """Decimal (as DynamoDB returns it), int or float; strings and booleans are refused."""
    value = item.get(name)
    try:
        number = math.nan if isinstance(value, str | bool) or value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise CountError(f"{where}: {name} is {str(value)[:40]!r}, not a number")
    return number
