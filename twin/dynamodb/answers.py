"""Items go out as they are: moto has them in DynamoDB's own JSON and writes each value anew, a call chain for each.

The popularity lists, one item of 180 kB, took it half a second; now some milliseconds. Binary values take moto's way.
"""

from __future__ import annotations

from typing import Any

from twin.moto_patches.registry import original

_SYMBOL = "moto.core.serialize:BaseJSONSerializer._serialize_type_structure"
_PLAIN = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})


def serialize_type_structure(self: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:
    """BaseJSONSerializer._serialize_type_structure; a value of DynamoDB's that is JSON already is taken whole."""
    if shape.name == "AttributeValue" and key and _is_json(value):
        serialized[key] = value
    else:
        original(_SYMBOL)(self, serialized, value, shape, key)


def _is_json(value: Any) -> bool:
    """Whether an attribute value holds no bytes, at any depth."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return isinstance(content, dict) and all(map(_is_json, content.values()))
    if kind == "L":
        return isinstance(content, list) and all(map(_is_json, content))
    return kind in _PLAIN
