"""EXPERIMENT#id/STATE: what a tick remembers, its lease, and the one transaction that writes a decision.

A decision is written whole or not at all: ROUTER, STATE, DECISION, EPOCH, META and the executed COMMAND, on the router
version and the revision of STATE that the tick read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import TickUnderWay, is_condition_failed
from usher.schema.times import iso
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.experiments import ROLES, Meta
from usher.store.router import Router, put_after
from usher.store.transactions import is_cancelled, update, write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

USHER = "usher"
#: The function's time-out and ten seconds: a tick that is alive never loses its lease.
LEASE_SECONDS = 310


@dataclass(frozen=True, slots=True)
class ExperimentState:
    """The STATE item. revision: number of its writes, None when the item is missing or damaged.

    evidence: as stats.codec wrote it, None before the first tick. router: as Usher wrote it last.
    hold: {operator, why, at} of a freeze. cursor: the last version whose stratum is done with.
    side_effects: still to be carried out. endpoint_problem: recorded by the workflow. summary: the newest tick's.
    """

    revision: int | None
    evidence: Mapping[str, Any] | None
    router: Mapping[str, Any] = field(default_factory=dict)
    hold: Mapping[str, Any] | None = None
    cursor: int = 0
    side_effects: Mapping[str, Any] = field(default_factory=dict)
    endpoint_problem: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, table: Table, experiment_id: str) -> ExperimentState:
        """Read consistently; empty when the item is missing."""
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


@dataclass(frozen=True, slots=True)
class Transition:
    """One decision. router: the next version, or the unchanged router.

    by, why: the operator and the reason given, else Usher. status, outcome: META's from now on.
    side_effects: {popular_lists, approve, reject: run ids; check_next_run: true}.
    """

    decision: str
    reason: str
    router: Router
    status: str = "open"
    outcome: str = ""
    by: str = USHER
    why: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    side_effects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a tick writes. before: the router that it read. fields: STATE's, except revision, router and summary.

    void: why the stratum that ends now does not count, or empty. command: sort key of the executed command, or empty.
    notes: added to STATE's summary.
    """

    before: Router
    transition: Transition
    fields: Mapping[str, Any] = field(default_factory=dict)
    void: str = ""
    command: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changes_router(self) -> bool:
        return self.transition.router is not self.before


class ExperimentStore:
    """Writes the items of one experiment. meta: None when the record cannot be read."""

    def __init__(self, table: Table, experiment_id: str, meta: Meta | None) -> None:
        self._table = table
        self._id = experiment_id
        self._meta = meta

    def write(self, state: ExperimentState, change: StateChange, now: float) -> None:
        """Write everything or nothing; TickUnderWay when the router or the state has changed since they were read."""
        items: list[Any] = [{"Update": self._state(state, change, now)}]
        if change.changes_router:
            items.append(put_after(self._table, change.transition.router, change.before.version))
            items.append({"Put": self._item(*self._epoch(state, change, now))})
        if change.changes_router or change.command:
            key = keys.decision(self._id, iso(now))
            items.append({"Put": self._item(key, self._decision(change, now))})
            if change.command:
                items.append({"Update": self._answered(change.command, "executed", change.transition.reason, key.sk)})
        if (meta := self._meta_update(change, now)) is not None:
            items.append({"Update": meta})
        try:
            if len(items) == 1:  # a tick that changes nothing: a transaction would cost twice as much
                self._table.meta.client.update_item(**items[0]["Update"])
            else:
                self._table.meta.client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if not is_cancelled(error) and not is_condition_failed(error):
                raise
            raise TickUnderWay(
                f"another writer changed experiment {self._id} first: this tick's decision is not written; try again"
            ) from error

    def refuse_command(self, sk: str, reason: str) -> None:
        """Record why a command is not executed."""
        self._table.meta.client.update_item(**self._answered(sk, "refused", reason, ""))

    def _state(self, state: ExperimentState, change: StateChange, now: float) -> dict[str, Any]:
        fields = {
            **change.fields,
            "revision": (state.revision or 0) + 1,
            "router": change.transition.router.fingerprint(),
            "summary": self._summary(change, now),
        }
        key = keys.experiment_state(self._id)
        if state.revision is None:
            return update(self._table.name, key, fields)
        return update(self._table.name, key, fields, "revision = :seen", seen=state.revision)

    def _summary(self, change: StateChange, now: float) -> dict[str, Any]:
        made = change.transition
        summary = {"at": now, "decision": made.decision, "reason": made.reason, "state": made.router.state}
        return summary | {"weights": self._weights(made.router), "numbers": dict(made.numbers)} | dict(change.notes)

    def _weights(self, router: Router) -> dict[str, float]:
        """By role; without a record the router's champion is the champion."""
        if self._meta is not None:
            return {role: _number(router.weights.get(self._meta.variant(role))) for role in ROLES}
        champion = _number(router.weights.get(router.champion))
        return {"champion": champion, "challenger": round(1.0 - champion, 4)}

    def _epoch(self, state: ExperimentState, change: StateChange, now: float) -> tuple[keys.Key, dict[str, Any]]:
        """The version that ends. One that was edited is void under the number that Usher gave it."""
        before = change.before
        void = change.void or ("" if before.state == "testing" else f"{before.state}: no user was enrolled")
        version = state.last_router_version() if change.void else int(before.version)
        item = {
            "version": version,
            "state": before.state,
            "weights": self._weights(before),
            "opened_at": before.opened_at,
            "closed_at": now,
            **({"void": void} if void else {}),
        }
        return keys.epoch(self._id, version), item

    def _decision(self, change: StateChange, now: float) -> dict[str, Any]:
        made = change.transition
        return {
            "decision": made.decision,
            "reason": made.reason,
            "numbers": dict(made.numbers),
            "weights_before": self._weights(change.before),
            "weights_after": self._weights(made.router),
            "router_version": made.router.version,
            "state": made.router.state,
            "by": made.by,
            "why": made.why,
            "at": now,
        }

    def _meta_update(self, change: StateChange, now: float) -> dict[str, Any] | None:
        made, status = change.transition, self._meta.status if self._meta else ""
        if not change.changes_router or made.status == status or not made.outcome:
            return None
        fields: dict[str, Any] = {"status": made.status, "outcome": made.outcome}
        if status != "baking" or made.decision != "promote":
            fields |= {"reason": made.reason, "decided_at": int(now)}
        if made.status == "closed":
            fields["closed_at"] = int(now)
        return update(self._table.name, keys.experiment(self._id), fields)

    def _answered(self, sk: str, status: str, outcome: str, decision: str) -> dict[str, Any]:
        fields = {"status": status, "outcome": outcome, **({"decision": decision} if decision else {})}
        return update(self._table.name, keys.Key(keys.experiment(self._id).pk, sk), fields)

    def _item(self, key: keys.Key, item: Mapping[str, Any]) -> dict[str, Any]:
        return {"TableName": self._table.name, "Item": key.item() | stored(item)}


def remove_side_effects(table: Table, experiment_id: str, completed: Mapping[str, Any]) -> bool:
    """Remove the completed side effects from STATE; False when a later decision has replaced them meanwhile."""
    return _update_if(table, experiment_id, "REMOVE side_effects", "side_effects = :done", {":done": stored(completed)})


class TickLease:
    """One tick at a time for one experiment. It saves work; correctness rests on the conditions of the writes.

    holder: the workflow execution's name.
    """

    def __init__(self, table: Table, experiment_id: str, holder: str) -> None:
        self._table = table
        self._id = experiment_id
        self._holder = holder

    def take(self, now: float) -> None:
        """Take it; TickUnderWay while another holder has it."""
        lease = {"holder": self._holder, "expires_at": int(now) + LEASE_SECONDS}
        free = "attribute_not_exists(lease) OR lease.expires_at <= :now OR lease.holder = :holder"
        values = {":lease": lease, ":now": int(now), ":holder": self._holder}
        if not _update_if(self._table, self._id, "SET lease = :lease", free, values):
            raise TickUnderWay(f"another tick of experiment {self._id} is in progress: try again when it has ended")

    def release(self) -> None:
        """Release it, if this holder has it."""
        _update_if(self._table, self._id, "REMOVE lease", "lease.holder = :holder", {":holder": self._holder})


def _update_if(table: Table, experiment_id: str, expression: str, condition: str, values: Mapping[str, Any]) -> bool:
    """Update STATE; False when the condition does not hold."""
    existing = write_if(
        table.update_item,
        Key=keys.experiment_state(experiment_id).item(),
        UpdateExpression=expression,
        ConditionExpression=condition,
        ExpressionAttributeValues=values,
    )
    return existing is None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
