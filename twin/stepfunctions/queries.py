"""JSONata and JSONPath for the interpreter: values are bound, not spliced into the text, and results are JSON.

Undefined results and functions are a States.QueryEvaluationError, as on AWS.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import random
import re
import uuid
from collections.abc import Mapping
from typing import Any

import jsonata
from jsonata.utils import Utils
from jsonpath_ng.ext.parser import parse
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

#: `..`, a filter, a wildcard, a slice or a union: more than one value may match.
_INDEFINITE = re.compile(r"\.\.|\?\(|\*|\[[^\]'\"]*[:,]")


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
    """JSON only: times as ISO 8601, whole numbers without a fraction. TypeError for anything that JSON has not."""
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
    """A value as the engine wants it: a null inside is a null, not nothing."""
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


def _hash(value: Any, algorithm: str = "SHA-256") -> str:
    names = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    if algorithm not in names:
        raise QueryError(f"$hash: algorithm {algorithm!r} is none of {', '.join(names)}")
    return hashlib.new(names[algorithm], str(value).encode(), usedforsecurity=False).hexdigest()


def _partition(values: Any, size: int) -> list[Any]:
    if size < 1:
        raise QueryError(f"$partition: the chunk size is {size}, it has to be above 0")
    items = values if isinstance(values, list) else [values]
    return [items[start : start + int(size)] for start in range(0, len(items), int(size))]


def _range(first: int, last: int, step: int) -> list[int]:
    if not step:
        raise QueryError("$range: the step is 0")
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


def _random(seed: Any = None) -> float:
    return random.Random(seed).random()  # noqa: S311 - a workflow's random number, no secret


def _parse(text: str) -> Any:
    return _bound(json.loads(text))


#: The functions that Step Functions adds to JSONata.
_FUNCTIONS: Mapping[str, Any] = {
    "hash": _hash,
    "uuid": lambda: str(uuid.uuid4()),
    "partition": _partition,
    "range": _range,
    "random": _random,
    "parse": _parse,
    "eval": _refused_eval,
}


def string_jsonata(self: Any, env: Any) -> None:
    """Evaluate a `{% … %}` string with `$states` and the variables in scope."""
    bindings = dict(_variables(env))
    bindings["states"] = env.states._states_data
    env.stack.append(_evaluate_in(env, self.expression, bindings))


def variable_sample(self: Any, env: Any) -> None:
    """Evaluate `$name.path` in JSONPath mode."""
    env.stack.append(_evaluate_in(env, self.expression, _variables(env)))


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


def extract_json(path: str, data: Any) -> Any:
    """The value at `path`; moto gives [x] for `$.a[0].b`, so that a Choice silently takes the wrong branch."""
    found = parse(path.replace("&&", "&").replace("||", "|")).find(data)
    if _INDEFINITE.search(path):
        return [match.value for match in found]
    if not found:
        raise NoSuchJsonPathError(json_path=path, data=data)
    return found[0].value
