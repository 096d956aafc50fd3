"""JSONata in the twin's workflows gives what it gives on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Execute = Callable[..., dict[str, Any]]


def _jsonata(**states: Any) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


def _output(expression: Any, **fields: Any) -> dict[str, Any]:
    return _jsonata(A={"Type": "Pass", "Output": expression, "End": True, **fields})


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("{% $states.input.missing %}", "returned nothing (undefined)"),
        ("{% $sum %}", "unsupported result type"),
        ("{% $number('x') %}", "failed"),
        ("{% $eval('1') %}", "Step Functions has no $eval"),
        ("{% $hash('a') %}", "failed"),
        ("{% $parse('{') %}", "failed"),
    ],
)
def test_jsonata_without_a_json_result_is_a_query_evaluation_error(
    execute: Execute, expression: str, cause: str
) -> None:
    found = execute(_output(expression))
    assert (found["status"], found["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert cause in found["cause"]


def test_jsonata_takes_values_as_they_are(execute: Execute) -> None:
    given = {"s": 'say "hi"\nback\\slash é', "none": None, "whole": 3.0, "$odd": {"a": [None, 1.5]}}
    found = execute(
        _jsonata(
            A={"Type": "Pass", "Assign": {"kept": "{% $states.input %}"}, "Next": "B"},
            B={"Type": "Pass", "Output": {"kept": "{% $kept %}", "none": "{% $kept.none %}"}, "End": True},
        ),
        given,
    )
    assert found["output"] == {"kept": {**given, "whole": 3}, "none": None}


def test_jsonata_parses_json_and_reads_the_context_object(execute: Execute) -> None:
    found = execute(
        _output(
            {
                "parse": "{% $parse('{\"a\": [1, null]}').a %}",
                "name": "{% $states.context.State.Name %}",
                "time": "{% $substring($states.context.Execution.StartTime, 10, 1) %}",
            }
        )
    )
    assert found["output"] == {
        "parse": [1, None],
        "name": "A",
        "time": "T",
    }


def test_jsonata_reads_a_large_input_in_good_time(execute: Execute) -> None:
    given = {"items": [{"id": number, "name": "x" * 50} for number in range(2500)]}
    assert execute(_output({"n": "{% $count($states.input.items) %}"}), given)["output"] == {"n": 2500}


def test_malformed_jsonata_is_refused_at_creation(execute: Execute) -> None:
    with pytest.raises(Exception, match=r"SCHEMA_VALIDATION_FAILED: .* is malformed: .* at /States/A/Output/x"):
        execute(_output({"x": "{% $states.input. %}"}))


def test_a_missing_transition_target_is_refused_at_creation(execute: Execute) -> None:
    states = {"A": {"Type": "Pass", "Next": "B"}}
    with pytest.raises(Exception, match="MISSING_TRANSITION_TARGET: Next 'B' at /States/A is not a state there"):
        execute({"StartAt": "A", "States": states})
    inner = {
        "Type": "Map",
        "End": True,
        "ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Pass", "Next": "M"}}},
    }
    with pytest.raises(Exception, match="Next 'M' at /States/M/ItemProcessor/States/X is not a state there"):
        execute({"StartAt": "M", "States": {"M": inner}})
