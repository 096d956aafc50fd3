"""Rules and schedules that can work: what AWS refuses, and what the twin cannot honour, is refused when it is put."""

from __future__ import annotations

from typing import Any

from moto.events.exceptions import ValidationException
from moto.scheduler.exceptions import ValidationException as SchedulerValidationException

from twin.events import delivery, expressions, targets, transform
from twin.moto_patches.registry import original

_EVENTS = "moto.events.models:EventsBackend"
_SCHEDULER = "moto.scheduler.models:EventBridgeSchedulerBackend"
_TARGET_FIELDS = {
    "Id", "Arn", "RoleArn", "Input", "InputPath", "InputTransformer",
    "DeadLetterConfig", "RetryPolicy", "SqsParameters",
}  # fmt: skip
_FILTERS = {
    "exists", "prefix", "suffix", "equals-ignore-case", "numeric", "anything-but", "cidr", "wildcard",
}  # fmt: skip


def put_rule(self: Any, name: str, *args: Any, **more: Any) -> Any:
    """EventsBackend.put_rule: with a schedule that can be followed and a pattern that is understood."""
    if expression := more.get("scheduled_expression"):
        try:
            expressions.parse(expression)
        except expressions.ScheduleError as error:
            raise ValidationException(f"Parameter ScheduleExpression is not valid. Reason: {error}") from error
    if more.get("state") not in (None, "ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"):
        raise ValidationException(f"State {more['state']!r} is not valid")
    rule = original(f"{_EVENTS}.put_rule")(self, name, *args, **more)
    if unknown := _unknown_filters(rule.event_pattern.get_pattern()):
        self.event_buses[rule.event_bus_name].rules.pop(name)
        raise ValidationException(f"Event pattern is not valid. Reason: Unrecognized match type {unknown}")
    return rule


def put_targets(self: Any, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]) -> None:
    """EventsBackend.put_targets: only targets that the twin delivers to, with settings that it honours."""
    for target in targets:
        _check(target)
    original(f"{_EVENTS}.put_targets")(self, name, event_bus_arn, targets)


def create_schedule(self: Any, **settings: Any) -> Any:
    """EventBridgeSchedulerBackend.create_schedule, checked."""
    _check_schedule(settings)
    return original(f"{_SCHEDULER}.create_schedule")(self, **settings)


def update_schedule(self: Any, **settings: Any) -> Any:
    """EventBridgeSchedulerBackend.update_schedule, checked."""
    _check_schedule(settings)
    return original(f"{_SCHEDULER}.update_schedule")(self, **settings)


def _check(target: dict[str, Any]) -> None:
    if targets.is_archive(target["Arn"]):
        return
    unknown = sorted(name for name, value in target.items() if name not in _TARGET_FIELDS and value is not None)
    try:
        delivery.check(target["Arn"])
        if dead_letters := (target.get("DeadLetterConfig") or {}).get("Arn"):
            delivery.check(dead_letters)
        transform.check(target)
    except (delivery.UnsupportedTarget, transform.InputError) as error:
        raise ValidationException(f"Target {target['Id']}: {error}") from error
    if unknown:
        raise ValidationException(f"Target {target['Id']}: the twin does not honour {', '.join(unknown)}")


def _check_schedule(settings: dict[str, Any]) -> None:
    try:
        zone = settings.get("schedule_expression_timezone") or "UTC"
        expressions.parse(settings["schedule_expression"], zone, once=True)
    except expressions.ScheduleError as error:
        raise SchedulerValidationException(f"Invalid Schedule Expression {error}.") from error
    try:
        delivery.check(settings["target"]["Arn"])
    except delivery.UnsupportedTarget as error:
        raise SchedulerValidationException(str(error)) from error


def _unknown_filters(pattern: Any) -> list[str]:
    """Match types in a pattern that moto would take to fit everything."""
    if isinstance(pattern, dict):
        found = []
        for key, value in pattern.items():
            found += (
                [name for each in value for name in _unknown_filters(each)] if key == "$or" else _unknown_filters(value)
            )
        return found
    if isinstance(pattern, list):
        return [name for each in pattern if isinstance(each, dict) for name in each if name not in _FILTERS]
    return []
