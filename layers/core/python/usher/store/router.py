"""ROUTER/ROUTER: which variant serves which share of the traffic. The endpoint's weights and the registry follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from usher.errors import RouterMoved, is_condition_failed
from usher.store import keys
from usher.store.codec import loaded, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Variant = Literal["A", "B"]
State = Literal["idle", "testing", "frozen", "baking"]

VARIANTS: tuple[Variant, Variant] = ("A", "B")


@dataclass(frozen=True, slots=True)
class Router:
    """One version of the router.

    version:       counts up with every write; any write ends the stratum.
    opened_at:     when this version was written, epoch seconds.
    state:         idle, or what the open experiment is doing.
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
        """The variant that a new model goes to: the champion's neighbour."""
        return VARIANTS[1] if self.champion == VARIANTS[0] else VARIANTS[0]

    def variant_of(self, model: str) -> Variant:
        """The variant that a model stands in, the champion's first."""
        return self.champion if self.models[self.champion] == model else self.idle_variant

    @property
    def experiment_is_open(self) -> bool:
        return self.state != "idle"

    @classmethod
    def first(cls, model: str, now: int) -> Router:
        """The first deployment: the model stands in both variants, and A has all the traffic."""
        return cls(1, now, "idle", "", "A", {"A": 1.0, "B": 0.0}, {"A": model, "B": model})

    def with_idle_model(self, model: str, now: int) -> Router:
        """The next version, with `model` in the idle variant at weight 0; RouterMoved while an experiment is open."""
        if self.experiment_is_open:
            raise RouterMoved(
                f"experiment {self.experiment_id} is open (router version {self.version}): {model} cannot take the "
                "idle variant; wait until it is closed, or end it with `usher rollback`"
            )
        models: dict[str, str] = {self.champion: self.models[self.champion], self.idle_variant: model}
        return replace(self.alone(self.champion, now), models=models)

    def alone(self, variant: Variant, now: int) -> Router:
        """The next version, idle: no experiment, and `variant` is the champion with all the traffic."""
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
        """The item as the state table keeps it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def read_router(table: Table) -> Router | None:
    """The router as it stands, read consistently; None before the first deployment."""
    item = table.get_item(Key=keys.ROUTER.item(), ConsistentRead=True).get("Item")
    if item is None:
        return None
    found: Any = loaded(item)
    return Router(
        version=found["version"],
        opened_at=found["opened_at"],
        state=found["state"],
        experiment_id=found["experiment_id"],
        champion=found["champion"],
        weights=found["weights"],
        models=found["models"],
    )


def put_after(table: Table, router: Router, seen_version: int | None) -> dict[str, Any]:
    """The write of `router` as a member of a transaction: it holds if `seen_version` (None: no router) still stands."""
    put: dict[str, Any] = {"TableName": table.name, "Item": keys.ROUTER.item() | stored(router.item())}
    if seen_version is None:
        return {"Put": put | {"ConditionExpression": "attribute_not_exists(pk)"}}
    values = {":seen": stored(seen_version)}
    return {"Put": put | {"ConditionExpression": "version = :seen", "ExpressionAttributeValues": values}}


def write_router(table: Table, router: Router) -> None:
    """Write the version after the one that stands; RouterMoved when another writer was faster."""
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if router.version > 1:
        condition = {
            "ConditionExpression": "version = :before",
            "ExpressionAttributeValues": {":before": router.version - 1},
        }
    try:
        table.put_item(Item=keys.ROUTER.item() | stored(router.item()), **condition)
    except ClientError as error:
        if not is_condition_failed(error):
            raise
        standing = read_router(table)
        raise RouterMoved(
            f"router version {router.version} was not written: version {standing.version if standing else 'none'} "
            "stands; read it again and decide again"
        ) from error
