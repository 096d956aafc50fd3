"""What a tick reads and leaves behind: STATE and, when something was decided, all that changes, in one transaction."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import TickUnderWay, is_condition_failed
from usher.experiments.opening import expected
from usher.experiments.transitions import Step
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.experiments import ROLES, Meta
from usher.store.router import Router, put_after
from usher.store.transactions import is_cancelled, update

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


_TABLE = "TableName"


@dataclass(frozen=True, slots=True)
class Kept:
    """STATE. revision: counts its writes, None when the item is gone or was edited.

    evidence: as stats.codec wrote it, None before the first tick. router: how the last writer left it.
    held: who froze the weights and why. cursor: the last version whose stratum needs no look any more.
    side_effects: what a decision left to do. trouble: of the endpoint, as the workflow met it.
    """

    revision: int | None
    evidence: Mapping[str, Any] | None
    router: Mapping[str, Any] = field(default_factory=dict)
    held: Mapping[str, Any] | None = None
    cursor: int = 0
    side_effects: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, table: Table, experiment_id: str) -> Kept:
        """The item, read consistently; an empty one when it is gone."""
        key = keys.experiment_state(experiment_id).item()
        item: Any = loaded(table.get_item(Key=key, ConsistentRead=True).get("Item")) or {}
        revision, cursor = item.get("revision"), item.get("cursor", 0)
        return cls(
            revision if isinstance(revision, int) else None,
            None if item.get("evidence") is None else _mapping(item["evidence"]),
            _mapping(item.get("router")),
            _mapping(item.get("hold")) or None,
            cursor if isinstance(cursor, int) else 0,
            _mapping(item.get("side_effects")),
            str(item.get("endpoint_problem", "")),
            _mapping(item.get("summary")),
        )

    def last_router_version(self) -> int:
        version = self.router.get("version", 0)
        return version if isinstance(version, int) else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Change:
    """What a tick writes. before: the router as it was read. fields: STATE's beside revision, router and summary.

    void: why the stratum that ends now must not count, or empty. order: the sk of the order that is obeyed, or empty.
    notes: for STATE's summary, beside the decision.
    """

    before: Router
    step: Step
    fields: Mapping[str, Any] = field(default_factory=dict)
    void: str = ""
    order: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        return self.step.router is not self.before


class Book:
    """The items of one experiment, written with the conditions under which they hold."""

    def __init__(self, table: Table, experiment_id: str, meta: Meta | None) -> None:
        self._table = table
        self._id = experiment_id
        self._meta = meta

    def write(self, kept: Kept, change: Change, now: float) -> None:
        """All of it or nothing; TickUnderWay when the router or the state is another by now."""
        items: list[Any] = [{"Update": self._state(kept, change, now)}]
        if change.moves:
            items.append(put_after(self._table, change.step.router, change.before.version))
            items.append({"Put": self._item(*self._epoch(kept, change, now))})
        if change.moves or change.order:
            sk = keys.decision(self._id, timestamp(now))
            items.append({"Put": self._item(sk, self._decision(change, now))})
            if change.order:
                items.append({"Update": self._answered(change.order, "executed", change.step.reason, sk.sk)})
        if (meta := self._meta_update(change, now)) is not None:
            items.append({"Update": meta})
        try:
            if len(items) == 1:  # a tick that changes nothing: a transaction would cost twice as much
                self._table.update_item(**{name: value for name, value in items[0]["Update"].items() if name != _TABLE})
            else:
                self._table.meta.client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if not is_cancelled(error) and not is_condition_failed(error):
                raise
            raise TickUnderWay(
                f"another writer was faster at {self._id}: this tick's decision is not written"
            ) from error

    def refuse(self, order: str, reason: str) -> None:
        """Tell an order's giver why not."""
        answered = self._answered(order, "refused", reason, "")
        answered.pop(_TABLE)
        self._table.update_item(**answered)

    def _state(self, kept: Kept, change: Change, now: float) -> dict[str, Any]:
        fields = {
            **change.fields,
            "revision": (kept.revision or 0) + 1,
            "router": expected(change.step.router),
            "summary": self._summary(change, now),
        }
        key = keys.experiment_state(self._id)
        if kept.revision is None:
            return update(self._table.name, key, fields)
        return update(self._table.name, key, fields, "revision = :seen", seen=kept.revision)

    def _summary(self, change: Change, now: float) -> dict[str, Any]:
        step = change.step
        said = {"at": now, "decision": step.decision, "reason": step.reason, "state": step.router.state}
        return said | {"weights": self._weights(step.router), "numbers": dict(step.numbers)} | dict(change.notes)

    def _weights(self, router: Router) -> dict[str, float]:
        """By role; where no record says which variant is which, the router's champion is the champion."""
        if self._meta is not None:
            return {role: _number(router.weights.get(self._meta.variant(role))) for role in ROLES}
        champion = _number(router.weights.get(router.champion))
        return {"champion": champion, "challenger": round(1.0 - champion, 4)}

    def _epoch(self, kept: Kept, change: Change, now: float) -> tuple[keys.Key, dict[str, Any]]:
        """The version that ends. One that was edited is void under the number that Usher gave it."""
        before = change.before
        void = change.void or ("" if before.state == "testing" else f"{before.state}: nobody enrolled")
        version = kept.last_router_version() if change.void else int(before.version)
        item = {
            "version": version,
            "state": before.state,
            "weights": self._weights(before),
            "opened_at": before.opened_at,
            "closed_at": now,
            **({"void": void} if void else {}),
        }
        return keys.epoch(self._id, version), item

    def _decision(self, change: Change, now: float) -> dict[str, Any]:
        step = change.step
        return {
            "decision": step.decision,
            "reason": step.reason,
            "numbers": dict(step.numbers),
            "weights_before": self._weights(change.before),
            "weights_after": self._weights(step.router),
            "router_version": step.router.version,
            "state": step.router.state,
            "by": step.by,
            "why": step.why,
            "at": now,
        }

    def _meta_update(self, change: Change, now: float) -> dict[str, Any] | None:
        step, status = change.step, self._meta.status if self._meta else ""
        if not change.moves or step.status == status or not step.outcome:
            return None
        fields: dict[str, Any] = {"status": step.status, "outcome": step.outcome}
        if status != "baking" or step.decision != "promote":
            fields |= {"reason": step.reason, "decided_at": int(now)}
        if step.status == "closed":
            fields["closed_at"] = int(now)
        return update(self._table.name, keys.experiment(self._id), fields)

    def _answered(self, sk: str, status: str, outcome: str, decision: str) -> dict[str, Any]:
        fields = {"status": status, "outcome": outcome, **({"decision": decision} if decision else {})}
        key = keys.Key(keys.experiment(self._id).pk, sk)
        return update(self._table.name, key, fields)

    def _item(self, key: keys.Key, item: Mapping[str, Any]) -> dict[str, Any]:
        return {"TableName": self._table.name, "Item": key.item() | stored(item)}


def timestamp(now: float) -> str:
    """ISO 8601, UTC, microseconds: sorts as text."""
    return datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
