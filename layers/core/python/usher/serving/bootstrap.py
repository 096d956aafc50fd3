"""Builds the read path's service from settings and clients; each client is built once, on first use."""

from __future__ import annotations

import functools
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from usher.api.problems import Problem
from usher.api.signing_keys import KEY_SECONDS, current_key
from usher.api.ttl_cache import ServeStale, TtlCache
from usher.schema.settings import Settings, SettingsError
from usher.serving.assignment import check_router
from usher.serving.backends import Backend, EndpointBackend, FunctionBackend, download_bundle, keep_only
from usher.serving.circuit_breaker import Breaker
from usher.serving.experiment_view import newest_experiment
from usher.serving.fallback import Variants
from usher.serving.metrics import Telemetry
from usher.serving.service import Service, UserServing
from usher.store.experiments import Meta, read_meta
from usher.store.popular import read_popular
from usher.store.profiles import Users
from usher.store.router import Router, read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

POPULAR_SECONDS = 300.0

#: What a variant that does not answer costs once: after that the circuit breaker skips it for a while.
ENDPOINT = Config(connect_timeout=0.5, read_timeout=2.0, retries={"total_max_attempts": 1}, tcp_keepalive=True)
STATE = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 2}, tcp_keepalive=True)
#: For the first read of what a new environment cannot answer without; API Gateway's limit is 15 s.
PATIENT = Config(connect_timeout=1.0, read_timeout=4.0, retries={"total_max_attempts": 1})


@dataclass(frozen=True, slots=True)
class Scorer:
    """The functions of usher_scorer, which this package must not import. load: folder → bundle."""

    load: Callable[[Path], Any]
    invoke: Callable[[Any, bytes], dict[str, Any]]


def make_service(
    settings: Settings, telemetry: Telemetry, clock: Callable[[], float], scorer: Callable[[], Scorer]
) -> Service:
    """The service of these settings; SettingsError when the back end lacks what it needs."""
    table = boto3.resource("dynamodb", config=STATE).Table(settings.state_table)
    patient = functools.cache(lambda: boto3.resource("dynamodb", config=PATIENT).Table(settings.state_table))
    secrets = functools.cache(lambda: boto3.client("secretsmanager", config=STATE))

    def unread(what: str) -> Callable[[Exception], None]:
        return functools.partial(telemetry.unread, what)

    router = TtlCache(
        lambda: _router(table),
        settings.router_cache_seconds,
        clock,
        ServeStale(unread("router"), last_try=lambda: _router(patient())),
    )
    popular = TtlCache(
        lambda: read_popular(table),
        POPULAR_SECONDS,
        clock,
        ServeStale(unread("popular"), last_try=lambda: read_popular(patient())),
    )
    key = TtlCache(
        lambda: current_key(secrets(), settings.signing_secret_arn),
        KEY_SECONDS,
        clock,
        ServeStale(unread("signing key")),
    )

    @functools.lru_cache(1)  # of the open experiment; what serving needs of its record never changes
    def experiment(name: str) -> TtlCache[Meta]:
        stale: ServeStale[Meta] = ServeStale(unread("experiment"), wait_if_none=True)
        return TtlCache(lambda: read_experiment(table, name, clock()), math.inf, clock, stale)

    serving = UserServing(
        users=Users(table, unread("profile"), functools.partial(telemetry.unwritten, "exposure")),
        experiment_of=lambda name: experiment(name).get(),
        variants=Variants(
            _backend(settings, scorer, router), Breaker(clock), time.perf_counter, telemetry.variant_failed
        ),
        on_asked=telemetry.variant_asked,
        clock=clock,
    )
    return Service(router, popular, key, serving, lambda: _experiment(table, clock(), unread("experiment")))


class NoExperimentRecord(Exception):
    """The router names an experiment that has no record."""


def read_experiment(table: Table, experiment_id: str, now: float) -> Meta:
    """The record, read consistently; NoExperimentRecord without one, StateError when it is inconsistent."""
    meta = read_meta(table, experiment_id, now)
    if meta is None:
        raise NoExperimentRecord(
            f"experiment {experiment_id} has no META item: restore it; the champion serves and no user is enrolled"
        )
    return meta


def _experiment(table: Table, now: float, unread: Callable[[Exception], None]) -> Mapping[str, Any] | None:
    """What GET /experiment returns; Problem when it cannot be read."""
    try:
        return newest_experiment(table, now)
    except Exception as error:
        unread(error)
        raise Problem(
            "no-answer-yet",
            "the experiment cannot be read now: try again in a minute",
        ) from error


def _router(table: Table) -> Router | None:
    router = read_router(table)
    return None if router is None else check_router(router)


def _backend(settings: Settings, scorer: Callable[[], Scorer], router: TtlCache[Router | None]) -> Backend:
    needed = {"endpoint": settings.endpoint_name, "function": settings.lake_bucket}[settings.serving_backend]
    if not needed:
        name = {"endpoint": "USHER_ENDPOINT_NAME", "function": "USHER_LAKE_BUCKET"}[settings.serving_backend]
        raise SettingsError(f"{name} is missing: the {settings.serving_backend} back end needs it")
    if settings.serving_backend == "endpoint":
        return EndpointBackend(boto3.client("sagemaker-runtime", config=ENDPOINT), settings.endpoint_name)
    functions, folder = scorer(), Path(tempfile.gettempdir()) / "usher-bundles"
    s3 = functools.cache(lambda: boto3.client("s3"))
    loaded: dict[str, Any] = {}

    def load(model: str) -> Any:
        if model not in loaded:
            current = router.get()
            wanted = {model, *(current.models.values() if current else ())}
            for other in loaded.keys() - wanted:
                del loaded[other]
            keep_only(folder, wanted)
            loaded[model] = functions.load(download_bundle(s3(), settings.lake_bucket, model, folder))
        return loaded[model]

    return FunctionBackend(load, functions.invoke)
