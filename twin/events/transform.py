"""What a target gets of an event: all of it, a part, a constant, or a template filled from it.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([\w\-/]+)|\.?\['([^']+)'\]|\[(\d+)\]|\.?(?:\[\*\]|\*)")
# A JSON string, which may have placeholders inside, or a placeholder that stands for itself.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<([\w.\-]+)>')
_INSIDE = re.compile(r"<([\w.\-]+)>")
_MISSING = object()
RESERVED = ("aws.events.rule-arn", "aws.events.rule-name", "aws.events.event.ingestion-time")


class InputError(ValueError):
    """An input setting that AWS would refuse."""


def check(target: Mapping[str, Any]) -> None:
    """Raise InputError for settings that cannot work."""
    given = [name for name in ("Input", "InputPath", "InputTransformer") if target.get(name)]
    if len(given) > 1:
        raise InputError(f"only one of Input, InputPath or InputTransformer may be given, not {' and '.join(given)}")
    if target.get("Input"):
        _json(target["Input"], "Input")
    if target.get("InputPath"):
        _steps(target["InputPath"])
    if transformer := target.get("InputTransformer"):
        for path in (transformer.get("InputPathsMap") or {}).values():
            _steps(path)
        _lines(_TOKEN.sub(lambda token: token[0] if token[0][0] == '"' else "null", transformer["InputTemplate"]))


def target_input(target: Mapping[str, Any], event: dict[str, Any], predefined: Mapping[str, str]) -> str:
    """The JSON text for a target. predefined: the values of RESERVED."""
    if target.get("Input"):
        return str(target["Input"])
    if path := target.get("InputPath"):
        found = find(path, event)
        return json.dumps(None if found is _MISSING else found)
    if transformer := target.get("InputTransformer"):
        values = {name: find(path, event) for name, path in (transformer.get("InputPathsMap") or {}).items()}
        whole = {
            "aws.events.event.json": event,
            "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        }
        return fill(transformer["InputTemplate"], {**values, **predefined, **whole})
    return json.dumps(event)


def find(path: str, event: Any) -> Any:
    """The value at `$.detail.items[0]` and the like; with a wildcard the list of all that fit."""
    found, many = [event], False
    for step in _steps(path):
        many = many or step == "*"
        found = [value for each in found for value in _children(each, step)]
    if many:
        return found
    return found[0] if found else _MISSING


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Replace placeholders. Inside quotes a value becomes text, outside it stays JSON.

    A name without a value is empty text inside quotes, and null outside; an unknown name stays as it is.
    """

    def text(found: re.Match[str]) -> str:
        value = values.get(found[1], found[0])
        if value is _MISSING:
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    def token(found: re.Match[str]) -> str:
        if found[1] is None:
            return json.dumps(_INSIDE.sub(text, json.loads(found[0], strict=False)))
        value = values.get(found[1], found[0])
        return "null" if value is _MISSING else json.dumps(value)

    return _lines(_TOKEN.sub(token, template))


def _lines(filled: str) -> str:
    """JSON as it is; a template of several quoted lines becomes one text."""
    try:
        json.loads(filled)
    except ValueError:
        lines = [line for line in filled.splitlines() if line.strip()]
        parts = [_json(line, "InputTemplate") for line in lines]
        if len(parts) < 2 or not all(isinstance(part, str) for part in parts):
            raise InputError(f"InputTemplate is not valid JSON: {filled:.200}") from None
        return json.dumps("\n".join(parts))
    return filled


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is not valid JSON: {text:.200}") from error


def _steps(path: str) -> list[str | int]:
    if not path.startswith("$"):
        raise InputError(f"{path!r} is not a JSON path")
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            raise InputError(f"{path!r} is not a JSON path that EventBridge supports")
        steps.append(int(found[3]) if found[3] else found[1] or found[2] or "*")
        position = found.end()
    return steps


def _children(value: Any, step: str | int) -> list[Any]:
    if step == "*":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if isinstance(step, int):
        return [value[step]] if isinstance(value, list) and step < len(value) else []
    return [value[step]] if isinstance(value, dict) and step in value else []
