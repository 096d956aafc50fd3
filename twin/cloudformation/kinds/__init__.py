"""The resource types that the twin knows, by name; any other type fails the deployment that asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from twin.cloudformation.errors import TemplateError
from twin.cloudformation.kinds import (
    access,
    awslambda,
    custom,
    http,
    messaging,
    s3,
    storage,
    streaming,
    watching,
    workflows,
)
from twin.cloudformation.kinds.base import Kind

_CUSTOM = custom.Custom()

KINDS: Mapping[str, Kind] = {
    kind.type: kind
    for module in (s3, storage, streaming, messaging, watching, access, awslambda, workflows, http)
    for kind in module.KINDS
} | {_CUSTOM.type: _CUSTOM}


def kind_of(logical_id: str, resource_type: str) -> Kind:
    """The type `resource_type`; TemplateError, naming the resource, when the twin does not know it."""
    if resource_type.startswith("Custom::"):
        return _CUSTOM
    if resource_type not in KINDS:
        raise TemplateError(f"{logical_id}: resource type {resource_type} is not known to the twin")
    return KINDS[resource_type]
