"""Metric data by series: each datum is in its own series once, in order, however often and in between it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twin.cloudwatch.series import Metric, data_of


@dataclass
class Dimension:
    name: str
    value: str


@dataclass
class Datum:
    namespace: str
    name: str
    value: int
    dimensions: list[Dimension] = field(default_factory=list)


class Backend:
    """What the index needs of moto's."""

    def __init__(self) -> None:
        self.metric_data: list[Any] = []
        self.aws_metric_data: list[Any] = [Datum("AWS/S3", "BucketSizeBytes", 7)]


def asked(backend: Backend, namespace: str, name: str, **dimensions: str) -> list[int]:
    series = Metric(namespace, name, frozenset(dimensions.items()))
    return [datum.value for datum in data_of(backend, series)]


def test_each_datum_is_in_its_series_once_and_in_order() -> None:
    backend = Backend()
    in_a, in_b = [Dimension("variant", "A")], [Dimension("variant", "B")]
    assert asked(backend, "Usher", "VariantErrors", variant="A") == []
    for number in range(6):
        backend.metric_data.append(Datum("Usher", "VariantErrors", number, in_b if number % 2 else in_a))
        assert asked(backend, "Usher", "VariantErrors", variant="A") == [0, 2, 4][: number // 2 + 1]
    assert asked(backend, "Usher", "VariantErrors", variant="B") == [1, 3, 5]
    assert asked(backend, "Usher", "VariantErrors") == asked(backend, "Other", "VariantErrors", variant="A") == []


def test_each_caller_gets_its_own_list() -> None:
    backend = Backend()
    backend.metric_data.append(Datum("Usher", "Requests", 1))
    data_of(backend, Metric("Usher", "Requests", frozenset())).clear()
    assert asked(backend, "Usher", "Requests") == [1]


def test_motos_own_counts_are_included_and_not_indexed() -> None:
    backend = Backend()
    backend.metric_data.append(Datum("AWS/S3", "BucketSizeBytes", 1))
    assert asked(backend, "AWS/S3", "BucketSizeBytes") == [1, 7]
    backend.aws_metric_data = [Datum("AWS/S3", "BucketSizeBytes", 9)]
    assert asked(backend, "AWS/S3", "BucketSizeBytes") == [1, 9]


def test_a_reset_backend_has_no_series() -> None:
    backend = Backend()
    backend.metric_data.append(Datum("Usher", "Requests", 1))
    assert asked(backend, "Usher", "Requests") == [1]
    backend.__dict__ = {}
    Backend.__init__(backend)  # as moto does
    assert asked(backend, "Usher", "Requests") == []
