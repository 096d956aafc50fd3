"""Parameters of a template: given values and defaults, checked against their constraints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from twin import context
from twin.cloudformation.errors import TemplateError
from twin.cloudformation.template import Template

LISTS = ("CommaDelimitedList", "List<Number>", "List<String>")


def resolve(template: Template, given: Mapping[str, str]) -> dict[str, Any]:
    """Every parameter's value; TemplateError names the first that is missing, unknown or outside its constraints."""
    declared: dict[str, dict[str, Any]] = template.get("Parameters", {})
    if unknown := sorted(set(given) - set(declared)):
        known = ", ".join(declared) or "none"
        raise TemplateError(f"parameter {unknown[0]} does not exist in the template; it has: {known}")
    return {name: _value(name, slot, given) for name, slot in declared.items()}


def pseudo(region: str, stack_name: str, stack_id: str) -> dict[str, Any]:
    """The pseudo parameters `AWS::…`."""
    return {
        "AWS::AccountId": context.ACCOUNT,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _value(name: str, slot: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    kind = slot.get("Type", "String")
    if kind.startswith("AWS::SSM::"):
        raise TemplateError(f"parameter {name}: type {kind} is not supported by the twin")
    if name not in given and "Default" not in slot:
        raise TemplateError(f"parameter {name} has no value and no default")
    text = str(given.get(name, slot.get("Default")))
    if kind in LISTS:
        items = [item.strip() for item in text.split(",")] if text else []
        for item in items:
            _check(name, item, slot, number=kind == "List<Number>")
        return items
    _check(name, text, slot, number=kind == "Number")
    return text


def _check(name: str, text: str, slot: Mapping[str, Any], *, number: bool) -> None:
    allowed = [str(value) for value in slot.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise TemplateError(f"parameter {name} must be one of {', '.join(allowed)}, not {text!r}")
    pattern = slot.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise TemplateError(f"parameter {name} must match {pattern}, and {text!r} does not")
    size, low, high = (_number(name, text), "MinValue", "MaxValue") if number else (len(text), "MinLength", "MaxLength")
    unit = "" if number else " characters"
    if low in slot and size < float(slot[low]):
        raise TemplateError(f"parameter {name} must be at least {slot[low]}{unit}, not {text!r}")
    if high in slot and size > float(slot[high]):
        raise TemplateError(f"parameter {name} must be at most {slot[high]}{unit}, not {text!r}")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise TemplateError(f"parameter {name} must be a number, not {text!r}") from error
