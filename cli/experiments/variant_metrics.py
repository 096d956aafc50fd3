"""Read the CloudWatch metrics of each variant: Usher's counts of requests and SageMaker's metrics of the endpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from cli.target import Target
from usher.experiments.metrics import ENDPOINT_METRICS, KINDS, REQUESTS
from usher.metrics import NAMESPACE
from usher.store.router import VARIANTS

PERIOD_SECONDS = 60
#: The period that is shown, at most; CloudWatch keeps values by the minute for fifteen days.
LOOK_SECONDS_MAX = 6 * 3600
#: Usher's metrics of a variant: all requests, then those with each kind of fault.
COUNTS = (REQUESTS, *KINDS.values())


@dataclass(frozen=True, slots=True)
class Variant:
    """The metrics of a variant. counts: by metric, without those that have no value.

    p99_milliseconds: the model's latency in the slowest minute; None without a value.
    weight: the endpoint's share of requests for this variant, 0 to 1; None without an endpoint.
    """

    name: str
    counts: dict[str, float] = field(default_factory=dict)
    p99_milliseconds: float | None = None
    weight: float | None = None
    endpoint_status: str = ""


def look(target: Target, since: float) -> list[Variant]:
    """The metrics of both variants since a moment (epoch seconds), at most the last six hours."""
    now = time.time()
    start = max(since, now - LOOK_SECONDS_MAX) if since < now else now - PERIOD_SECONDS
    values = dict(_values(target, start, now))
    weights, status = _endpoint(target)
    return [_variant(name, values, weights.get(name), status) for name in VARIANTS]


def firing(target: Target) -> list[str]:
    """The names of the stack's alarms in state ALARM: of the variants, the join rate and the API."""
    alarms = target.client("cloudwatch").get_paginator("describe_alarms")
    found = [
        alarm for page in alarms.paginate(AlarmNamePrefix=f"{target.stack_name}-") for alarm in page["MetricAlarms"]
    ]
    return sorted(str(alarm["AlarmName"]) for alarm in found if alarm["StateValue"] == "ALARM")


def as_record(variant: Variant) -> dict[str, Any]:
    """The metrics of a variant for --json."""
    return {
        "variant": variant.name,
        **{name: int(value) for name, value in variant.counts.items()},
        "ModelLatencyP99Milliseconds": variant.p99_milliseconds,
        "endpoint_weight": variant.weight,
        "endpoint_status": variant.endpoint_status,
    }


def _variant(name: str, values: dict[tuple[str, str], list[float]], weight: float | None, status: str) -> Variant:
    counts = {metric: sum(found) for (variant, metric), found in values.items() if variant == name and found}
    counts.pop("ModelLatency", None)
    latencies = values.get((name, "ModelLatency"), [])
    return Variant(name, counts, max(latencies) / 1000 if latencies else None, weight, status)


def _values(target: Target, start: float, end: float) -> Iterator[tuple[tuple[str, str], list[float]]]:
    """((variant, metric), its values by minute) for each metric."""
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
    """(variant, CloudWatch metric, statistic) for each metric; without an endpoint only Usher's own."""
    for variant in VARIANTS:
        dimensions = [{"Name": "variant", "Value": variant}]
        for name in COUNTS:
            yield variant, {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions}, "Sum"
        endpoint_dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        for name, stat in ENDPOINT_METRICS.values() if endpoint else ():
            yield variant, {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": endpoint_dimensions}, stat


def _endpoint(target: Target) -> tuple[dict[str, float], str]:
    """The endpoint's weights as shares, and its status; both empty when the models run in the Lambda function."""
    name = target.resources.endpoint_name
    if not name:
        return {}, ""
    try:
        found = target.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return {}, "endpoint not found"
    weights = {
        str(each["VariantName"]): float(each.get("CurrentWeight", 0.0)) for each in found.get("ProductionVariants", [])
    }
    whole = sum(weights.values())
    return {variant: weight / whole for variant, weight in weights.items() if whole > 0}, str(found["EndpointStatus"])
