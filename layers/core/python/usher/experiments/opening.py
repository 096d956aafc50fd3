"""The opening of an experiment: its record, an empty state, and a router that shows it, all in one transaction.

deploy_experiment carries no numpy, so what it needs of a preset stands here; a test compares it with stats.presets.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from usher.errors import OperatorError, RouterMoved
from usher.schema import ids
from usher.schema.settings import Settings
from usher.store import keys
from usher.store.codec import stored
from usher.store.experiments import Meta
from usher.store.router import Router, put_after, read_router
from usher.store.transactions import is_cancelled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


@dataclass(frozen=True, slots=True)
class Opening:
    """A preset's first share of the challenger, and how long a stratum settles at least, seconds."""

    share: float
    settle_seconds: float


OPENINGS: Mapping[str, Opening] = {
    "default": Opening(0.05, 60),
    "patient": Opening(0.05, 60),
    "cautious": Opening(0.05, 60),
    "demo": Opening(0.10, 5),
}
#: A router's reader may be so much late beyond its cache: the time of one request.
READER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Terms:
    """By which terms experiments run here, all times in seconds but `preset`'s own hours."""

    preset: str
    epoch_seconds: int
    attribution_seconds: int
    hour_seconds: float
    bake_seconds: int
    router_cache_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """From the deployment's settings; OperatorError for a preset that nobody knows."""
        if settings.experiment_preset not in OPENINGS:
            raise OperatorError(
                f"ExperimentPreset is {settings.experiment_preset!r}: it is one of {', '.join(OPENINGS)}"
            )
        return cls(
            settings.experiment_preset,
            settings.epoch_seconds,
            settings.attribution_seconds,
            settings.experiment_hour_seconds,
            settings.bake_seconds,
            settings.router_cache_seconds,
        )

    @property
    def settle_seconds(self) -> float:
        return max(OPENINGS[self.preset].settle_seconds, self.router_cache_seconds + READER_SECONDS)


def challenged(standing: Router, model: str, terms: Terms, now: int) -> tuple[Router, Meta]:
    """The router with `model` as a challenger in the idle variant, and the record; RouterMoved while one is open."""
    placed = standing.with_idle_model(model, now)
    meta = Meta(
        experiment_id=ids.experiment_id(model),
        salt=secrets.token_hex(16),
        started_at=now,
        attribution_seconds=terms.attribution_seconds,
        epoch_seconds=terms.epoch_seconds,
        settle_seconds=terms.settle_seconds,
        hour_seconds=terms.hour_seconds,
        bake_seconds=terms.bake_seconds,
        preset=terms.preset,
        champion=placed.champion,
        challenger=placed.idle_variant,
        models={"champion": placed.models[placed.champion], "challenger": model},
    )
    weights = meta.by_variant(OPENINGS[terms.preset].share)
    return replace(placed, state="testing", experiment_id=meta.experiment_id, weights=weights), meta


def open_experiment(table: Table, standing: Router, model: str, terms: Terms, now: int) -> Router:
    """Open it; RouterMoved when the router is not `standing` any more, or when this model has had its experiment."""
    router, meta = challenged(standing, model, terms, now)
    name = table.name
    record = keys.experiment(meta.experiment_id).item() | stored(meta.item())
    seed = keys.experiment_state(meta.experiment_id).item() | stored({"revision": 0, "router": expected(router)})
    once = "attribute_not_exists(pk)"
    try:
        table.meta.client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": name, "Item": record, "ConditionExpression": once}},
                {"Put": {"TableName": name, "Item": seed, "ConditionExpression": once}},
                put_after(table, router, standing.version),  # type: ignore[list-item]  # made by router.py
            ]
        )
    except ClientError as error:
        if not is_cancelled(error):
            raise
        now_standing = read_router(table)
        raise RouterMoved(
            f"experiment {meta.experiment_id} was not opened: version {now_standing.version if now_standing else 0} of "
            f"the router stands instead of {standing.version}, or that experiment exists already; the champion serves"
        ) from error
    return router


def expected(router: Router) -> dict[str, object]:
    """What the next tick finds if nobody but Usher writes the router."""
    return {name: getattr(router, name) for name in ("version", "state", "champion", "weights")}
