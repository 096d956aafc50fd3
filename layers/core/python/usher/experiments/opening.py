"""The opening of an experiment by a deployment: its terms, its record, and the router that routes to the challenger."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from usher.errors import OperatorError
from usher.experiments.stats.presets import PRESETS
from usher.schema import ids
from usher.schema.settings import Settings
from usher.store.experiments import Meta, create_experiment
from usher.store.router import Router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: A reader of the router may be so much later than its cache says: the time of one request.
READER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Terms:
    """The deployment's terms for its experiments, all in real seconds."""

    preset: str
    epoch_seconds: int
    attribution_seconds: int
    hour_seconds: float
    bake_seconds: int
    router_cache_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """From the deployment's settings; OperatorError for an unknown preset."""
        if settings.experiment_preset not in PRESETS:
            raise OperatorError(
                f"ExperimentPreset is {settings.experiment_preset!r}: set it to one of {', '.join(PRESETS)}"
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
        """How long after its end a stratum is counted: the preset's time, at least that of a cached router."""
        return max(PRESETS[self.preset].settle_seconds, self.router_cache_seconds + READER_SECONDS)


def challenge(current: Router, model: str, terms: Terms, now: int) -> tuple[Router, Meta]:
    """The router with `model` as the challenger in the idle variant, and the record; RouterMoved while one is open."""
    placed = current.with_idle_model(model, now)
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
    weights = meta.by_variant(PRESETS[terms.preset].first_share)
    return replace(placed, state="testing", experiment_id=meta.experiment_id, weights=weights), meta


def open_experiment(table: Table, current: Router, model: str, terms: Terms, now: int) -> Router:
    """Open it; RouterMoved when the router has changed since, or when this model has had its experiment."""
    router, meta = challenge(current, model, terms, now)
    create_experiment(table, meta, router, current.version)
    return router
