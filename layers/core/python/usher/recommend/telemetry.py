"""What the read path writes to its log: counters by level, slots that failed, defects; never who asked for what."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from usher.counts import NAMESPACE


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
        self._count(names, {"status": status, "level": body.get("level"), "slot": body.get("slot")})

    def slot_failed(self, slot: str, reason: str) -> None:
        """A slot gave no answer; the next rung of the ladder does."""
        self._logger.warning("slot failed", extra={"slot": slot, "reason": reason})
        self._count([f"Slot{slot}Failed"], {"slot": slot})

    def unread(self, what: str, error: Exception) -> None:
        """Something of the state could not be read; an older value or a lower rung serves."""
        self._logger.warning("not read", extra={"what": what, "reason": f"{type(error).__name__}: {str(error)[:500]}"})
        self._count(["StateUnread"], {"what": what})

    def defect(self, error: Exception) -> None:
        """A request on which Usher failed."""
        self._logger.log(logging.ERROR, "failed", exc_info=error)

    def _count(self, names: list[str], said: Mapping[str, Any]) -> None:
        """One line in CloudWatch's embedded metric format, with what an engineer greps for beside it."""
        metrics = [{"Name": name, "Unit": "Count"} for name in names]
        directive = {"Namespace": NAMESPACE, "Dimensions": [["service"]], "Metrics": metrics}
        head = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        line = {"_aws": head, "service": self._service, **dict.fromkeys(names, 1), **said}
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
