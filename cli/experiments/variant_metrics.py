"""Each variant's CloudWatch metrics: Usher's own counts of requests, and SageMaker's of the endpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cli.target import Target

VARIANTS = ("A", "B")
PERIOD_SECONDS = 60
#: CloudWatch answers a look over fifteen days and more by the minute no longer.
LOOK_SECONDS_MAX = 6 * 3600
#: Usher's own counts of a variant: requests that were assigned to it, and how many of them went wrong.
COUNTS = ("VariantRequests", "VariantErrors", "VariantSlow", "VariantEmpty")
_VARIANT = (("Invocations", "Sum"), ("Invocation5XXErrors", "Sum"), ("ModelLatency", "p99"))


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant. counts: by metric; what was not measured is not there. p99_milliseconds: the worst minute's.

    weight: what the endpoint really sends to the variant, 0 to 1; None without an endpoint.
    """

    name: str
    counts: dict[str, float] = field(default_factory=dict)
    p99_milliseconds: float | None = None
    weight: float | None = None
    endpoint_status: str = ""


def look(target: Target, since: float) -> list[Variant]:
    """Both variants, from a moment (epoch seconds) or the last six hours until now."""
    now = time.time()
    start = max(since, now - LOOK_SECONDS_MAX) if since < now else now - PERIOD_SECONDS
    values = dict(_values(target, start, now))
    weights, status = _endpoint(target)
    return [_variant(name, values, weights.get(name), status) for name in VARIANTS]


def firing(target: Target) -> list[str]:
    """The stack's own alarms that are in alarm now, by name: those of the variants, the join rate, the API."""
    alarms = target.client("cloudwatch").get_paginator("describe_alarms")
    found = [
        alarm for page in alarms.paginate(AlarmNamePrefix=f"{target.stack_name}-") for alarm in page["MetricAlarms"]
    ]
    return sorted(str(alarm["AlarmName"]) for alarm in found if alarm["StateValue"] == "ALARM")


def as_record(variant: Variant) -> dict[str, Any]:
    """For --json."""
    return {
        "variant": variant.name,
        **{name: int(value) for name, value in variant.counts.items()},
        "ModelLatencyP99Milliseconds": variant.p99_milliseconds,
        "endpoint_weight": variant.weight,
        "endpoint_status": variant.endpoint_status,
    }


def _variant(name: str, values: dict[tuple[str, str], list[float]], weight: float | None, status: str) -> Variant:
    counted = {metric: sum(found) for (variant, metric), found in values.items() if variant == name and found}
    slowest = values.get((name, "ModelLatency"), [])
    counted.pop("ModelLatency", None)
    return Variant(name, counted, max(slowest) / 1000 if slowest else None, weight, status)


def _values(target: Target, start: float, end: float) -> Iterator[tuple[tuple[str, str], list[float]]]:
    """((variant, metric), its values minute by minute)."""
    queries = list(_queries(target.resources.endpoint_name))
    asked = [
        {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": PERIOD_SECONDS, "Stat": stat}}
        for number, (_, metric, stat) in enumerate(queries)
    ]
    found: dict[str, list[float]] = {}
    pages = target.client("cloudwatch").get_paginator("get_metric_data")
    for page in pages.paginate(MetricDataQueries=asked, StartTime=start, EndTime=end + PERIOD_SECONDS):
        for result in page["MetricDataResults"]:
            found.setdefault(result["Id"], []).extend(result["Values"])
    for number, (variant, metric, _) in enumerate(queries):
        yield (variant, str(metric["MetricName"])), found.get(f"m{number}", [])


def _queries(endpoint: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(variant, metric, statistic)"""
    for variant in VARIANTS:
        for name in COUNTS:
            dimensions = [{"Name": "variant", "Value": variant}]
            yield variant, {"Namespace": "Usher", "MetricName": name, "Dimensions": dimensions}, "Sum"
        endpoint_dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        for name, stat in _VARIANT if endpoint else ():
            yield variant, {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": endpoint_dimensions}, stat


def _endpoint(target: Target) -> tuple[dict[str, float], str]:
    """The weights that the endpoint has, as shares, and its status; none where both models live in the function."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - 0.3 s that --help need not pay

    name = target.resources.endpoint_name
    if not name:
        return {}, ""
    try:
        found = target.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return {}, "there is no endpoint"
    weights = {
        str(each["VariantName"]): float(each.get("CurrentWeight", 0.0)) for each in found.get("ProductionVariants", [])
    }
    whole = sum(weights.values())
    return {variant: weight / whole for variant, weight in weights.items() if whole > 0}, str(found["EndpointStatus"])
