"""Metrics embedded in log lines: what is read, and what is refused."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from twin.cloudwatch.data import Datum
from twin.cloudwatch.emf import EmfError, parse

NOON = datetime.datetime(2026, 11, 24, 12)  # noqa: DTZ001 - UTC without a zone, as moto keeps it
STAMP = 1_795_521_600_000


def _line(directive: dict[str, Any] | None = None, stamp: Any = STAMP, **values: Any) -> str:
    default = {"Namespace": "Usher", "Dimensions": [["service"]], "Metrics": [{"Name": "Rows", "Unit": "Count"}]}
    about = {"Timestamp": stamp, "CloudWatchMetrics": [{**default, **(directive or {})}]}
    return json.dumps({"_aws": about, "service": "ingest", "Rows": 7, **values})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (_line(stamp="yesterday"), "Timestamp is not a number"),
        (_line(stamp=10**30), "Timestamp is out of range"),
        (_line({"Namespace": ""}), "no Namespace"),
        (_line({"Metrics": {"Name": "Rows"}}), "Metrics is not a list"),
        (_line({"Metrics": [{"Unit": "Count"}]}), "has no Name"),
        (_line({"Dimensions": [["missing"]]}), "dimension 'missing' has no value"),
        (_line({"Dimensions": [["Rows"]]}), "the value of dimension 'Rows' is not a string"),
        (_line({"Dimensions": ["service"]}), "not a list of at most 30 names"),
        (_line(Rows="seven"), "metric 'Rows' is not a number"),
        (_line(Rows=True), "metric 'Rows' is not a number"),
        (_line(Rows=float("nan")), "metric 'Rows' is not a number"),
        (_line(Rows=[1.0] * 101), "more than 100 values"),
    ],
)
def test_a_malformed_line_says_what_is_wrong(line: str, reason: str) -> None:
    with pytest.raises(EmfError, match=reason):
        parse(line)


@pytest.mark.parametrize(
    "line", ["", "plain", '{"a": 1}', '{"_aws": 1}', '{"_aws": {}}', 'mentions "_aws" only', '{"_aws": {"Timestamp": 1']
)
def test_other_lines_hold_no_metrics(line: str) -> None:
    assert parse(line) == []


def test_a_metric_is_read_with_unit_dimensions_and_time() -> None:
    found = parse(_line())
    assert found == [("Usher", [Datum("Rows", [7.0], "Count", (("service", "ingest"),), NOON)])]


def test_each_dimension_set_is_a_series_and_each_value_counts() -> None:
    line = _line({"Dimensions": [["service"], ["service", "kind"], []]}, Rows=[1, 2.5], kind="csv")
    ((_, data),) = parse(line)
    assert [datum.dimensions for datum in data] == [
        (("service", "ingest"),),
        (("service", "ingest"), ("kind", "csv")),
        (),
    ]
    assert all(datum.value == [1.0, 2.5] for datum in data)


def test_several_directives_are_several_namespaces() -> None:
    document = json.loads(_line())
    document["_aws"]["CloudWatchMetrics"].append({"Namespace": "Other", "Metrics": [{"Name": "Time"}]})
    found = parse(json.dumps({**document, "Time": 3}))
    assert [(namespace, [datum.name for datum in data]) for namespace, data in found] == [
        ("Usher", ["Rows"]),
        ("Other", ["Time"]),
    ]


def test_a_metric_without_a_value_is_left_out() -> None:
    ((_, data),) = parse(_line({"Metrics": [{"Name": "Rows"}, {"Name": "Absent"}]}))
    assert [datum.name for datum in data] == ["Rows"]
