"""Recommend: the HTTP API's read path, from a signed request to the answer of the first fallback level that has one."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

from aws_lambda_powertools import Logger

from usher.api.responses import respond
from usher.schema.settings import Settings
from usher.serving.bootstrap import Scorer, make_service
from usher.serving.metrics import Telemetry
from usher.serving.service import Service, handle

SERVICE = "recommend_items"
logger = Logger(service=SERVICE)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """One request of the HTTP API (payload 2.0)."""
    telemetry = Telemetry(SERVICE, logger)
    response, body = respond(lambda: handle(event, _service), telemetry.defect)
    telemetry.answered(response["statusCode"], body)
    return response


@functools.cache
def _service() -> Service:
    settings = Settings.read(os.environ, "state_table", "signing_secret_arn")
    return make_service(settings, Telemetry(SERVICE, logger), time.time, _scorer)


def _scorer() -> Scorer:
    """The scorer with numpy, for the back end that scores in the function itself."""
    from usher_scorer.bundle import load  # noqa: PLC0415 - the endpoint's back end needs no numpy
    from usher_scorer.invocations import invoke  # noqa: PLC0415

    return Scorer(load, invoke)
