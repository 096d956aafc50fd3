"""What the twin replaces in moto's CloudWatch."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.cloudwatch.responses:CloudWatchResponse.get_metric_statistics",
        "twin.cloudwatch.queries:get_metric_statistics",
        "merges all series without dimensions, drops percentiles",
        "test_cloudwatch.py::test_a_series_is_its_namespace_and_exactly_its_dimensions",
    ),
    Patch(
        "moto.cloudwatch.models:CloudWatchBackend.get_metric_data",
        "twin.cloudwatch.queries:get_metric_data",
        "forgets the namespace, fails on percentiles, computes no expression",
        "test_cloudwatch.py::test_metric_data_have_percentiles_and_expressions",
    ),
    Patch(
        "moto.cloudwatch.models:CloudWatchBackend.put_metric_alarm",
        "twin.cloudwatch.alarm_rules:put_metric_alarm",
        "starts every alarm as OK, takes what it cannot evaluate",
        "test_cloudwatch.py::test_an_alarm_that_cannot_be_judged_is_refused",
    ),
    Patch(
        "moto.logs.models:LogsBackend.put_log_events",
        "twin.cloudwatch.emf:put_log_events",
        "takes no metrics from what is logged",
        "test_cloudwatch.py::test_embedded_metrics_in_any_log_become_metric_data",
    ),
)
