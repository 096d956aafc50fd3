"""EXPERIMENT#id/META: which models an experiment compares, on which terms, and how it ended; the opening of one.

The other items of an experiment: STATE and the writing of decisions in `experiment_state`, EPOCH and STRATUM in
`strata`, COMMAND in `operator_commands`; `experiment_history` reads all of them for display.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from usher.errors import RouterMoved
from usher.store import keys
from usher.store.codec import loaded, stored
from usher.store.router import CLOCK_SKEW_SECONDS, VARIANTS, Router, Variant, experiment_ids, put_after, read_router
from usher.store.transactions import is_cancelled, write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import Table

ROLES = ("champion", "challenger")
#: open: undecided; baking: promoted, the former champion can still be restored; closed.
STATUSES = ("open", "baking", "closed")

#: A decision that ends an experiment → its outcome.
OUTCOMES: Mapping[str, str] = {
    "promote": "promoted",
    "roll_back": "rolled_back",
    "retire": "retired",
    "futile": "futile",
    "inconclusive": "inconclusive",
}


class InvalidExperiment(ValueError):
    """The record of an experiment is missing or holds values that Usher never writes: it was edited by hand."""


class NoAttributionWindow(Exception):
    """The experiment's record is missing or has no usable attribution time: no outcome can count."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The META item. Only `status` and the fields after it ever change.

    started_at, decided_at, closed_at: epoch seconds, 0 for not yet. champion, challenger: variants at the opening.
    hour_seconds: length of an hour of the preset's calendar. models: run ids by role.
    """

    experiment_id: str
    salt: str
    started_at: int
    attribution_seconds: int
    epoch_seconds: int
    settle_seconds: float
    hour_seconds: float
    bake_seconds: int
    preset: str
    champion: Variant
    challenger: Variant
    models: Mapping[str, str]
    status: str = "open"
    outcome: str = ""
    reason: str = ""
    decided_at: int = 0
    closed_at: int = 0

    def variant(self, role: str) -> Variant:
        return self.champion if role == "champion" else self.challenger

    def role(self, variant: str) -> str:
        return "champion" if variant == self.champion else "challenger"

    def hours(self, now: float) -> float:
        """Hours of the preset's calendar since the start, never below 0."""
        return max(0.0, now - self.started_at) / self.hour_seconds

    def by_role(self, by_variant: Mapping[str, float]) -> dict[str, float]:
        """Weights by variant → by role."""
        return {role: by_variant[self.variant(role)] for role in ROLES}

    def by_variant(self, challenger: float) -> dict[str, float]:
        """The challenger's share → weights by variant, summing to one."""
        return {self.champion: round(1.0 - challenger, 4), self.challenger: challenger}

    def item(self) -> dict[str, Any]:
        """The fields that are written at the opening."""
        later = ("experiment_id", "outcome", "reason", "decided_at", "closed_at")
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in later}


def read_meta(table: Table, experiment_id: str, now: float) -> Meta | None:
    """The record, read consistently, or None; InvalidExperiment when it was edited by hand."""
    item: Any = loaded(table.get_item(Key=keys.experiment(experiment_id).item(), ConsistentRead=True).get("Item"))
    if item is None:
        return None
    given = {name: item[name] for name in Meta.__dataclass_fields__ if name in item}
    try:
        meta = Meta(experiment_id, **given)
        fault = _fault(meta, now)
    except (TypeError, KeyError, AttributeError) as error:
        fault = str(error)
    if fault:
        raise InvalidExperiment(
            f"the record of experiment {experiment_id} was edited by hand ({fault}): restore the item META"
        )
    return meta


def close_undecided(table: Table, experiment_id: str, reason: str, now: int) -> None:
    """Close an experiment that no tick will end. One that was decided keeps its outcome. now: epoch seconds."""
    write_if(
        table.update_item,
        Key=keys.experiment(experiment_id).item(),
        UpdateExpression="SET #status = :closed, closed_at = :now, outcome = if_not_exists(outcome, :outcome), "
        "reason = if_not_exists(reason, :reason)",
        ConditionExpression="attribute_exists(pk) AND #status <> :closed",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={
            ":closed": "closed",
            ":now": now,
            ":outcome": OUTCOMES["inconclusive"],
            ":reason": reason,
        },
    )


def read_attribution_seconds(dynamodb: DynamoDBClient, table: str, experiment_id: str) -> float:
    """How long after a user's first exposure an outcome counts; NoAttributionWindow when the record lacks it.

    dynamodb: a client that takes Python types, as a resource's client does; threads may share it.
    """
    key = keys.experiment(experiment_id).item()
    item: Any = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    try:
        seconds = float(item["attribution_seconds"])
    except (KeyError, TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise NoAttributionWindow(f"the record of experiment {experiment_id} has no usable attribution_seconds")
    return seconds


def _fault(meta: Meta, now: float) -> str | None:
    if {meta.champion, meta.challenger} != set(VARIANTS):
        return f"champion {meta.champion!r} and challenger {meta.challenger!r} are not the two variants"
    if not (meta.salt and all(isinstance(meta.models[role], str) for role in ROLES)):
        return "the salt or a model is missing"
    times = ("attribution_seconds", "epoch_seconds", "settle_seconds", "hour_seconds", "bake_seconds", "started_at")
    wrong = [name for name in times if not getattr(meta, name) > 0]
    if wrong:
        return f"{', '.join(wrong)} must be above 0"
    if meta.started_at > now + CLOCK_SKEW_SECONDS:
        return f"it starts {meta.started_at - now:.0f} s from now"
    return None if meta.status in STATUSES else f"status {meta.status!r} is not one of {', '.join(STATUSES)}"


def newest_id(table: Table, router: Router, now: float) -> str | None:
    """The open experiment, or the one that ended last; None when there was none."""
    if router.experiment_is_open:
        return router.experiment_id
    metas = []
    for experiment_id in experiment_ids(router):
        try:
            meta = read_meta(table, experiment_id, now)
        except InvalidExperiment:
            continue
        if meta is not None:
            metas.append(meta)
    return max(metas, key=lambda meta: meta.started_at).experiment_id if metas else None


def create_experiment(table: Table, meta: Meta, router: Router, seen_version: int) -> None:
    """Write META, an empty STATE and the router in one transaction.

    RouterMoved when the router's version is not `seen_version` any more, or when the experiment exists already.
    """
    name = table.name
    record = keys.experiment(meta.experiment_id).item() | stored(meta.item())
    state = keys.experiment_state(meta.experiment_id).item() | stored({"revision": 0, "router": router.fingerprint()})
    once = "attribute_not_exists(pk)"
    try:
        table.meta.client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": name, "Item": record, "ConditionExpression": once}},
                {"Put": {"TableName": name, "Item": state, "ConditionExpression": once}},
                put_after(table, router, seen_version),  # type: ignore[list-item]  # made by router.py
            ]
        )
    except ClientError as error:
        if not is_cancelled(error):
            raise
        current = read_router(table)
        raise RouterMoved(
            f"experiment {meta.experiment_id} was not opened: the router is at version "
            f"{current.version if current else 0} instead of {seen_version}, or that experiment exists "
            "already; the champion serves, start another run"
        ) from error
