"""ROUTER/ROUTER: which variant serves which share of the traffic; the only authority on it.

The endpoint's weights and the model registry follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from botocore.exceptions import ClientError

from usher.errors import RouterMoved, RouterUnreadable, is_condition_failed
from usher.schema import ids
from usher.store import keys
from usher.store.codec import loaded, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Variant = Literal["A", "B"]
State = Literal["idle", "testing", "frozen", "baking"]

VARIANTS: tuple[Variant, Variant] = ("A", "B")

#: Clocks differ by seconds; a time an hour ahead was edited by hand.
CLOCK_SKEW_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Router:
    """One version of the router.

    version:       counts up with every write; every write ends the stratum.
    opened_at:     when this version was written, epoch seconds.
    state:         idle, or the open experiment's state.
    champion:      the variant whose model is the champion.
    weights:       share of the traffic by variant, 0 to 1, together 1.
    models:        run id of the model in each variant.
    """

    version: int
    opened_at: int
    state: State
    experiment_id: str
    champion: Variant
    weights: Mapping[str, float]
    models: Mapping[str, str]

    @property
    def idle_variant(self) -> Variant:
        """The variant that a new model goes to: the one that is not the champion's."""
        return VARIANTS[1] if self.champion == VARIANTS[0] else VARIANTS[0]

    def variant_of(self, model: str) -> Variant:
        """The variant that holds a model; the champion's if both do."""
        return self.champion if self.models[self.champion] == model else self.idle_variant

    @property
    def experiment_is_open(self) -> bool:
        return self.state != "idle"

    @classmethod
    def first(cls, model: str, now: int) -> Router:
        """The first deployment: both variants hold the model, and A has all the traffic."""
        return cls(1, now, "idle", "", "A", {"A": 1.0, "B": 0.0}, {"A": model, "B": model})

    def with_idle_model(self, model: str, now: int) -> Router:
        """The next version, with `model` in the idle variant at weight 0; RouterMoved while an experiment is open."""
        if self.experiment_is_open:
            raise RouterMoved(
                f"experiment {self.experiment_id} is open (router version {self.version}), so model {model} cannot be "
                "deployed: wait until it has closed, or end it with `usher rollback`"
            )
        models: dict[str, str] = {self.champion: self.models[self.champion], self.idle_variant: model}
        return replace(self.without_experiment(self.champion, now), models=models)

    def without_experiment(self, variant: Variant, now: int) -> Router:
        """The next version, idle: no experiment is open, and `variant` is the champion with all the traffic."""
        return replace(
            self,
            version=self.version + 1,
            opened_at=now,
            state="idle",
            experiment_id="",
            champion=variant,
            weights={name: 1.0 if name == variant else 0.0 for name in VARIANTS},
        )

    def item(self) -> dict[str, Any]:
        """The stored item's fields."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def fingerprint(self) -> dict[str, Any]:
        """The fields by which the next tick sees that only Usher has written the router."""
        return {name: getattr(self, name) for name in ("version", "state", "champion", "weights")}


def read_router(table: Table) -> Router | None:
    """The router, read consistently; None before the first deployment, RouterUnreadable when its item lacks a field."""
    item = table.get_item(Key=keys.ROUTER.item(), ConsistentRead=True).get("Item")
    if item is None:
        return None
    found: Any = loaded(item)
    try:
        return Router(**{name: found[name] for name in Router.__dataclass_fields__})
    except KeyError as error:
        raise RouterUnreadable(f"the router was edited by hand: it lacks {error}; restore the item") from error


def put_after(table: Table, router: Router, seen_version: int | None) -> dict[str, Any]:
    """The write of `router` in a transaction, if `seen_version` (None: no router) is still the version."""
    put: dict[str, Any] = {"TableName": table.name, "Item": keys.ROUTER.item() | stored(router.item())}
    if seen_version is None:
        return {"Put": put | {"ConditionExpression": "attribute_not_exists(pk)"}}
    values = {":seen": stored(seen_version)}
    return {"Put": put | {"ConditionExpression": "version = :seen", "ExpressionAttributeValues": values}}


def replace_router(table: Table, router: Router, seen_version: int) -> None:
    """Write `router` on condition that `seen_version` is still the version; an AWS error when it is not."""
    table.meta.client.transact_write_items(TransactItems=[put_after(table, router, seen_version)])  # type: ignore[list-item]


def write_router(table: Table, router: Router) -> None:
    """Write the next version; RouterMoved when another writer was faster."""
    put = put_after(table, router, router.version - 1 or None)["Put"]
    try:
        table.meta.client.put_item(**put)
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        current = read_router(table)
        raise RouterMoved(
            f"router version {router.version} was not written: the router is at version "
            f"{current.version if current else 'none'} already; read it again and decide again"
        ) from error


def delete_router(table: Table) -> None:
    """Delete the router: its endpoint is gone, and the next run deploys the first model again."""
    table.delete_item(Key=keys.ROUTER.item())


def router_fault(router: Router, now: float) -> str | None:
    """Why no request can be routed by this item, or None."""
    try:
        shares = [float(router.weights[variant]) for variant in VARIANTS]
        whole = abs(sum(shares) - 1.0) <= 1e-6 and min(shares) >= 0
    except (KeyError, TypeError, ValueError):
        return f"its weights are {str(router.weights)[:100]}"
    if set(router.weights) != set(VARIANTS) or not whole:
        listed = ", ".join(f"{variant} {share}" for variant, share in router.weights.items())
        return f"its weights ({listed[:100]}) do not sum to one"
    if router.champion not in VARIANTS or router.state not in get_args(State):
        return f"champion {router.champion!r} in state {router.state!r} is unknown"
    if not isinstance(router.opened_at, int | float) or router.opened_at > now + CLOCK_SKEW_SECONDS:
        return f"it was opened at {router.opened_at!r}, which is in the future"
    return None


def serving_variant(router: Router) -> Variant:
    """The variant that serves when only the router is known: its champion's, else the one with most of the traffic."""
    if router.champion in VARIANTS:
        return router.champion
    return max(VARIANTS, key=lambda variant: float(router.weights.get(variant, 0.0)))


def experiment_ids(router: Router) -> list[str]:
    """The ids of the experiments of both variants' models; the newest experiment is among them."""
    found = {ids.experiment_id(str(router.models[variant])) for variant in (router.idle_variant, router.champion)}
    return sorted(found)
