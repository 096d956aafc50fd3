"""The resource types that the twin supports, by name; any other type fails the deployment that uses it."""

from __future__ import annotations

from collections.abc import Mapping

from twin.cloudformation.errors import TemplateError
from twin.cloudformation.resource_types import access, awslambda, custom, http, messaging, observability, runs, storage
from twin.cloudformation.resource_types.base import ResourceType

_CUSTOM = custom.Custom()

RESOURCE_TYPES: Mapping[str, ResourceType] = {
    one.type: one
    for module in (storage, messaging, observability, access, awslambda, runs, http)
    for one in module.RESOURCE_TYPES
}


def resource_type(logical_id: str, name: str) -> ResourceType:
    """The type `name`; TemplateError, naming the resource, when the twin does not support it."""
    if name.startswith("Custom::"):
        return _CUSTOM
    if name not in RESOURCE_TYPES:
        raise TemplateError(f"{logical_id}: resource type {name} is not supported by the twin")
    return RESOURCE_TYPES[name]
