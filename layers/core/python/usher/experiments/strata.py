"""A stratum counted: all users enrolled under one version of the router, once their windows have closed.

EPOCH#version says when each version of the router began and ended; STRATUM#version is written once, when counted. A
count that was interrupted is made again; one that was written is taken as it stands, and checked like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from usher.errors import is_condition_failed
from usher.experiments.stats.errors import CountError
from usher.experiments.stats.strata import SetApart, Stratum
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.experiments import ROLES, Meta

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: Clocks of two functions differ by less.
SKEW_SECONDS = 5.0
#: So many are counted in one tick: after a pause the next ticks go on.
MOST_EPOCHS = 50


@dataclass(frozen=True, slots=True)
class Epoch:
    """One version of the router that has ended. void: why nothing of it counts, or empty."""

    version: int
    weights: Mapping[str, float]
    opened_at: float
    closed_at: float
    void: str = ""


@dataclass(slots=True)
class Tally:
    """One role's users in a stratum."""

    n: int = 0
    c: int = 0
    sum_y: float = 0.0
    sum_y2: float = 0.0

    def add(self, reward: float | None) -> None:
        """One user. reward: 0 to 1 if the user converted, else None."""
        self.n += 1
        if reward is not None:
            self.c += 1
            self.sum_y += reward
            self.sum_y2 += reward * reward


@dataclass(slots=True)
class Count:
    """A stratum's tallies by role, and exposures that cannot be true by their fault."""

    roles: dict[str, Tally] = field(default_factory=lambda: {role: Tally() for role in ROLES})
    faults: dict[str, int] = field(default_factory=dict)

    def fault(self, words: str) -> None:
        self.faults[words] = self.faults.get(words, 0) + 1


@dataclass(frozen=True, slots=True)
class Due:
    """What is due at an epoch's close. cursor: the last version that need not be looked at again."""

    strata: list[Stratum]
    apart: list[SetApart]
    cursor: int


class Strata:
    """The strata of one experiment."""

    def __init__(self, table: Table, meta: Meta) -> None:
        self._table = table
        self._meta = meta
        self._pk = keys.experiment(meta.experiment_id).pk

    def due(self, cursor: int, now: float) -> Due:
        """Count what has ended, settled, and comes after version `cursor`."""
        found = Due([], [], cursor)
        for epoch in self._epochs(cursor):
            if epoch.closed_at + self._meta.attribution_seconds + self._meta.settle_seconds > now:
                break
            found = Due(found.strata, found.apart, epoch.version)
            if epoch.void:
                found.apart.append(SetApart(f"stratum {epoch.version}", epoch.void))
                continue
            self._take(epoch, found)
        return found

    def _take(self, epoch: Epoch, found: Due) -> None:
        item = self._stored(epoch.version) or self._write(epoch, self.count(epoch))
        for words, number in sorted(item.get("faults", {}).items()):
            found.apart.append(SetApart(f"{number} exposures of stratum {epoch.version}", words))
        try:
            found.strata.append(Stratum.read(item))
        except CountError as error:
            found.apart.append(SetApart(f"stratum {epoch.version}", str(error)))

    def count(self, epoch: Epoch) -> Count:
        """Read every exposure of a version; the attribution windows of all have to be over."""
        count = Count()
        for shard in range(keys.EXPOSURE_SHARDS):
            for item in self._exposures(epoch.version, shard):
                self._add(count, epoch, item)
        return count

    def _add(self, count: Count, epoch: Epoch, item: Mapping[str, Any]) -> None:
        meta, enrolled_at = self._meta, _number(item.get("enrolled_at"))
        latest = epoch.closed_at + meta.settle_seconds + SKEW_SECONDS
        if item.get("variant") not in (meta.champion, meta.challenger):
            count.fault("of no variant that there is")
        elif not epoch.opened_at - SKEW_SECONDS <= enrolled_at <= latest:
            count.fault("stamped outside of it: a clock is wrong, or the item was edited")
        else:
            try:
                count.roles[meta.role(item["variant"])].add(self._reward(item, enrolled_at))
            except ValueError as error:
                count.fault(str(error))

    def _reward(self, item: Mapping[str, Any], enrolled_at: float) -> float | None:
        """The reward of a user who converted in the window, else None; ValueError when it cannot be true."""
        if "converted_at" not in item:
            return None
        delay, reward = _number(item["converted_at"]) - enrolled_at, _number(item.get("reward"))
        if not -SKEW_SECONDS <= delay <= self._meta.attribution_seconds:
            raise ValueError("converted outside of the window")
        if not 0.0 <= reward <= 1.0:
            raise ValueError("with a reward that is not between 0 and 1")
        return reward

    def _exposures(self, version: int, shard: int) -> Iterator[Mapping[str, Any]]:
        """One shard's exposures, page by page."""
        question: dict[str, Any] = {
            "TableName": self._table.name,
            "IndexName": keys.EXPOSURE_INDEX,
            "KeyConditionExpression": "GSI1pk = :shard",
            "ExpressionAttributeValues": {":shard": f"{self._pk}#{version}#{shard}"},
            "ProjectionExpression": "#variant, enrolled_at, converted_at, reward",
            "ExpressionAttributeNames": {"#variant": "variant"},
        }
        while True:
            answer = self._table.meta.client.query(**question)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _epochs(self, cursor: int) -> list[Epoch]:
        after = Key("sk").between(keys.epoch(self._meta.experiment_id, cursor + 1).sk, "EPOCH#:")
        answer = self._table.query(
            KeyConditionExpression=Key("pk").eq(self._pk) & after, Limit=MOST_EPOCHS, ConsistentRead=True
        )
        items: Any = loaded(answer["Items"])
        return [
            Epoch(item["version"], item["weights"], item["opened_at"], item["closed_at"], item.get("void", ""))
            for item in items
        ]

    def _stored(self, version: int) -> Any:
        key = keys.stratum(self._meta.experiment_id, version)
        return self._table.get_item(Key=key.item(), ConsistentRead=True).get("Item")

    def _write(self, epoch: Epoch, count: Count) -> Any:
        """Written once: of two ticks that counted the same, the first one's item stands."""
        item = {
            "version": epoch.version,
            "weights": dict(epoch.weights),
            "opened_at": epoch.opened_at,
            "closed_at": epoch.closed_at,
            **{role: {"n": t.n, "c": t.c, "sum_y": t.sum_y, "sum_y2": t.sum_y2} for role, t in count.roles.items()},
            **({"faults": count.faults} if count.faults else {}),
        }
        key = keys.stratum(self._meta.experiment_id, epoch.version)
        try:
            self._table.put_item(Item=key.item() | stored(item), ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return self._stored(epoch.version)
        return item


def _number(value: Any) -> float:
    """NaN, which is outside of everything, for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
