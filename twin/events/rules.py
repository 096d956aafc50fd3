"""Rules and their targets: put when AWS and the twin can carry them out, matched against events, and their input built.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from moto.events.exceptions import ValidationException

from twin import context
from twin.events import delivery
from twin.moto_patches.registry import original

_BACKEND = "moto.events.models:EventsBackend"
_TARGET_FIELDS = {"Id", "Arn", "RoleArn", "Input", "InputTransformer", "DeadLetterConfig", "RetryPolicy"}
_FILTERS = {
    "exists", "prefix", "suffix", "equals-ignore-case", "numeric", "anything-but", "cidr", "wildcard",
}  # fmt: skip
_RATE = re.compile(r"^rate\(([1-9]\d{0,8}) (minute|hour|day)(s?)\)$")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_PATH = re.compile(r"\$(?:\.[\w-]+)+")
# A JSON string, or a placeholder outside of strings.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<([\w.-]+)>')
# moto gives every event of its own services this id.
_CONSTANT_ID = "17793124-05d4-b198-2fde-7ededc63b103"


class InvalidTarget(ValueError):
    """An expression or input setting that AWS refuses or the twin does not support."""


def rate_seconds(expression: str) -> int:
    """The period of `rate(5 minutes)` in seconds; InvalidTarget for anything else."""
    found = _RATE.match(expression)
    if found is None or (int(found[1]) == 1) != (found[3] == ""):
        raise InvalidTarget(
            f"{expression!r} is not a rate such as rate(1 minute) or rate(2 hours): the twin supports no other schedule"
        )
    return int(found[1]) * _UNIT_SECONDS[found[2]]


def put_rule(self: Any, name: str, *args: Any, **more: Any) -> Any:
    """EventsBackend.put_rule: refuses schedules and patterns that would never work here."""
    if expression := more.get("scheduled_expression"):
        try:
            rate_seconds(expression)
        except InvalidTarget as error:
            raise ValidationException(f"Parameter ScheduleExpression is not valid. Reason: {error}") from error
    rule = original(f"{_BACKEND}.put_rule")(self, name, *args, **more)
    if unknown := _unknown_filters(rule.event_pattern.get_pattern()):
        self.event_buses[rule.event_bus_name].rules.pop(name)
        raise ValidationException(f"Event pattern is not valid. Reason: Unrecognized match type {unknown}")
    return rule


def put_targets(self: Any, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]) -> None:
    """EventsBackend.put_targets: only targets that the twin delivers to, with settings that it supports."""
    for target in targets:
        try:
            check_target(target)
        except (delivery.UnsupportedTarget, InvalidTarget) as error:
            raise ValidationException(f"Target {target['Id']}: {error}") from error
    original(f"{_BACKEND}.put_targets")(self, name, event_bus_arn, targets)


def send_to_targets(self: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:  # noqa: ARG001 - moto's signature
    """Rule.send_to_targets: an enabled rule whose pattern matches; delivers in the background."""
    if self.state == "DISABLED" or self.event_pattern.dump() is None:
        return
    if self.event_pattern.matches_event(original_event):
        dispatch(self, original_event)


def dispatch(rule: Any, original_event: dict[str, Any]) -> None:
    """Send an event to all targets of moto's `rule`, whatever its pattern."""
    event = _shaped(original_event)
    delivery.count("TriggeredRules", rule.name)
    for target in rule.targets:
        payload = target_input(target, event)
        delivery.start(delivery.Delivery(rule.arn, rule.name, target, payload, context.current()))


def check_target(target: Mapping[str, Any]) -> None:
    """Raise UnsupportedTarget or InvalidTarget for a target that cannot work."""
    if unknown := sorted(name for name, value in target.items() if name not in _TARGET_FIELDS and value is not None):
        raise InvalidTarget(f"the twin does not support {', '.join(unknown)} of a target")
    delivery.check(target["Arn"])
    if dead_letters := (target.get("DeadLetterConfig") or {}).get("Arn"):
        delivery.check(dead_letters)
    if target.get("Input") and target.get("InputTransformer"):
        raise InvalidTarget("only one of Input and InputTransformer may be given")
    if target.get("Input"):
        _parse(target["Input"], "Input")
    if transformer := target.get("InputTransformer"):
        _check_transformer(transformer.get("InputPathsMap") or {}, transformer["InputTemplate"])


def target_input(target: Mapping[str, Any], event: dict[str, Any]) -> str:
    """The JSON that a target receives: its constant input, its filled template, or the event."""
    if target.get("Input"):
        return str(target["Input"])
    if transformer := target.get("InputTransformer"):
        values = {name: _value(path, event) for name, path in (transformer.get("InputPathsMap") or {}).items()}
        template = transformer["InputTemplate"]
        return _TOKEN.sub(lambda token: token[0] if token[1] is None else json.dumps(values[token[1]]), template)
    return json.dumps(event)


def _check_transformer(paths: Mapping[str, str], template: str) -> None:
    for path in paths.values():
        if not _PATH.fullmatch(path):
            raise InvalidTarget(f"{path!r} is not a JSON path that the twin supports: write $.detail.name")
    for token in _TOKEN.finditer(template):
        if token[1] is None and _TOKEN.search(token[0].strip('"')):
            raise InvalidTarget(f"the twin does not fill placeholders inside strings: {token[0]}")
        if token[1] is not None and token[1] not in paths:
            raise InvalidTarget(f"InputPathsMap has no {token[1]}, which InputTemplate names")
    _parse(_TOKEN.sub(lambda token: token[0] if token[1] is None else "null", template), "InputTemplate")


def _parse(text: str, name: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise InvalidTarget(f"{name} is not valid JSON: {text:.200}") from error


def _value(path: str, event: Any) -> Any:
    """The value at `$.detail.name`; None when the event has none."""
    for name in path.split(".")[1:]:
        event = event.get(name) if isinstance(event, dict) else None
    return event


def _shaped(event: dict[str, Any]) -> dict[str, Any]:
    """An event as AWS delivers it: an id of its own, the time as ISO 8601, nothing of moto's."""
    ready = {name: value for name, value in event.items() if name != "ingestion-time"}
    ready["time"] = _iso(event.get("time"))
    if event.get("id") in (None, "", _CONSTANT_ID):
        ready["id"] = str(uuid.uuid4())
    return ready


def _iso(moment: Any) -> str:
    if isinstance(moment, str) and moment and not moment.replace(".", "", 1).isdigit():
        return moment
    seconds = float(moment) if moment else datetime.datetime.now(datetime.UTC).timestamp()
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unknown_filters(pattern: Any) -> list[str]:
    """Match types in a pattern that moto would let match everything."""
    if isinstance(pattern, dict):
        return [name for value in pattern.values() for name in _unknown_filters(value)]
    if isinstance(pattern, list):
        return [name for each in pattern if isinstance(each, dict) for name in each if name not in _FILTERS]
    return []
