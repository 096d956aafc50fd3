"""EXPERIMENT#id/META: who is compared with whom, by which terms, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from usher.decimals import loaded
from usher.records import ids, keys
from usher.router import SLOTS, Router, Slot, State
from usher.shift.errors import StateError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

ROLES = ("champion", "challenger")
#: open: it decides; baking: promoted, the loser is the way back; closed.
STATUSES = ("open", "baking", "closed")

#: A decision that ends an experiment → its outcome.
OUTCOMES: Mapping[str, str] = {
    "promote": "promoted",
    "roll_back": "rolled_back",
    "retire": "retired",
    "futile": "futile",
    "inconclusive": "inconclusive",
}
#: Clocks differ by seconds; a record that begins an hour from now was edited by hand.
CLOCK_SKEW_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Meta:
    """One experiment. All but `status` and what follows it never changes.

    started_at, decided_at, closed_at: epoch seconds, 0 for not yet. champion, challenger: slots as it was opened.
    hour_seconds: how long an hour of the preset's calendar takes. models: run ids by role.
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
    champion: Slot
    challenger: Slot
    models: Mapping[str, str]
    status: str = "open"
    outcome: str = ""
    reason: str = ""
    decided_at: int = 0
    closed_at: int = 0

    def slot(self, role: str) -> Slot:
        return self.champion if role == "champion" else self.challenger

    def role(self, slot: str) -> str:
        return "champion" if slot == self.champion else "challenger"

    def by_role(self, by_slot: Mapping[str, float]) -> dict[str, float]:
        """Weights by slot → by role."""
        return {role: by_slot[self.slot(role)] for role in ROLES}

    def by_slot(self, challenger: float) -> dict[str, float]:
        """The challenger's share → weights by slot, summing to one."""
        return {self.champion: round(1.0 - challenger, 4), self.challenger: challenger}

    def item(self) -> dict[str, Any]:
        """META's fields as they are at the opening."""
        later = ("experiment_id", "outcome", "reason", "decided_at", "closed_at")
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in later}


def read_meta(table: Table, experiment_id: str, now: float) -> Meta | None:
    """The record, read consistently; None without one; StateError when it cannot be true."""
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
        raise StateError(f"the record of experiment {experiment_id} cannot be true: {fault}")
    return meta


def _fault(meta: Meta, now: float) -> str | None:
    if {meta.champion, meta.challenger} != set(SLOTS):
        return f"champion {meta.champion!r} and challenger {meta.challenger!r} are not the two slots"
    if not (meta.salt and all(isinstance(meta.models[role], str) for role in ROLES)):
        return "the salt or a model is missing"
    times = ("attribution_seconds", "epoch_seconds", "settle_seconds", "hour_seconds", "bake_seconds", "started_at")
    wrong = [name for name in times if not getattr(meta, name) > 0]
    if wrong:
        return f"{', '.join(wrong)} must be above 0"
    if meta.started_at > now + CLOCK_SKEW_SECONDS:
        return f"it starts {meta.started_at - now:.0f} s from now"
    return None if meta.status in STATUSES else f"status {meta.status!r} is none of {', '.join(STATUSES)}"


def router_fault(router: Router, now: float) -> str | None:
    """Why a router cannot be followed as it stands, or None."""
    try:
        shares = [float(router.weights[slot]) for slot in SLOTS]
        whole = abs(sum(shares) - 1.0) <= 1e-6 and min(shares) >= 0
    except (KeyError, TypeError, ValueError):
        return f"its weights are {str(router.weights)[:100]}"
    if set(router.weights) != set(SLOTS) or not whole:
        told = ", ".join(f"{slot} {share}" for slot, share in router.weights.items())
        return f"its weights ({told[:100]}) do not sum to one"
    if router.champion not in SLOTS or router.state not in get_args(State):
        return f"champion {router.champion!r} in state {router.state!r} is unknown"
    if not isinstance(router.opened_at, int | float) or router.opened_at > now + CLOCK_SKEW_SECONDS:
        return f"it was opened at {router.opened_at!r}, which is not yet"
    return None


def alone_slot(router: Router) -> Slot:
    """Who serves when nothing but the router is known: its champion, or the slot with most of the traffic."""
    if router.champion in SLOTS:
        return router.champion
    return max(SLOTS, key=lambda slot: float(router.weights.get(slot, 0.0)))


def ids_in_slots(router: Router) -> list[str]:
    """The experiments that brought the models of both slots; the newest experiment is among them."""
    found = {ids.experiment_id(str(router.models[slot])) for slot in (router.idle, router.champion)}
    return sorted(found)


def newest_id(table: Table, router: Router, now: float) -> str | None:
    """The open experiment, or the one that ended last; None when there was none."""
    if router.experiment_is_open:
        return router.experiment_id
    metas = []
    for experiment_id in ids_in_slots(router):
        try:
            meta = read_meta(table, experiment_id, now)
        except StateError:
            continue
        if meta is not None:
            metas.append(meta)
    return max(metas, key=lambda meta: meta.started_at).experiment_id if metas else None
