"""EXPERIMENT#id/META: who is compared with whom, by which terms, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from usher.experiments.stats.errors import StateError
from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded
from usher.store.router import VARIANTS, Router, State, Variant

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

    started_at, decided_at, closed_at: epoch seconds, 0 for not yet. champion, challenger: variants as it was opened.
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

    def by_role(self, by_variant: Mapping[str, float]) -> dict[str, float]:
        """Weights by variant → by role."""
        return {role: by_variant[self.variant(role)] for role in ROLES}

    def by_variant(self, challenger: float) -> dict[str, float]:
        """The challenger's share → weights by variant, summing to one."""
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
    return None if meta.status in STATUSES else f"status {meta.status!r} is none of {', '.join(STATUSES)}"


def read_summary(table: Table, experiment_id: str) -> Mapping[str, Any] | None:
    """The summary of the experiment's newest tick, read consistently; None before the first."""
    item: Any = loaded(table.get_item(Key=keys.experiment_state(experiment_id).item(), ConsistentRead=True).get("Item"))
    summary: Mapping[str, Any] | None = (item or {}).get("summary")
    return summary


def router_fault(router: Router, now: float) -> str | None:
    """Why a router cannot be followed as it stands, or None."""
    try:
        shares = [float(router.weights[variant]) for variant in VARIANTS]
        whole = abs(sum(shares) - 1.0) <= 1e-6 and min(shares) >= 0
    except (KeyError, TypeError, ValueError):
        return f"its weights are {str(router.weights)[:100]}"
    if set(router.weights) != set(VARIANTS) or not whole:
        told = ", ".join(f"{variant} {share}" for variant, share in router.weights.items())
        return f"its weights ({told[:100]}) do not sum to one"
    if router.champion not in VARIANTS or router.state not in get_args(State):
        return f"champion {router.champion!r} in state {router.state!r} is unknown"
    if not isinstance(router.opened_at, int | float) or router.opened_at > now + CLOCK_SKEW_SECONDS:
        return f"it was opened at {router.opened_at!r}, which is not yet"
    return None


def alone_variant(router: Router) -> Variant:
    """Who serves when nothing but the router is known: its champion, or the variant with most of the traffic."""
    if router.champion in VARIANTS:
        return router.champion
    return max(VARIANTS, key=lambda variant: float(router.weights.get(variant, 0.0)))


def ids_in_variants(router: Router) -> list[str]:
    """The experiments that brought the models of both variants; the newest experiment is among them."""
    found = {ids.experiment_id(str(router.models[variant])) for variant in (router.idle_variant, router.champion)}
    return sorted(found)


def newest_id(table: Table, router: Router, now: float) -> str | None:
    """The open experiment, or the one that ended last; None when there was none."""
    if router.experiment_is_open:
        return router.experiment_id
    metas = []
    for experiment_id in ids_in_variants(router):
        try:
            meta = read_meta(table, experiment_id, now)
        except StateError:
            continue
        if meta is not None:
            metas.append(meta)
    return max(metas, key=lambda meta: meta.started_at).experiment_id if metas else None
