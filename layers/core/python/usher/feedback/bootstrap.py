"""Builds the feedback service from settings and clients; each client is built once, on first use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from usher.api.signing_keys import KEY_SECONDS, valid_keys
from usher.api.ttl_cache import TtlCache
from usher.feedback.metrics import Telemetry
from usher.feedback.outcomes import Outcomes
from usher.feedback.service import THREADS, Service
from usher.feedback.streams import Streams
from usher.schema.settings import Settings
from usher.store.events import Events
from usher.store.experiments import read_attribution_seconds
from usher.store.exposures import Exposures
from usher.store.profiles import Profiles
from usher.store.router import read_router

#: The caller waits: a service that does not answer soon gives a 503, and the caller sends again.
QUICK = Config(
    connect_timeout=0.5,
    read_timeout=2.0,
    retries={"total_max_attempts": 2},
    tcp_keepalive=True,
    max_pool_connections=THREADS + 2,
)
#: Experiments whose attribution time is cached; it never changes.
EXPERIMENTS_MAX = 16


def make_service(settings: Settings, telemetry: Telemetry, clock: Callable[[], float]) -> Service:
    """The service of these settings."""
    table: Any = boto3.resource("dynamodb", config=QUICK).Table(settings.state_table)
    dynamodb, name = table.meta.client, settings.state_table  # the client, which threads may share
    firehose = functools.cache(lambda: boto3.client("firehose", config=QUICK))
    secrets = functools.cache(lambda: boto3.client("secretsmanager", config=QUICK))

    outcomes = Outcomes(
        TtlCache(lambda: read_router(table), settings.router_cache_seconds, clock),
        TtlCache(lambda: valid_keys(secrets(), settings.signing_secret_arn), KEY_SECONDS, clock),
        functools.lru_cache(EXPERIMENTS_MAX)(functools.partial(read_attribution_seconds, dynamodb, name)),
        Exposures(dynamodb, name),
        clock,
    )
    streams = Streams(firehose, settings.stream_prefix, telemetry.unforwarded)
    return Service(Events(dynamodb, name), Profiles(dynamodb, name), outcomes, streams, telemetry, clock)
