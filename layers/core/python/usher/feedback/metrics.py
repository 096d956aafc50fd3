"""Metrics and log lines of feedback: counters, failed writes and forwards, defects; never user or item ids."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ParamValidationError

from usher.feedback.outcomes import Verdict
from usher.metrics import emit


class Telemetry:
    """service: the function's name, the metrics' dimension."""

    def __init__(self, service: str, logger: Any) -> None:
        self._service, self._logger = service, logger

    def answered(self, status: int, accepted: int, refused: int) -> None:
        """Count a request and its accepted and refused entries."""
        values = {"Requests": 1, "FeedbackAccepted": accepted, "FeedbackRefused": refused}
        values |= {"ServerErrors": 1} if status >= 500 else {"RequestsRefused": 1} if status >= 400 else {}
        self._count(values, {"status": status})

    def judged(self, verdicts: Iterable[Verdict]) -> None:
        """Count the outcomes, by experiment."""
        found: dict[str, Counter[str]] = {}
        for verdict in verdicts:
            found.setdefault(verdict.experiment, Counter()).update(verdict.metrics)
        for experiment, values in found.items():
            if values:
                self._count(values, {"experiment": experiment} if experiment else {})

    def unkept(self, error: Exception) -> None:
        """An event could not be stored; the client sends it again."""
        self._logger.warning("event not stored", extra={"reason": reason_of(error)})
        self._count({"FeedbackUnkept": 1}, {})

    def unforwarded(self, stream: str, reason: str, rows: int) -> None:
        """Firehose did not take rows; their events are stored, and the client sends them again."""
        self._logger.warning("rows not forwarded", extra={"stream": stream, "reason": reason, "rows": rows})
        self._count({"FeedbackUnforwarded": rows}, {"stream": stream})

    def defect(self, error: Exception) -> None:
        """A request that failed because of a defect in Usher."""
        self._logger.log(logging.ERROR, "request failed", exc_info=error)

    def _count(self, values: Mapping[str, int], fields: Mapping[str, Any]) -> None:
        """Count by service and, if `fields` names one, by experiment."""
        dimensions = [["service"], *[["experiment"]] * ("experiment" in fields)]
        emit(values, {"service": self._service, **fields}, dimensions, per_second=True)


def reason_of(error: Exception) -> str:
    """An error for the log. botocore's ParamValidationError gives its type alone: its message has user and item ids."""
    if isinstance(error, ParamValidationError):
        return type(error).__name__
    return f"{type(error).__name__}: {str(error)[:300]}"
