"""JSONata and JSONPath in the twin's workflows give what they give on AWS."""

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
        ("{% $hash('a', 'CRC') %}", "algorithm 'CRC' is none of"),
        ("{% $partition([1], 0) %}", "chunk size is 0"),
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


def test_jsonata_has_the_functions_of_step_functions(execute: Execute) -> None:
    found = execute(
        _output(
            {
                "partition": "{% $partition([1..5], 2) %}",
                "range": "{% $range(1, 9, 4) %}",
                "down": "{% $range(3, 1, -1) %}",
                "hash": "{% $hash('a', 'SHA-256') %}",
                "uuid": "{% $length($uuid()) %}",
                "random": "{% $random(7) = $random(7) %}",
                "parse": "{% $parse('{\"a\": [1, null]}').a %}",
                "name": "{% $states.context.State.Name %}",
                "time": "{% $substring($states.context.Execution.StartTime, 10, 1) %}",
            }
        )
    )
    assert found["output"] == {
        "partition": [[1, 2], [3, 4], [5]],
        "range": [1, 5, 9],
        "down": [3, 2, 1],
        "hash": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "uuid": 36,
        "random": True,
        "parse": [1, None],
        "name": "A",
        "time": "T",
    }


def test_jsonata_reads_a_large_input_in_good_time(execute: Execute) -> None:
    given = {"items": [{"id": number, "name": "x" * 50} for number in range(2500)]}
    assert execute(_output({"n": "{% $count($states.input.items) %}"}), given)["output"] == {"n": 2500}


def test_a_definite_path_is_the_value_itself(execute: Execute) -> None:
    found = execute(
        {
            "StartAt": "A",
            "States": {
                "A": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$.a[0].b", "NumericGreaterThan": 0.4, "Next": "Right"}],
                    "Default": "Wrong",
                },
                "Right": {"Type": "Pass", "Parameters": {"one.$": "$.a[0].b", "all.$": "$.a[*].b"}, "End": True},
                "Wrong": {"Type": "Fail"},
            },
        },
        {"a": [{"b": 0.42}]},
    )
    assert found["output"] == {"one": 0.42, "all": [0.42]}


def test_a_definite_path_is_the_value_itself_in_an_intrinsic_function(execute: Execute) -> None:
    definition = {
        "StartAt": "A",
        "States": {"A": {"Type": "Pass", "Parameters": {"x.$": "States.MathAdd($.a[0].b, 1)"}, "End": True}},
    }
    assert execute(definition, {"a": [{"b": 41}]})["output"] == {"x": 42}


@pytest.mark.parametrize(
    ("comparison", "value"),
    [
        ("BooleanEqualsPath", True),
        ("NumericEqualsPath", 3),
        ("StringEqualsPath", "x"),
        ("TimestampEqualsPath", "2026-01-02T03:04:05Z"),
    ],
)
def test_a_definite_path_is_the_value_itself_in_a_comparison(execute: Execute, comparison: str, value: Any) -> None:
    rule = {"Variable": "$.v", comparison: "$.a[0].b", "Next": "Right"}
    states = {
        "A": {"Type": "Choice", "Choices": [rule], "Default": "Wrong"},
        "Right": {"Type": "Succeed"},
        "Wrong": {"Type": "Fail"},
    }
    assert execute({"StartAt": "A", "States": states}, {"v": value, "a": [{"b": value}]})["status"] == "SUCCEEDED"


def test_a_variable_works_in_a_jsonpath_choice(execute: Execute) -> None:
    found = execute(
        {
            "StartAt": "A",
            "States": {
                "A": {"Type": "Pass", "Assign": {"x.$": "$.a", "y": {"z.$": "$.a"}}, "Next": "B"},
                "B": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$x", "NumericEquals": 1, "Next": "C"}],
                    "Default": "Wrong",
                },
                "C": {"Type": "Pass", "Parameters": {"v.$": "$y.z"}, "End": True},
                "Wrong": {"Type": "Fail"},
            },
        },
        {"a": 1},
    )
    assert found["output"] == {"v": 1}


def test_malformed_jsonata_is_refused_at_creation(execute: Execute) -> None:
    with pytest.raises(Exception, match=r"SCHEMA_VALIDATION_FAILED: .* is malformed: .* at /States/A/Output/x"):
        execute(_output({"x": "{% $states.input. %}"}))


def test_a_missing_transition_target_is_refused_at_creation(execute: Execute) -> None:
    states = {"A": {"Type": "Pass", "Next": "B"}}
    with pytest.raises(Exception, match="MISSING_TRANSITION_TARGET: Next 'B' at /States/A is no state there"):
        execute({"StartAt": "A", "States": states})
    inner = {
        "Type": "Map",
        "End": True,
        "ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Pass", "Next": "M"}}},
    }
    with pytest.raises(Exception, match="Next 'M' at /States/M/ItemProcessor/States/X is no state there"):
        execute({"StartAt": "M", "States": {"M": inner}})
