"""What the read path writes to its log: counters by level and by variant, defects; never who asked for what."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from usher.metrics import NAMESPACE
from usher.serving.assignment import Assignment


class Telemetry:
    """service: the function's name, the metrics' dimension."""

    def __init__(self, service: str, logger: Any) -> None:
        self._service, self._logger = service, logger

    def answered(self, status: int, body: Mapping[str, Any]) -> None:
        """Count an answer: its level and whether it was empty, or its status."""
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
        """A variant gave no answer; the next rung of the ladder does."""
        self._logger.warning("variant failed", extra={"variant": variant, "reason": reason})
        self._count([f"Variant{variant}Failed"], {"variant": variant})

    def variant_asked(self, given: Assignment, faults: Sequence[str]) -> None:
        """Count a request for the variant that it was given, also when another one answered.

        faults: of errors, slow and empty. By experiment and variant only those requests are counted that the
        experiment's weights split: the guardrails compare two roles, and what goes to the champion alone would blur
        that.
        """
        values = {f"Variant{kind.capitalize()}": int(kind in faults) for kind in ("errors", "slow", "empty")}
        dimensions, said = [["variant"]], {"variant": str(given.variant)}
        if given.experiment:
            dimensions, said = [["experiment", "variant"], *dimensions], said | {"experiment": given.experiment}
        self._emit({"VariantRequests": 1, **values}, dimensions, said, {"StorageResolution": 1})

    def unwritten(self, what: str, error: Exception) -> None:
        """Something could not be kept in the state; the answer goes out without."""
        self._warn("not written", what, error)
        self._count(["StateUnwritten"], {"what": what})

    def unread(self, what: str, error: Exception) -> None:
        """Something of the state could not be read; an older value or a lower rung serves."""
        self._warn("not read", what, error)
        self._count(["StateUnread"], {"what": what})

    def defect(self, error: Exception) -> None:
        """A request on which Usher failed."""
        self._logger.log(logging.ERROR, "failed", exc_info=error)

    def _warn(self, event: str, what: str, error: Exception) -> None:
        self._logger.warning(event, extra={"what": what, "reason": f"{type(error).__name__}: {str(error)[:500]}"})

    def _count(self, names: list[str], said: Mapping[str, Any]) -> None:
        self._emit(dict.fromkeys(names, 1), [["service"]], said, {})

    def _emit(
        self, values: Mapping[str, int], dimensions: list[list[str]], said: Mapping[str, Any], more: Mapping[str, Any]
    ) -> None:
        """One line in CloudWatch's embedded metric format, with what an engineer greps for beside it."""
        metrics = [{"Name": name, "Unit": "Count", **more} for name in values]
        directive = {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}
        head = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        line = {"_aws": head, "service": self._service, **values, **said}
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
