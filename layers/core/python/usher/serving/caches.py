"""What the read path caches in an execution environment, for how long, and what serves when a read fails.

The router is served for Settings.router_cache_seconds, the popularity lists and the signing key for five minutes, and
an experiment's record while the experiment is open. When a read fails, the stale value is served and the failure is
counted; a new environment, which has no stale value yet, tries the router and the lists again with longer time-outs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from usher.api.signing_keys import KEY_SECONDS, current_key
from usher.api.ttl_cache import ServeStale, TtlCache
from usher.schema.settings import Settings
from usher.serving.assignment import check_router
from usher.store.experiments import InvalidExperiment, Meta, read_meta
from usher.store.popular import PopularLists, read_popular
from usher.store.router import Router, read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

POPULAR_SECONDS = 300.0

STATE = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 2}, tcp_keepalive=True)
#: For what a new environment cannot answer without; API Gateway's limit is 15 s.
PATIENT = Config(connect_timeout=1.0, read_timeout=4.0, retries={"total_max_attempts": 1})


@dataclass(frozen=True, slots=True)
class Caches:
    """experiment_of: id of the open experiment → its record, None when it cannot be read."""

    router: TtlCache[Router | None]
    popular: TtlCache[PopularLists | None]
    signing_key: TtlCache[bytes]
    experiment_of: Callable[[str], Meta | None]


def make_caches(
    table: Table, settings: Settings, unread: Callable[[str, Exception], None], clock: Callable[[], float]
) -> Caches:
    """The caches, still empty. unread: called with what could not be read, and the error. clock: epoch seconds."""
    patient = functools.cache(lambda: boto3.resource("dynamodb", config=PATIENT).Table(settings.state_table))
    secrets = functools.cache(lambda: boto3.client("secretsmanager", config=STATE))

    @functools.lru_cache(1)  # of the open experiment; what serving needs of its record never changes
    def experiment(experiment_id: str) -> TtlCache[Meta]:
        stale: ServeStale[Meta] = ServeStale(functools.partial(unread, "experiment"), wait_if_none=True)
        return TtlCache(lambda: read_experiment(table, experiment_id, clock()), math.inf, clock, stale)

    return Caches(
        TtlCache(
            lambda: _router(table),
            settings.router_cache_seconds,
            clock,
            ServeStale(functools.partial(unread, "router"), last_try=lambda: _router(patient())),
        ),
        TtlCache(
            lambda: read_popular(table),
            POPULAR_SECONDS,
            clock,
            ServeStale(functools.partial(unread, "popular"), last_try=lambda: read_popular(patient())),
        ),
        TtlCache(
            lambda: current_key(secrets(), settings.signing_secret_arn),
            KEY_SECONDS,
            clock,
            ServeStale(functools.partial(unread, "signing key")),
        ),
        lambda experiment_id: experiment(experiment_id).get(),
    )


def read_experiment(table: Table, experiment_id: str, now: float) -> Meta:
    """The record, read consistently; InvalidExperiment when it is missing or was edited by hand."""
    meta = read_meta(table, experiment_id, now)
    if meta is None:
        raise InvalidExperiment(
            f"experiment {experiment_id} has no META item: restore it; the champion serves and no user is enrolled"
        )
    return meta


def _router(table: Table) -> Router | None:
    router = read_router(table)
    return None if router is None else check_router(router)
