"""What a tick writes to its log: the decision, and the numbers that alarms and the dashboard show."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from usher.experiments.controller import Answer
from usher.metrics import NAMESPACE

SERVICE = "shift_traffic"
#: A number of the summary → its metric.
_METRICS = {
    "challenger": "ChallengerWeight",
    "join_rate": "JoinRate",
    "log_e_sample_ratio": "SampleRatioEvidence",
    "log_e_guardrail": "GuardrailEvidence",
    "evidence": "PromotionEvidence",
}


def told(answer: Answer, logger: Any) -> None:
    """One line for people; and, while an experiment is open, one in CloudWatch's embedded metric format."""
    extra = {"experiment": answer.experiment_id, "decision": answer.decision, "reason": answer.reason}
    logger.info("looked", extra=extra)
    values = {_METRICS[name]: value for name, value in answer.shown.items() if name in _METRICS and value is not None}
    if values:
        sys.stdout.write(_line(values) + "\n")


def _line(values: Mapping[str, float]) -> str:
    metrics = [{"Name": name, "Unit": "None"} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["service"]], "Metrics": metrics}
    head = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": head, "service": SERVICE, **values}, separators=(",", ":"))
