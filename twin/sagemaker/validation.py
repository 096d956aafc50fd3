"""Checks a request as SageMaker's front end does, by AWS's own model of its API (twin/api_model.py)."""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
from botocore.model import ServiceModel

from twin.api_model import refusal, service_path, violations
from twin.sagemaker.errors import Refused, invalid

_FOUND = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
_WANTED = {
    "structure": "Start of structure or map",
    "map": "Start of structure or map",
    "list": "Start of list",
    "string": "a String",
    "boolean": "a Boolean",
}


@functools.cache
def model() -> ServiceModel:
    """AWS's description of the SageMaker API."""
    return botocore.session.get_session().get_service_model("sagemaker")


def check(action: str, body: dict[str, Any]) -> None:
    """Raise Refused when `body` breaks a constraint of `action`'s input, naming every one as AWS does.

    An unknown member is ignored, as by the JSON protocol. A value of another type is a SerializationException: "10" and
    10 are not the same.
    """
    found = [one for one in violations(model().operation_model(action).input_shape, body) if one.kind != "unknown"]
    for one in found:
        if one.kind == "type":
            place, wanted = service_path(one.path) or "the request", _WANTED.get(one.rule, "a number")
            raise Refused("SerializationException", f"{place} is {_FOUND.get(type(one.value), 'null')}, not {wanted}")
    if found:
        raise invalid(refusal(found))
