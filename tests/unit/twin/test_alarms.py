"""When an alarm changes its state, and what it says then."""

from __future__ import annotations

import pytest

from twin.cloudwatch.alarm_rules import Missing, Rule, State, evaluate, reason

_: float | None = None


def _rule(periods: int = 1, datapoints: int = 1, missing: Missing = "missing", **more: object) -> Rule:
    settings = {"comparison": "GreaterThanOrEqualToThreshold", "threshold": 1.0, **more}
    return Rule(periods=periods, datapoints=datapoints, missing=missing, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        ("GreaterThanOrEqualToThreshold", "OK", "ALARM", "ALARM"),
        ("GreaterThanThreshold", "OK", "OK", "ALARM"),
        ("LessThanThreshold", "ALARM", "OK", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM", "ALARM", "OK"),
    ],
)
def test_each_comparison_at_its_edge(comparison: str, below: State, at: State, above: State) -> None:
    rule = _rule(comparison=comparison)
    assert [evaluate(rule, [_, _, value], "INSUFFICIENT_DATA") for value in (0.9, 1.0, 1.1)] == [below, at, above]


# AWS's own table, three of three periods and two more in view:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
X, O = 1.0, 0.0  # noqa: E741 - as AWS writes it
TABLE: list[tuple[list[float | None], dict[Missing, State | None]]] = [
    ([O, _, X, _, X], {"missing": "OK", "ignore": "OK", "breaching": "OK", "notBreaching": "OK"}),
    ([_, _, _, _, O], {"missing": "OK", "ignore": "OK", "breaching": "OK", "notBreaching": "OK"}),
    ([_, _, _, _, _], {"missing": "INSUFFICIENT_DATA", "ignore": None, "breaching": "ALARM", "notBreaching": "OK"}),
    ([O, X, X, _, X], {"missing": "ALARM", "ignore": "ALARM", "breaching": "ALARM", "notBreaching": "ALARM"}),
    ([_, _, X, _, _], {"missing": "ALARM", "ignore": None, "breaching": "ALARM", "notBreaching": "OK"}),
]


@pytest.mark.parametrize("previous", ["OK", "ALARM"])
@pytest.mark.parametrize(("points", "expected"), TABLE)
def test_missing_data_follow_the_table_of_aws(
    points: list[float | None], expected: dict[Missing, State | None], previous: State
) -> None:
    found = {missing: evaluate(_rule(3, 3, missing), points, previous) for missing in expected}
    assert found == {missing: state or previous for missing, state in expected.items()}


def test_m_of_n_needs_only_m() -> None:
    rule = _rule(5, 2)
    assert evaluate(rule, [_, _, O, X, O, X, O], "OK") == "ALARM"
    assert evaluate(rule, [_, _, O, X, O, O, O], "ALARM") == "OK"
    assert evaluate(rule, [X, X, O, O, O, O, O], "ALARM") == "OK", "only the last five count"


def test_one_bad_value_alone_is_too_early_for_three_of_three() -> None:
    assert evaluate(_rule(3, 3), [_, _, _, _, X], "OK") == "OK"


def test_a_gap_does_not_end_an_alarm_at_once() -> None:
    rule = _rule(missing="notBreaching")
    assert evaluate(rule, [_, _, X], "OK") == "ALARM"
    assert evaluate(rule, [_, X, _], "ALARM") == "ALARM"
    assert evaluate(rule, [_, _, _], "ALARM") == "OK"


def test_the_reason_says_what_was_compared() -> None:
    said = reason(_rule(2, 1, threshold=2.5), [_, _, 1.0, 3.0], "ALARM", "OK")
    assert said == (
        "Threshold Crossed: 1 out of the last 2 datapoints [3.0] was greater than or equal to the threshold (2.5) "
        "(minimum 1 datapoint for OK -> ALARM transition)."
    )
    back = reason(_rule(2, 2, threshold=2.5), [_, _, 1.0, 2.0], "OK", "ALARM")
    assert "2 out of the last 2 datapoints [1.0, 2.0] were not greater than or equal to" in back
    nothing = reason(_rule(missing="breaching"), [_, _, _], "ALARM", "OK")
    assert "no datapoints were received for 1 period and 1 missing datapoints were treated as [Breaching]" in nothing
