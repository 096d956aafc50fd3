"""moto's metric data by series: each datum is looked at once, not for each question and each alarm again.

moto keeps one list of all data. With some thousand requests behind it, an alarm that reads through all of it each
minute costs more than what it watches.
"""

from __future__ import annotations

import threading
from typing import Any

from twin.cloudwatch.statistics import Metric

#: The index lies in the backend's own dictionary, which moto empties when it is reset.
_PLACE = "usher_series"
_lock = threading.Lock()


class Index:
    """The data of one backend that have been looked at, by their series."""

    def __init__(self) -> None:
        self._looked_at = 0
        self._series: dict[Metric, list[Any]] = {}

    def of(self, data: list[Any], metric: Metric) -> list[Any]:
        """The data of a series, in the order in which they came. data: all there are; only ever appended to."""
        for datum in data[self._looked_at :]:
            self._series.setdefault(Metric.of(datum), []).append(datum)
            self._looked_at += 1
        return list(self._series.get(metric, ()))


def data_of(backend: Any, metric: Metric) -> list[Any]:
    """All data of a series: what was put, and for AWS's namespaces what moto counts by itself."""
    with _lock:
        index: Index = backend.__dict__.setdefault(_PLACE, Index())
        found = index.of(backend.metric_data, metric)
    if metric.namespace.startswith("AWS/"):
        found += [each for each in backend.aws_metric_data if each.name == metric.name and Metric.of(each) == metric]
    return found
