"""What starts a tick, what the workflow does after it, and what a tick writes to the log and to CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from usher.errors import InputError
from usher.metrics import emit as emit_metrics

SERVICE = "shift_traffic"
#: A number of the tick → its metric.
_METRICS = {
    "challenger": "ChallengerWeight",
    "join_rate": "JoinRate",
    "log_e_sample_ratio": "SampleRatioEvidence",
    "log_e_guardrail": "GuardrailEvidence",
    "evidence": "PromotionEvidence",
}
_NAME_MAX = 300


@dataclass(frozen=True, slots=True)
class TickRequest:
    """What started a tick. holder: the execution's name. alarm: its name, or empty. command: its key, or empty."""

    holder: str
    alarm: str = ""
    command: str = ""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> TickRequest:
        """From the workflow's input {holder, given: {alarm?, command?}}; InputError for any other."""
        given = event.get("given")
        holder = event.get("holder")
        if not isinstance(given, Mapping) or not isinstance(holder, str) or not holder:
            raise InputError(
                f"this is not the input of a tick ({str(event)[:200]}): start the shift workflow, "
                "which calls this function"
            )
        alarm, command = (given.get(name, "") for name in ("alarm", "command"))
        if not isinstance(alarm, str) or not isinstance(command, str):
            raise InputError(f"alarm and command must be strings: got {str(dict(given))[:200]}")
        return cls(holder, alarm[:_NAME_MAX], command[:_NAME_MAX])

    @property
    def is_urgent(self) -> bool:
        return bool(self.alarm or self.command)


@dataclass(frozen=True, slots=True)
class TickResult:
    """What the workflow does next. weights: to give the endpoint, empty to leave it as it is.

    experiment_id: whose side effects are to be completed. numbers: for CloudWatch.
    """

    decision: str
    reason: str
    experiment_id: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    side_effects: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    def item(self) -> dict[str, Any]:
        """The function's answer, as the workflow reads it."""
        wanted = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in sorted(self.weights.items())]
        return {
            "decision": self.decision,
            "reason": self.reason,
            "experiment_id": self.experiment_id,
            "weights": wanted,
            "update_weights": bool(wanted),
            "check_next_run": bool(self.side_effects.get("check_next_run")),
            "complete_side_effects": bool(self.side_effects),
        }


def emit(result: TickResult, logger: Any) -> None:
    """Log the decision; while an experiment is open, also write its numbers in CloudWatch's embedded metric format."""
    extra = {"experiment": result.experiment_id, "decision": result.decision, "reason": result.reason}
    logger.info("tick", extra=extra)
    values = {_METRICS[name]: value for name, value in result.numbers.items() if name in _METRICS and value is not None}
    if values:
        emit_metrics(values, {"service": SERVICE}, unit="None")
