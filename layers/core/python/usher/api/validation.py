"""Checks values by the schemas of the OpenAPI document: the part of JSON Schema that the document uses.

Reading the document fails on a keyword that is not checked here, so that none is ignored.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from usher.api.problems import Problem
from usher.schema.ids import check_id
from usher.schema.release_dates import release_limit
from usher.schema.times import seconds_of

Schema = Mapping[str, Any]

_ANNOTATIONS = {"description", "default", "example", "examples"}
_CHECKED = {
    *("type", "format", "minimum", "maximum", "minLength", "maxLength", "enum"),
    *("items", "minItems", "maxItems", "properties", "required", "additionalProperties", "oneOf"),
}
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    ),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_NOUNS = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "an object",
}
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def refuse_unchecked(schema: Schema, where: str) -> None:
    """ValueError for a keyword, type or format of `schema` that `check` would ignore."""
    unknown = set(schema) - _ANNOTATIONS - _CHECKED
    if unknown:
        raise ValueError(f"{where}: {', '.join(sorted(unknown))} would not be checked: teach usher.api.validation")
    if "oneOf" in schema:
        _refuse_ambiguous(schema, where)
        return
    if str(schema.get("type")) not in _TYPES:
        raise ValueError(f"{where}: type {schema.get('type')!r} would not be checked")
    if "format" in schema and schema["format"] not in _FORMATS:
        raise ValueError(f"{where}: format {schema['format']!r} would not be checked")
    if "items" in schema:
        refuse_unchecked(schema["items"], f"{where}[]")
    for name, part in schema.get("properties", {}).items():
        refuse_unchecked(part, f"{where}.{name}")


def _refuse_ambiguous(schema: Schema, where: str) -> None:
    """ValueError unless the alternatives of `oneOf` differ in type, by which `check` selects one."""
    kinds = [str(part.get("type")) for part in schema["oneOf"]]
    if len(set(kinds)) < len(kinds) or set(schema) - _ANNOTATIONS - {"oneOf"}:
        raise ValueError(f"{where}: the alternatives of oneOf must differ in type, and stand alone")
    for part in schema["oneOf"]:
        refuse_unchecked(part, where)


def check(schema: Schema, value: Any, name: str) -> None:
    """Raise Problem `bad-parameter`, which names the place in the value, when `value` does not match the schema."""
    if "oneOf" in schema:
        check(_meant(schema["oneOf"], value, name), value, name)
        return
    kind = schema["type"]
    if not _TYPES[kind](value):
        raise _bad(name, f"must be {_NOUNS[kind]}{_range(schema)}")
    if "enum" in schema and value not in schema["enum"]:
        raise _bad(name, f"must be one of {', '.join(map(str, schema['enum']))}")
    if kind in ("integer", "number"):
        _check_range(schema, value, name)
    elif kind == "string":
        _check_text(schema, value, name)
    elif kind == "array":
        _check_list(schema, value, name)
    elif kind == "object":
        _check_object(schema, value, name)


def _meant(alternatives: Sequence[Schema], value: Any, name: str) -> Schema:
    """The alternative of the value's type."""
    for part in alternatives:
        if _TYPES[part["type"]](value):
            return part
    raise _bad(name, f"must be {' or '.join(_NOUNS[part['type']] for part in alternatives)}")


def from_text(schema: Schema, text: str, name: str) -> Any:
    """The value of a query parameter; Problem when the text is not of the schema's type."""
    kind = schema["type"]
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "integer" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "string":
        return text
    raise _bad(name, f"is {_quoted(text)}: it must be {_NOUNS[kind]}{_range(schema)}")


def refuse_unknown(names: Mapping[str, Any] | set[str], known: Mapping[str, Any], within: str = "") -> None:
    """Raise Problem `unknown-parameter` for the first unknown name, with the closest known one.

    within: the path of the object that has the names, empty for the request itself.
    """
    for name in sorted(set(names) - set(known)):
        near = get_close_matches(name[:64], known, 1)
        hint = f"did you mean {near[0]}?" if near else f"the parameters are {', '.join(known) or 'none'}"
        where = f"{within}: " if within else ""
        detail = f"{where}{_quoted(name)} is not a parameter: {hint}"
        raise Problem("unknown-parameter", detail, _inside(within, name[:64]))


def _check_range(schema: Schema, value: float, name: str) -> None:
    if not schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf):
        raise _bad(name, f"is {str(value)[:20]}: it must be{_range(schema)}")


def _check_text(schema: Schema, value: str, name: str) -> None:
    if len(value) < schema.get("minLength", 0):
        raise _bad(name, "must not be empty")
    if len(value) > schema.get("maxLength", math.inf):
        raise _bad(name, f"has {len(value)} characters: {schema['maxLength']} are allowed")
    if "format" in schema and (fault := _FORMATS[schema["format"]](value)):
        raise _bad(name, fault)


def _check_list(schema: Schema, value: list[Any], name: str) -> None:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not least <= len(value) <= most:
        raise _bad(name, f"has {len(value)} entries: {least} to {most} are allowed")
    for number, entry in enumerate(value):
        check(schema["items"], entry, f"{name}[{number}]")


def _check_object(schema: Schema, value: dict[str, Any], name: str) -> None:
    known = schema.get("properties", {})
    if schema.get("additionalProperties") is False:
        refuse_unknown(value, known, name)
    for needed in schema.get("required", ()):
        if needed not in value:
            raise Problem("missing-parameter", f"{_inside(name, needed)} is missing", _inside(name, needed))
    for part, entry in value.items():
        if part in known:
            check(known[part], entry, _inside(name, part))


def _inside(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _bad(name: str, fault: str) -> Problem:
    return Problem("bad-parameter", f"{name or 'the body'} {fault}", name)


def _range(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    return f" {schema['minimum']} or more" if "minimum" in schema else ""


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _fault_of(parse: Callable[[str], float]) -> Callable[[str], str | None]:
    """A check by a parser: the message of its ValueError, None for a string that it takes."""

    def fault(text: str) -> str | None:
        try:
            parse(text)
        except ValueError as error:
            return str(error)
        return None

    return fault


_FORMATS: Mapping[str, Callable[[str], str | None]] = {
    "usher-id": check_id,
    "usher-date": _fault_of(release_limit),
    "usher-time": _fault_of(seconds_of),
}
