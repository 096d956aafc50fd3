"""Casts template properties to API parameters by botocore's model of the service: names, JSON documents, tags, numbers.

A property without a counterpart in the model is an error: only AWS would see a property that the twin ignores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from twin.cloudformation.errors import ResourceError


def cast(value: Any, shape: Shape, where: str) -> Any:
    """`value` in the type of `shape`; ResourceError names `where` when that is not possible."""
    if isinstance(shape, StructureShape):
        return _structure(value, shape, where)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise ResourceError(f"{where} must be a list")
        return [cast(item, shape.member, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(shape, MapShape):
        return _map(value, shape, where)
    return _scalar(value, shape, where)


def _structure(value: Any, shape: StructureShape, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ResourceError(f"{where} must be a mapping")
    members = {member.lower(): member for member in shape.members}
    result = {}
    for key, item in value.items():
        member = members.get(key.lower())
        if member is None:
            raise ResourceError(f"property {where}.{key} is not supported by the twin")
        result[member] = cast(item, shape.members[member], f"{where}.{key}")
    return result


def _map(value: Any, shape: MapShape, where: str) -> dict[str, Any]:
    if isinstance(value, list):  # tags: a list in a template, a map in some services
        value = {tag["Key"]: tag["Value"] for tag in value}
    if not isinstance(value, Mapping):
        raise ResourceError(f"{where} must be a mapping")
    return {key: cast(item, shape.value, f"{where}.{key}") for key, item in value.items()}


def _scalar(value: Any, shape: Shape, where: str) -> Any:
    kind = shape.type_name
    try:
        if kind in ("integer", "long"):
            return _whole(value)
        if kind in ("double", "float"):
            return float(value)
    except (TypeError, ValueError) as error:
        raise ResourceError(f"{where} must be a number, not {json.dumps(value)}") from error
    if kind == "boolean":
        return _boolean(value, where)
    return _text(value) if kind == "string" else value


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer() or isinstance(value, bool):
        raise ValueError
    return int(number)


def _boolean(value: Any, where: str) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ResourceError(f"{where} must be true or false, not {json.dumps(value)}")
    return str(value).lower() == "true"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
