"""Metric math: what is computed, and that the rest is refused."""

from __future__ import annotations

import pytest

from twin.cloudwatch.expression import ExpressionError, evaluate, names

SERIES = {"m1": {0.0: 1.0, 60.0: 4.0}, "m2": {0.0: 2.0, 60.0: 0.0, 120.0: 5.0}}


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "m1 +",
        "m1 ** 2",
        "m1 % 2",
        "m1 if m2 else 1",
        "RATE(m1)",
        "ANOMALY_DETECTION_BAND(m1)",
        "FILL(m1, 0)",
        "SUM([m1, m2])",
        "[m1, m2]",
        "__import__('os')",
        "m1.x",
        "m1[0]",
        "1 / 0",
        "IF(m1 > 2)",
        "IF(1 > 2, m1, m2)",
        "0 < m1 < 5",
        "m1 > 2 and m2 > 1",
        "m1 is m2",
        "lambda: 1",
        "'text'",
        "(" * 300 + "m1" + ")" * 300,
    ],
)
def test_what_cannot_be_computed_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        names(expression)


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(ExpressionError, match="'m3', which is not the id"):
        evaluate("m1 / m3", SERIES)


def test_a_ratio_has_no_value_where_it_would_divide_by_zero() -> None:
    assert evaluate("100 * m1 / m2", SERIES) == {0.0: 50.0}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("m1 + m2", {0.0: 3.0, 60.0: 4.0}),
        ("-(m1 - 1) * 2", {0.0: 0.0, 60.0: -6.0}),
        ("m1 > 2", {0.0: 0.0, 60.0: 1.0}),
        ("IF(m1 >= 4, m2 / m1, -1)", {0.0: -1.0, 60.0: 0.0}),
        ("IF(m2 < 5, m1, m2)", {0.0: 1.0, 60.0: 4.0, 120.0: 5.0}),
        ("IF(m2 == 5, m1, 1)", {0.0: 1.0, 60.0: 1.0}),
        ("IF(m2 >= 1, m1 / m2, 0)", {0.0: 0.5, 60.0: 0.0}),
        ("7", {0.0: 7.0, 60.0: 7.0, 120.0: 7.0}),
    ],
)
def test_arithmetic_by_period(expression: str, found: dict[float, float]) -> None:
    assert evaluate(expression, SERIES) == found


def test_the_ids_of_an_expression_are_known() -> None:
    assert names("IF(m1 > 0, m2, 0) / m3") == {"m1", "m2", "m3"}
