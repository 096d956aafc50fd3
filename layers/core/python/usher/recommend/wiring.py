"""The read path put together: settings and clients in, a service out; each client is built once, on first use."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from usher.recommend.backends import Backend, EndpointBackend, FunctionBackend
from usher.recommend.cached import Cached
from usher.recommend.downloads import download_bundle, keep_only
from usher.recommend.keyring import current_key
from usher.recommend.ladder import Slots
from usher.recommend.service import Service
from usher.recommend.state import Recent, read_popular, read_recent
from usher.recommend.telemetry import Telemetry
from usher.records.settings import Settings, SettingsError
from usher.router import Router, read_router

ROUTER_SECONDS = 30.0
POPULAR_SECONDS = 300.0
KEY_SECONDS = 300.0

#: A dead slot costs this much once: after that it is passed over for a while.
ENDPOINT = Config(connect_timeout=0.5, read_timeout=2.0, retries={"total_max_attempts": 1}, tcp_keepalive=True)
STATE = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 2}, tcp_keepalive=True)


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
    secrets = functools.cache(lambda: boto3.client("secretsmanager", config=STATE))
    router: Cached[Router] = Cached(
        lambda: read_router(table), ROUTER_SECONDS, clock, functools.partial(telemetry.unread, "router")
    )

    def recent(user_hash: str) -> Sequence[Recent]:
        try:
            return read_recent(table, user_hash)
        except Exception as error:  # noqa: BLE001 - the bundle may know the person all the same
            telemetry.unread("profile", error)
            return ()

    return Service(
        router=router,
        popular=Cached(
            lambda: read_popular(table), POPULAR_SECONDS, clock, functools.partial(telemetry.unread, "popular")
        ),
        key=Cached(
            lambda: current_key(secrets(), settings.signing_secret_arn),
            KEY_SECONDS,
            clock,
            functools.partial(telemetry.unread, "signing key"),
        ),
        recent=recent,
        slots=Slots(_backend(settings, scorer, router), clock, telemetry.slot_failed),
        clock=clock,
    )


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
