"""Puts events of AWS's own services on the default bus; PutEvents would change them."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

from twin import context


def event(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> dict[str, Any]:
    """An event in this twin's account and region, now."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": context.ACCOUNT,
        "time": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": context.current().region,
        "resources": resources,
        "detail": json.loads(json.dumps(detail)),
    }


def emit(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Put an event of one of AWS's own services (`aws.…`) on the default bus."""
    from moto.events.models import events_backends  # noqa: PLC0415 - moto is heavy

    emitted = event(source, detail_type, detail, resources)
    for rule in list(events_backends[context.ACCOUNT][context.current().region].event_buses["default"].rules.values()):
        matched: Any = dict(emitted)
        rule.send_to_targets(matched)
