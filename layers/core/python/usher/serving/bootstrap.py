"""Builds the read path's service from settings and clients; each client is built once, on first use."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from usher.api.ttl_cache import TtlCache
from usher.schema.settings import Settings, SettingsError
from usher.serving.backends import Backend, EndpointBackend, FunctionBackend, download_bundle, keep_only
from usher.serving.caches import STATE, make_caches
from usher.serving.circuit_breaker import Breaker
from usher.serving.experiment_view import newest_experiment
from usher.serving.fallback import Variants
from usher.serving.metrics import Telemetry
from usher.serving.service import Service, UserServing
from usher.store.profiles import Users
from usher.store.router import Router

#: What a variant that does not answer costs once: after that the circuit breaker skips it for a while.
ENDPOINT = Config(connect_timeout=0.5, read_timeout=2.0, retries={"total_max_attempts": 1}, tcp_keepalive=True)


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
    caches = make_caches(table, settings, telemetry.unread, clock)
    backend = _backend(settings, scorer, caches.router)
    serving = UserServing(
        users=Users(
            table, functools.partial(telemetry.unread, "profile"), functools.partial(telemetry.unwritten, "exposure")
        ),
        experiment_of=caches.experiment_of,
        variants=Variants(backend, Breaker(clock), time.perf_counter, telemetry.variant_failed),
        on_asked=telemetry.variant_asked,
        clock=clock,
    )
    view = functools.partial(newest_experiment, table, clock, functools.partial(telemetry.unread, "experiment"))
    return Service(caches.router, caches.popular, caches.signing_key, serving, view)


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
