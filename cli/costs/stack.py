"""What the template deploys that costs money: alarms, pollers, secrets, memory sizes, instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from twin.cloudformation.errors import TemplateError
from twin.cloudformation.template import parse

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@dataclass(frozen=True, slots=True)
class Stack:
    """Counts of a template. alarm_metrics: an alarm on an expression is billed for each metric in it.

    polled_queues: event sources of functions. memory_gb: by function. defaults: of the parameters.
    """

    alarm_metrics: int
    alarms: int
    dashboards: int
    secrets: int
    polled_queues: int
    memory_gb: Mapping[str, float]
    defaults: Mapping[str, str]


def read_stack(path: Path = TEMPLATE) -> Stack:
    """The counts of a template file; CommandError when it cannot be read."""
    template = read_template(path)
    resources: Mapping[str, Mapping[str, Any]] = template["Resources"]

    def of(kind: str) -> dict[str, Mapping[str, Any]]:
        return {name: one.get("Properties", {}) for name, one in resources.items() if one["Type"] == kind}

    alarms, functions = of("AWS::CloudWatch::Alarm"), of("AWS::Serverless::Function")
    events = [event for one in functions.values() for event in one.get("Events", {}).values()]
    return Stack(
        alarm_metrics=sum(_metrics(alarm) for alarm in alarms.values()),
        alarms=len(alarms),
        dashboards=len(of("AWS::CloudWatch::Dashboard")),
        secrets=len(of("AWS::SecretsManager::Secret")),
        polled_queues=sum(event["Type"] == "SQS" for event in events),
        memory_gb={name: one["MemorySize"] / 1024 for name, one in functions.items()},
        defaults={name: str(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()},
    )


def read_template(path: Path = TEMPLATE) -> Mapping[str, Any]:
    """A template file; CommandError when it is missing or not a template."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CommandError(f"{path} is missing: run this in a checkout of Usher, or name a template") from error
    except TemplateError as error:
        raise CommandError(f"{path}: {error}") from error


def _metrics(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in query for query in alarm.get("Metrics", ())) or 1
