"""Events of AWS's own services, and those that come from another bus, enter a bus here: PutEvents would change them."""

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
    enter(event(source, detail_type, detail, resources), "default")


def enter(entering: dict[str, Any], bus: str) -> None:
    """Have a complete event matched by the rules of a bus (name or ARN). LookupError: no such bus."""
    from moto.events.models import events_backends  # noqa: PLC0415 - moto is heavy

    buses = events_backends[context.ACCOUNT][context.current().region].event_buses
    name = bus.rsplit("event-bus/", 1)[-1]
    if name not in buses:
        raise LookupError(f"Event bus {name} does not exist.")
    for rule in list(buses[name].rules.values()):
        matched: Any = dict(entering)
        rule.send_to_targets(matched)
