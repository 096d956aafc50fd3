"""The rules by which an alarm changes its state, apart from where its data come from.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]

EXTRA_PERIODS = 2
"""AWS looks further back than the evaluation periods, so that a gap in the data need not change the state."""

COMPARISONS: Final[dict[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm is in alarm: `datapoints` of the last `periods` values are beyond the threshold."""

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: Missing = "missing"

    def breaches(self, value: float) -> bool:
        """Whether a value lies beyond the threshold."""
        return COMPARISONS[self.comparison][0](value, self.threshold)


def evaluate(rule: Rule, points: Sequence[float | None], state: State) -> State:
    """The next state.

    points: one value for each of the last `periods + EXTRA_PERIODS` complete periods, oldest first, None where there
    are no data. Real data decide as far as there are any; what is still missing then is treated as the alarm says.
    """
    recent = [value for value in points if value is not None][-rule.periods :]
    breaching = sum(rule.breaches(value) for value in recent)
    lacking = rule.periods - len(recent)
    if breaching >= rule.datapoints:
        return "ALARM"
    if lacking == 0 or rule.missing == "notBreaching":
        return "OK"
    possible = breaching + lacking >= rule.datapoints  # if all that is missing were bad
    if rule.missing == "breaching":
        return "ALARM" if possible else "OK"
    if rule.missing == "ignore":
        return "OK" if recent and not possible else state
    return _with_gaps(rule, points, state, breaching, len(recent))


def _with_gaps(rule: Rule, points: Sequence[float | None], state: State, breaching: int, known: int) -> State:
    """Missing data stay missing. What is known may be too little for an alarm, though all of it is bad."""
    if known == 0:
        return "INSUFFICIENT_DATA"
    return _all_known_breach(rule, points, state) if breaching == known else "OK"


def _all_known_breach(rule: Rule, points: Sequence[float | None], state: State) -> State:
    """All that is known is bad, but it is little: an alarm once the oldest of it is as old as the alarm asks for."""
    age = next(len(points) - index for index, value in enumerate(points) if value is not None)
    return "ALARM" if age >= rule.datapoints else state


def reason(rule: Rule, points: Sequence[float | None], state: State, previous: State) -> str:
    """AWS's words for a change."""
    recent = [value for value in points if value is not None][-rule.periods :]
    if state == "INSUFFICIENT_DATA" or not recent:
        unit = "period" if rule.periods == 1 else "periods"
        said = f"no datapoints were received for {rule.periods} {unit}"
        if state != "INSUFFICIENT_DATA":
            treated = "Breaching" if state == "ALARM" else "NonBreaching"
            said += f" and {rule.periods} missing datapoints were treated as [{treated}]"
        return f"Threshold Crossed: {said}."
    wanted = [value for value in recent if rule.breaches(value) == (state == "ALARM")]
    words = COMPARISONS[rule.comparison][1]
    was = f"{'was' if len(wanted) == 1 else 'were'}{'' if state == 'ALARM' else ' not'}"
    return (
        f"Threshold Crossed: {len(wanted)} out of the last {len(recent)} datapoints {_shown(wanted)} {was} {words} "
        f"the threshold ({rule.threshold}) (minimum {rule.datapoints} datapoint{'' if rule.datapoints == 1 else 's'} "
        f"for {previous} -> {state} transition)."
    )


def _shown(values: Sequence[float]) -> str:
    return f"[{', '.join(str(value) for value in values)}]"
