"""In which order resources are made: a resource after everything that it refers to or depends on."""

from __future__ import annotations

import graphlib
from typing import Any

from twin.cloudformation.errors import TemplateError
from twin.cloudformation.intrinsics import Scope, references


def wanted(scope: Scope) -> dict[str, dict[str, Any]]:
    """The template's resources whose condition holds, by logical id."""
    resources: dict[str, dict[str, Any]] = scope.template["Resources"]
    return {
        logical_id: resource
        for logical_id, resource in resources.items()
        if "Condition" not in resource or scope.condition(resource["Condition"])
    }


def order(scope: Scope) -> list[str]:
    """The logical ids of the wanted resources, each after its dependencies; TemplateError for a circle or a ghost."""
    resources = wanted(scope)
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for logical_id, resource in resources.items():
        sorter.add(logical_id, *dependencies(logical_id, resource, scope))
    try:
        return list(sorter.static_order())
    except graphlib.CycleError as error:
        raise TemplateError(f"circular dependency between resources: {' → '.join(error.args[1])}") from error


def dependencies(logical_id: str, resource: dict[str, Any], scope: Scope) -> list[str]:
    """What `resource` has to wait for, in the template's order."""
    everything, present = scope.template["Resources"], wanted(scope)
    explicit = resource.get("DependsOn", [])
    explicit = [explicit] if isinstance(explicit, str) else explicit
    if missing := [name for name in explicit if name not in everything]:
        raise TemplateError(f"{logical_id} depends on {missing[0]}, which is not in the template")
    found = dict.fromkeys(name for name in explicit if name in present)
    for name in references(resource.get("Properties", {}), scope):
        if name in present:
            found[name] = None
        elif name not in scope.parameters and name != "AWS::NoValue":
            what = "whose condition is false" if name in everything else "which is not in the template"
            raise TemplateError(f"{logical_id} refers to {name}, {what}")
    return list(found)
