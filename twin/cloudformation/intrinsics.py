"""The functions of a template (Ref, Fn::GetAtt, Fn::Sub, conditions …), strictly: what is unknown is an error."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from twin.cloudformation.errors import TemplateError
from twin.cloudformation.template import Template

NO_VALUE = object()
"""What `AWS::NoValue` stands for: the property is not there."""

_VARIABLE = re.compile(r"\$\{(!?)([^{}]+)\}")
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")


class Referable(Protocol):
    """A resource as the rest of its template sees it."""

    @property
    def physical_id(self) -> str:
        """What Ref gives."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What Fn::GetAtt gives."""


@dataclass(slots=True)
class Scope:
    """What the functions of one template are resolved against.

    parameters: resolved parameters and pseudo parameters. resources: those that exist by now, by logical id.
    exports:    the values that other stacks export.
    """

    template: Template
    parameters: Mapping[str, Any]
    resources: Mapping[str, Referable]
    exports: Mapping[str, str] = field(default_factory=dict)

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
            if name == "Condition":
                return self.condition(argument)
            if name == "Fn::Equals":
                left, right = map(self.resolve, argument)
                return _text(left) == _text(right)
            if name == "Fn::Not":
                return not self._holds(argument[0])
            if name in ("Fn::And", "Fn::Or"):
                return (all if name == "Fn::And" else any)(self._holds(item) for item in argument)
        raise TemplateError(f"not a condition: {json.dumps(value)}")

    def _function(self, name: str) -> Callable[[Any], Any] | None:
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": lambda text: base64.b64encode(self.resolve(text).encode()).decode(),
            "Fn::ImportValue": self._import_value,
            "Fn::GetAZs": self._get_azs,
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
        attribute = self.resolve(attribute)
        attributes = self._resource(logical_id, "Fn::GetAtt").attributes
        if attribute not in attributes:
            known = ", ".join(sorted(attributes)) or "none"
            raise TemplateError(f"{logical_id} has no attribute {attribute} in the twin; it has: {known}")
        return attributes[attribute]

    def _resource(self, logical_id: str, function: str) -> Referable:
        if logical_id in self.resources:
            return self.resources[logical_id]
        raise TemplateError(
            f"{function} {logical_id}: there is no such parameter, nor a resource (its condition may be false)"
        )

    def _sub(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else argument
        given = {name: self.resolve(value) for name, value in names.items()}

        def value(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return "${" + found[2] + "}"
            if name in given:
                return _text(given[name])
            return _text(self._get_att(name) if "." in name else self._ref(name))

        return _VARIABLE.sub(value, text)

    def _if(self, argument: Any) -> Any:
        name, then, otherwise = argument
        return self.resolve(then if self.condition(name) else otherwise)

    def _join(self, argument: Any) -> str:
        separator, items = argument
        return str(separator.join(_text(item) for item in self.resolve(items)))

    def _select(self, argument: Any) -> Any:
        index, items = self.resolve(argument)
        if not 0 <= int(index) < len(items):
            raise TemplateError(f"Fn::Select: there is no item {index} in a list of {len(items)}")
        return items[int(index)]

    def _split(self, argument: Any) -> list[str]:
        separator, text = self.resolve(argument)
        return str(text).split(separator)

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = self.resolve(argument[:3])
        try:
            return self.template["Mappings"][name][first][second]
        except KeyError as error:
            raise TemplateError(f"Fn::FindInMap: there is no {name}.{first}.{second}") from error

    def _import_value(self, argument: Any) -> str:
        name = self.resolve(argument)
        if name not in self.exports:
            raise TemplateError(f"no export named {name} found")
        return self.exports[name]

    def _get_azs(self, argument: Any) -> list[str]:
        region = self.resolve(argument) or self.parameters["AWS::Region"]
        return [f"{region}{letter}" for letter in "abc"]


def references(value: Any, scope: Scope) -> Iterator[str]:
    """The names that `value` refers to in the branches that hold: resources, parameters and pseudo parameters."""
    if isinstance(value, list):
        for item in value:
            yield from references(item, scope)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "Ref" and isinstance(item, str):
            yield item
        elif key == "Fn::GetAtt":
            yield item.split(".", 1)[0] if isinstance(item, str) else item[0]
        elif key == "Fn::If":
            yield from references(item[1] if scope.condition(item[0]) else item[2], scope)
        elif key == "Fn::Sub":
            text, names = (item, {}) if isinstance(item, str) else item
            found = (match[2].strip() for match in _VARIABLE.finditer(text) if not match[1])
            yield from (name.split(".", 1)[0] for name in found if name not in names)
            yield from references(names, scope)
        else:
            yield from references(item, scope)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise TemplateError(f"text was expected here, not {json.dumps(value)}")
    return str(value)
