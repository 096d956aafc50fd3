"""What a change set shows: the changes that a deployment would make, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twin.cloudformation.engine import Resource
from twin.cloudformation.intrinsics import Scope, active_resources, creation_order
from twin.cloudformation.resource_types.base import CreatedResource


def differences(scope: Scope, resources: Mapping[str, Resource]) -> list[tuple[str, str, str]]:
    """What `Deployment.apply` and `clean_up` would do: (Add, Modify or Remove; logical id; type)."""
    kept = active_resources(scope)
    changes = [("Add", name, kept[name]["Type"]) for name in creation_order(scope) if name not in resources]
    preview = Scope(scope.template, scope.parameters, _Preview(resources))
    for name in kept:
        if name in resources and preview.resolve(kept[name].get("Properties", {})) != resources[name].properties:
            changes.append(("Modify", name, kept[name]["Type"]))
    return changes + [("Remove", name, resources[name].type) for name in resources if name not in kept]


class _Preview(dict[str, Any]):
    """The existing resources, and CloudFormation's placeholder for future ones."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> CreatedResource:
        return CreatedResource("{{changeSet:KNOWN_AFTER_APPLY}}", _Unknown())


class _Unknown(dict[str, str]):
    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "{{changeSet:KNOWN_AFTER_APPLY}}"
