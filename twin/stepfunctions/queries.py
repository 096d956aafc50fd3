"""JSONata for the interpreter: values are bound, not spliced into the text, and results are JSON.

Undefined results and functions are a States.QueryEvaluationError, as on AWS.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

import jsonata
from jsonata.utils import Utils
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType


class QueryError(Exception):
    """An expression that is malformed, that failed, or whose result is not JSON."""


def compile_query(expression: str) -> jsonata.Jsonata:
    """Parse an expression; QueryError when it is malformed."""
    try:
        compiled = jsonata.Jsonata(expression)
    except Exception as error:
        raise QueryError(f"the JSONata expression '{expression}' is malformed: {error}") from error
    compiled.set_output_convert_nulls(False)  # null and nothing are two results
    for name, function in _FUNCTIONS.items():
        compiled.register_lambda(name, function)
    return compiled


def evaluate(expression: str, bindings: Mapping[str, Any]) -> Any:
    """The JSON value of an expression; QueryError when it has none. bindings: variables by name, without `$`."""
    compiled = compile_query(expression)
    frame = {name: _bound(value) for name, value in bindings.items()}
    try:
        result = compiled.evaluate(None, frame)
    except Exception as error:
        raise QueryError(f"the JSONata expression '{expression}' failed: {error}") from error
    if result is None:
        raise QueryError(f"the JSONata expression '{expression}' returned nothing (undefined).")
    try:
        return plain(result)
    except TypeError as error:
        raise QueryError(f"the JSONata expression '{expression}' returned an unsupported result type.") from error


def plain(value: Any) -> Any:
    """JSON only: times as ISO 8601, whole numbers without a fraction. TypeError for values without a JSON form."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if value is Utils.NULL_VALUE:
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else value
    if isinstance(value, Mapping):
        return {str(name): plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(member) for member in value]
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise TypeError(f"{type(value).__name__} is not JSON")


def _bound(value: Any) -> Any:
    """A value as the engine wants it: a null inside stays a null."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, Mapping):
        return {name: _bound(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_bound(member) for member in value]
    if isinstance(value, datetime.datetime | datetime.date):
        return plain(value)
    return value


def _refused_eval(*_: Any) -> Any:
    raise QueryError("Step Functions has no $eval")


def _parse(text: str) -> Any:
    return _bound(json.loads(text))


#: What differs from JSONata in Step Functions; the workflows need none of its further functions.
_FUNCTIONS: Mapping[str, Any] = {"parse": _parse, "eval": _refused_eval}


def string_jsonata(self: Any, env: Any) -> None:
    """Evaluate a `{% … %}` string with `$states` and the variables in scope."""
    bindings = dict(_variables(env))
    bindings["states"] = env.states._states_data
    env.stack.append(_evaluate_in(env, self.expression, bindings))


def _variables(env: Any) -> Mapping[str, Any]:
    return {**env.variable_store._outer_scope, **env.variable_store._inner_scope}


def _evaluate_in(env: Any, expression: str, bindings: Mapping[str, Any]) -> Any:
    try:
        return evaluate(expression, bindings)
    except QueryError as error:
        raise FailureEventException(_evaluation_failed(env, str(error))) from error


def _evaluation_failed(env: Any, cause: str) -> Any:
    name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    details: Any = {"evaluationFailedEventDetails": EvaluationFailedEventDetails(error=name.error_name, cause=cause)}
    return FailureEvent(env=env, error_name=name, event_type=HistoryEventType.EvaluationFailed, event_details=details)
