"""The metric math of the alarms: + - * /, comparisons and IF.

PutMetricAlarm refuses every other expression.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Final

Series = Mapping[float, float]
"""Values by the beginning of their period, seconds since 1970."""

_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[float, float], bool]]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class ExpressionError(ValueError):
    """An expression that the twin does not compute."""


def names(expression: str) -> set[str]:
    """The ids that an expression refers to. Raises ExpressionError for one that cannot be computed."""
    tree = _parsed(expression)
    _evaluate(tree, _AnyName())
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {"IF"}


def evaluate(expression: str, series: Mapping[str, Series]) -> dict[float, float]:
    """The expression for each period in which it has a value; where it divides by zero it has none."""
    found = _evaluate(_parsed(expression), series)
    if isinstance(found, float):
        moments = {moment for each in series.values() for moment in each}
        return dict.fromkeys(sorted(moments), found)
    return dict(sorted(found.items()))


class _AnyName(dict[str, Series]):
    """Accepts every id while an expression is only checked."""

    def __missing__(self, key: str) -> Series:
        return {}


def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ExpressionError(f"the twin cannot read the expression {expression!r}") from error


def _evaluate(node: ast.expr, series: Mapping[str, Series]) -> Series | float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return _lookup(name, series)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _combine(operator.mul, -1.0, _evaluate(operand, series))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _combine(_OPERATORS[type(op)], _evaluate(left, series), _evaluate(right, series))
        case ast.Compare(left=left, ops=[comparison], comparators=[right]) if type(comparison) in _COMPARISONS:
            compare = _COMPARISONS[type(comparison)]
            return _combine(compare, _evaluate(left, series), _evaluate(right, series))
        case ast.Call():
            return _call(node, series)
    raise _unknown(node)


def _call(node: ast.Call, series: Mapping[str, Series]) -> Series | float:
    match node:
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            return _choose(*(_evaluate(part, series) for part in (condition, then, otherwise)))
    raise _unknown(node)


def _unknown(node: ast.expr) -> ExpressionError:
    return ExpressionError(f"the twin computes + - * /, comparisons and IF(condition, a, b), not {ast.unparse(node)!r}")


def _lookup(name: str, series: Mapping[str, Series]) -> Series:
    try:
        return series[name]
    except KeyError:
        raise ExpressionError(f"the expression refers to {name!r}, which is not the id of an earlier query") from None


def _combine(apply: Callable[[float, float], float], left: Series | float, right: Series | float) -> Series | float:
    if isinstance(left, float) and isinstance(right, float):
        if apply is operator.truediv and right == 0:
            raise ExpressionError("the expression divides by the constant 0")
        return float(apply(left, right))
    moments = set(left) if not isinstance(left, float) else set(right) if not isinstance(right, float) else set()
    if not isinstance(left, float) and not isinstance(right, float):
        moments &= set(right)
    found = {}
    for moment in moments:
        first = left if isinstance(left, float) else left[moment]
        second = right if isinstance(right, float) else right[moment]
        if not (apply is operator.truediv and second == 0):
            found[moment] = float(apply(first, second))  # a comparison gives 1 or 0
    return found


def _choose(condition: Series | float, then: Series | float, otherwise: Series | float) -> Series:
    """IF: per period of the condition, the value of one side; no value where that side has none."""
    if isinstance(condition, float):
        raise ExpressionError("the condition of IF compares a metric")
    found = {}
    for moment, holds in condition.items():
        side = then if holds else otherwise
        if isinstance(side, float):
            found[moment] = side
        elif moment in side:
            found[moment] = side[moment]
    return found
