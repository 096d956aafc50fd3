"""Resolves the functions of a template (Ref, Fn::GetAtt, Fn::Sub, conditions …), and orders resources by dependency.

Everything unknown is an error. Functions that neither the application's template nor SAM's own stack uses are unknown.
"""

from __future__ import annotations

import graphlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twin.cloudformation.errors import TemplateError
from twin.cloudformation.template import Template

NO_VALUE = object()
"""The result of `AWS::NoValue`: the property does not exist."""

_VARIABLE = re.compile(r"\$\{(!?)([^{}]+)\}")
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")


class Referable(Protocol):
    """A resource as the rest of its template sees it."""

    @property
    def physical_id(self) -> str:
        """The result of Ref."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The results of Fn::GetAtt."""


@dataclass(slots=True)
class Scope:
    """What the functions of one template are resolved against.

    parameters: values of parameters and pseudo parameters. resources: those that exist by now, by logical id.
    """

    template: Template
    parameters: Mapping[str, Any]
    resources: Mapping[str, Referable]

    def resolve(self, value: Any) -> Any:
        """`value` with every function in it replaced by its result."""
        if isinstance(value, dict):
            if len(value) == 1 and (function := self._function(next(iter(value)))):
                return function(next(iter(value.values())))
            items = ((key, self.resolve(item)) for key, item in value.items())
            return {key: item for key, item in items if item is not NO_VALUE}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if isinstance(value, str) and (found := _DYNAMIC.search(value)):
            raise TemplateError(f"dynamic reference {found[0]} is not supported by the twin")
        return value

    def condition(self, name: str) -> bool:
        """Whether the named condition of the template holds."""
        conditions = self.template.get("Conditions", {})
        if name not in conditions:
            raise TemplateError(f"condition {name} is not defined")
        return self._holds(conditions[name])

    def _holds(self, value: Any) -> bool:
        if isinstance(value, dict) and len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Fn::Equals":
                left, right = map(self.resolve, argument)
                return _text(left) == _text(right)
            if name == "Fn::Not":
                return not self._holds(argument[0])
        raise TemplateError(f"not a condition that the twin supports: {json.dumps(value)}")

    def _function(self, name: str) -> Callable[[Any], Any] | None:
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
        }
        if name.startswith("Fn::") and name not in functions:
            raise TemplateError(f"{name} is not supported by the twin")
        return functions.get(name)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        return self._resource(name, "Ref").physical_id

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        attributes = self._resource(logical_id, "Fn::GetAtt").attributes
        if attribute not in attributes:
            known = ", ".join(sorted(attributes)) or "none"
            raise TemplateError(f"{logical_id} has no attribute {attribute} in the twin; it has: {known}")
        return attributes[attribute]

    def _resource(self, logical_id: str, function: str) -> Referable:
        if logical_id in self.resources:
            return self.resources[logical_id]
        raise TemplateError(
            f"{function} {logical_id}: there is no such parameter or resource (its condition may be false)"
        )

    def _sub(self, text: Any) -> str:
        if not isinstance(text, str):
            raise TemplateError("Fn::Sub with a list is not supported by the twin: write the values into the string")

        def value(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return "${" + found[2] + "}"
            return _text(self._get_att(name) if "." in name else self._ref(name))

        return _VARIABLE.sub(value, text)

    def _if(self, argument: Any) -> Any:
        name, then, otherwise = argument
        return self.resolve(then if self.condition(name) else otherwise)

    def _join(self, argument: Any) -> str:
        separator, items = argument
        return str(separator.join(_text(item) for item in self.resolve(items)))

    def _select(self, argument: Any) -> Any:
        index, items = int(argument[0]), self.resolve(argument[1])
        if not 0 <= index < len(items):
            raise TemplateError(f"Fn::Select cannot select nonexistent value at index {index}")
        return items[index]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return _text(self.resolve(text)).split(separator)


def active_resources(scope: Scope) -> dict[str, dict[str, Any]]:
    """The template's resources whose condition holds, by logical id."""
    resources: dict[str, dict[str, Any]] = scope.template["Resources"]
    return {
        logical_id: resource
        for logical_id, resource in resources.items()
        if "Condition" not in resource or scope.condition(resource["Condition"])
    }


def creation_order(scope: Scope) -> list[str]:
    """The logical ids of the active resources, each after its dependencies.

    TemplateError for a circle, and for a dependency that does not exist.
    """
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for logical_id, resource in active_resources(scope).items():
        sorter.add(logical_id, *_dependencies(logical_id, resource, scope))
    try:
        return list(sorter.static_order())
    except graphlib.CycleError as error:
        raise TemplateError(f"circular dependency between resources: {' → '.join(error.args[1])}") from error


def _dependencies(logical_id: str, resource: dict[str, Any], scope: Scope) -> list[str]:
    everything, present = scope.template["Resources"], active_resources(scope)
    explicit = resource.get("DependsOn", [])
    explicit = [explicit] if isinstance(explicit, str) else explicit
    if missing := [name for name in explicit if name not in everything]:
        raise TemplateError(f"{logical_id} depends on {missing[0]}, which is not in the template")
    found = dict.fromkeys(name for name in explicit if name in present)
    for name in _references(resource.get("Properties", {}), scope):
        if name in present:
            found[name] = None
        elif name not in scope.parameters and name != "AWS::NoValue":
            what = "whose condition is false" if name in everything else "which is not in the template"
            raise TemplateError(f"{logical_id} refers to {name}, {what}")
    return list(found)


def _references(value: Any, scope: Scope) -> Iterator[str]:
    """The names that `value` refers to in the branches that hold: resources, parameters and pseudo parameters."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item, scope)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "Ref" and isinstance(item, str):
            yield item
        elif key == "Fn::GetAtt":
            yield item.split(".", 1)[0] if isinstance(item, str) else item[0]
        elif key == "Fn::If":
            yield from _references(item[1] if scope.condition(item[0]) else item[2], scope)
        elif key == "Fn::Sub" and isinstance(item, str):
            found = (match[2].strip() for match in _VARIABLE.finditer(item) if not match[1])
            yield from (name.split(".", 1)[0] for name in found)
        else:
            yield from _references(item, scope)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise TemplateError(f"a string was expected here, not {json.dumps(value)}")
    return str(value)
