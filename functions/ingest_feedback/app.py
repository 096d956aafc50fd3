"""Ingest: feedback from the HTTP API goes into the profiles, the experiment and the lake."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.feedback.bootstrap import make_service
from usher.feedback.metrics import Telemetry
from usher.feedback.service import Service, respond
from usher.schema.settings import Settings

SERVICE = "ingest_feedback"
logger = Logger(service=SERVICE)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """One request of the HTTP API (payload 2.0)."""
    return respond(event, _service, Telemetry(SERVICE, logger), time.time)


@functools.cache
def _service() -> Service:
    settings = Settings.read(os.environ, "state_table", "stream_prefix", "signing_secret_arn")
    return make_service(settings, Telemetry(SERVICE, logger), time.time)
