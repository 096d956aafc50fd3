"""The read path put together: settings and clients in, a service out; each client is built once, on first use."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from usher.api.problems import Problem
from usher.api.signing_keys import current_key
from usher.api.ttl_cache import Cached
from usher.schema.settings import Settings, SettingsError
from usher.serving.assignment import check_router
from usher.serving.backends import Backend, EndpointBackend, FunctionBackend
from usher.serving.circuit_breaker import Breaker
from usher.serving.downloads import download_bundle, keep_only
from usher.serving.experiment_cache import Experiments, read_experiment
from usher.serving.experiment_view import newest_experiment
from usher.serving.fallback import Variants
from usher.serving.metrics import Telemetry
from usher.serving.serve_user import Serving
from usher.serving.service import Service
from usher.store.popular_lists import read_popular
from usher.store.router import Router, read_router
from usher.store.users import People

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

POPULAR_SECONDS = 300.0
KEY_SECONDS = 300.0

#: A dead variant costs this much once: after that it is passed over for a while.
ENDPOINT = Config(connect_timeout=0.5, read_timeout=2.0, retries={"total_max_attempts": 1}, tcp_keepalive=True)
STATE = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 2}, tcp_keepalive=True)
#: What a fresh environment cannot answer without is worth a longer wait, once: API Gateway gives up after 15 s.
PATIENT = Config(connect_timeout=1.0, read_timeout=4.0, retries={"total_max_attempts": 1})


@dataclass(frozen=True, slots=True)
class Scorer:
    """The scorer of usher_scorer, which this package must not import. load: folder → bundle."""

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

    router = Cached(
        lambda: _router(table), settings.router_cache_seconds, clock, unread("router"), lambda: _router(patient())
    )
    variants = Variants(_backend(settings, scorer, router), Breaker(clock), time.perf_counter, telemetry.variant_failed)
    serving = Serving(
        people=People(table, unread("profile"), functools.partial(telemetry.unwritten, "exposure")),
        experiments=Experiments(lambda name: read_experiment(table, name, clock()), clock, unread("experiment")),
        variants=variants,
        asked=telemetry.variant_asked,
        clock=clock,
    )
    return Service(
        router=router,
        popular=Cached(
            lambda: read_popular(table), POPULAR_SECONDS, clock, unread("popular"), lambda: read_popular(patient())
        ),
        key=Cached(
            lambda: current_key(secrets(), settings.signing_secret_arn), KEY_SECONDS, clock, unread("signing key")
        ),
        serving=serving,
        experiment=lambda: _experiment(table, clock(), unread("experiment")),
    )


def _experiment(table: Table, now: float, unread: Callable[[Exception], None]) -> Mapping[str, Any] | None:
    """What GET /experiment shows; Problem when it cannot be read."""
    try:
        return newest_experiment(table, now)
    except Exception as error:
        unread(error)
        raise Problem("no-answer-yet", "the experiment cannot be read now; the function's log says why") from error


def _router(table: Table) -> Router | None:
    router = read_router(table)
    return None if router is None else check_router(router)


def _backend(settings: Settings, scorer: Callable[[], Scorer], router: Cached[Router]) -> Backend:
    needed = {"endpoint": settings.endpoint_name, "function": settings.lake_bucket}[settings.serving_backend]
    if not needed:
        name = {"endpoint": "USHER_ENDPOINT_NAME", "function": "USHER_LAKE_BUCKET"}[settings.serving_backend]
        raise SettingsError(f"{name} is missing: the {settings.serving_backend} back end needs it")
    if settings.serving_backend == "endpoint":
        return EndpointBackend(boto3.client("sagemaker-runtime", config=ENDPOINT), settings.endpoint_name)
    made, bundles = scorer(), Path(tempfile.gettempdir()) / "usher-bundles"
    s3 = functools.cache(lambda: boto3.client("s3"))
    kept: dict[str, Any] = {}

    def load(model: str) -> Any:
        if model not in kept:
            standing = router.get()
            wanted = {model, *(standing.models.values() if standing else ())}
            for other in kept.keys() - wanted:
                del kept[other]
            keep_only(bundles, wanted)
            kept[model] = made.load(download_bundle(s3(), settings.lake_bucket, model, bundles))
        return kept[model]

    return FunctionBackend(load, made.invoke)
