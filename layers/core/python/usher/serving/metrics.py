"""Metrics and log lines of the read path: counters by level and by variant, defects; never user or item ids."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from usher.metrics import emit
from usher.serving.assignment import Assignment


class Telemetry:
    """service: the function's name, the metrics' dimension."""

    def __init__(self, service: str, logger: Any) -> None:
        self._service, self._logger = service, logger

    def answered(self, status: int, body: Mapping[str, Any]) -> None:
        """Count a response: its level and whether it was empty, or its status."""
        names = ["Requests"]
        if status >= 500:
            names.append("ServerErrors")
        elif status >= 400:
            names.append("RequestsRefused")
        elif "recommendation_id" in body:
            names.append({"model": "LevelModel", "fold_in": "LevelFoldIn"}.get(body["level"], "LevelPopular"))
            if not body["items"]:
                names.append("EmptyAnswers")
            if body["recommendation_id"] is None:
                names.append("UnsignedAnswers")
        self._count(names, {"status": status, "level": body.get("level"), "variant": body.get("variant")})

    def variant_failed(self, variant: str, reason: str) -> None:
        """A variant did not answer; the next level of the fallback chain does."""
        self._logger.warning("variant failed", extra={"variant": variant, "reason": reason})
        self._count([f"Variant{variant}Failed"], {"variant": variant})

    def variant_asked(self, assignment: Assignment, faults: Sequence[str]) -> None:
        """Count a request for the variant that it was assigned to, also when another one answered.

        faults: of errors, slow and empty. Only requests that the experiment's weights split are counted by experiment
        and variant: the guardrails compare two roles, and the champion's other requests would distort that.
        """
        values = {f"Variant{kind.capitalize()}": int(kind in faults) for kind in ("errors", "slow", "empty")}
        dimensions, fields = [["variant"]], {"service": self._service, "variant": str(assignment.variant)}
        if assignment.experiment:
            dimensions, fields["experiment"] = [["experiment", "variant"], *dimensions], assignment.experiment
        emit({"VariantRequests": 1, **values}, fields, dimensions, per_second=True)

    def unwritten(self, what: str, error: Exception) -> None:
        """State could not be written; the response does not depend on it."""
        self._warn("not written", what, error)
        self._count(["StateUnwritten"], {"what": what})

    def unread(self, what: str, error: Exception) -> None:
        """State could not be read; a cached value or a lower level of the fallback chain serves."""
        self._warn("not read", what, error)
        self._count(["StateUnread"], {"what": what})

    def defect(self, error: Exception) -> None:
        """A request that failed because of a defect in Usher."""
        self._logger.log(logging.ERROR, "failed", exc_info=error)

    def _warn(self, event: str, what: str, error: Exception) -> None:
        self._logger.warning(event, extra={"what": what, "reason": f"{type(error).__name__}: {str(error)[:500]}"})

    def _count(self, names: list[str], fields: Mapping[str, Any]) -> None:
        emit(dict.fromkeys(names, 1), {"service": self._service, **fields})
