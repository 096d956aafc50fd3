"""Reads template text, applies the SAM transform as AWS's servers apply it, and checks parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import boto3
import yaml

from twin import context
from twin.cloudformation.errors import TemplateError

Template = dict[str, Any]

SAM = "AWS::Serverless-2016-10-31"
MAX_BYTES = 1_000_000
"""A template in S3 may have 1 MB."""

SECTIONS = frozenset(
    (
        *("AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Metadata"),
        *("Outputs", "Parameters", "Resources", "Transform"),
    )
)
_CONSTRAINTS = frozenset(
    ("Type", "Default", "Description", "AllowedValues", "AllowedPattern", "MinValue", "MaxValue", "MaxLength")
)


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short forms of the functions, and dates are strings."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    key = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {key: value.split(".", 1)} if suffix == "GetAtt" else {key: value}
    if isinstance(node, yaml.SequenceNode):
        return {key: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {key: loader.construct_mapping(node, deep=True)}
    raise TemplateError(f"!{suffix} must be followed by a string, a list or a mapping")


_Loader.add_multi_constructor("!", _short_form)


def parse(text: str) -> Template:
    """The template in `text` (YAML or JSON); TemplateError when it is not a template."""
    if len(text.encode()) > MAX_BYTES:
        raise TemplateError(f"the template is larger than {MAX_BYTES:,} bytes")
    try:
        template = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise TemplateError(f"the template cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict) or not template["Resources"]:
        raise TemplateError("the template has no Resources")
    if unknown := sorted(set(template) - SECTIONS):
        raise TemplateError(f"section {unknown[0]} of a template is not supported by the twin")
    for logical_id, resource in template["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise TemplateError(f"resource {logical_id} has no Type")
    return template


def expand(template: Template, parameters: Mapping[str, Any], region: str) -> Template:
    """The template with its transform applied; a template without one is returned as it is."""
    transforms = template.get("Transform", [])
    transforms = [transforms] if isinstance(transforms, str) else transforms
    if unknown := [name for name in transforms if name != SAM]:
        raise TemplateError(f"transform {unknown[0]} is not supported by the twin; {SAM} is")
    return _translate(template, parameters, region) if transforms else template


def _translate(template: Template, parameters: Mapping[str, Any], region: str) -> Template:
    # Imported here: only a deployment needs it, and it costs half a second.
    from samtranslator.model.exceptions import InvalidDocumentException  # noqa: PLC0415
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415

    copied = json.loads(json.dumps(template))  # the translator changes its input
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    try:
        translated: Template = translator.translate(copied, dict(parameters))
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes) or error.message
        raise TemplateError(f"the SAM transform refuses the template: {causes}") from error
    return translated


def parameter_values(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter's value; TemplateError names the first that is missing, unknown or outside its constraints."""
    for fault in parameter_faults(template, given):
        raise TemplateError(fault)
    return {name: _value(name, declaration, given) for name, declaration in template.get("Parameters", {}).items()}


def parameter_faults(template: Template, given: Mapping[str, str]) -> list[str]:
    """What is wrong with the given parameters, by the template's declarations; empty when nothing is."""
    declared: dict[str, dict[str, Any]] = template.get("Parameters", {})
    known = ", ".join(declared) or "none"
    faults = [
        f"parameter {name} does not exist in the template; it has: {known}"
        for name in sorted(set(given) - set(declared))
    ]
    for name, declaration in declared.items():
        try:
            _value(name, declaration, given)
        except TemplateError as error:
            faults.append(str(error))
    return faults


def pseudo_parameters(region: str, stack_name: str, stack_id: str) -> dict[str, str]:
    """The pseudo parameters `AWS::…`."""
    return {
        "AWS::AccountId": context.ACCOUNT,
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _value(name: str, declaration: Mapping[str, Any], given: Mapping[str, str]) -> str:
    kind = declaration.get("Type", "String")
    if kind not in ("String", "Number"):
        raise TemplateError(f"parameter {name}: type {kind} is not supported by the twin")
    if unknown := sorted(set(declaration) - _CONSTRAINTS):
        raise TemplateError(f"parameter {name}: {unknown[0]} is not supported by the twin")
    if name not in given and "Default" not in declaration:
        raise TemplateError(f"parameter {name} has no value and no default")
    text = str(given.get(name, declaration.get("Default")))
    allowed = [str(value) for value in declaration.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise TemplateError(f"parameter {name} must be one of {', '.join(allowed)}, not {text!r}")
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise TemplateError(f"parameter {name} must match {pattern}, and {text!r} does not")
    if len(text) > int(declaration.get("MaxLength", len(text))):
        raise TemplateError(
            f"parameter {name} must have at most {declaration['MaxLength']} characters, not {len(text)}"
        )
    if kind == "Number":
        _check_number(name, text, declaration)
    return text


def _check_number(name: str, text: str, declaration: Mapping[str, Any]) -> None:
    try:
        number = float(text)
    except ValueError as error:
        raise TemplateError(f"parameter {name} must be a number, not {text!r}") from error
    if "MinValue" in declaration and number < float(declaration["MinValue"]):
        raise TemplateError(f"parameter {name} must be at least {declaration['MinValue']}, not {text!r}")
    if "MaxValue" in declaration and number > float(declaration["MaxValue"]):
        raise TemplateError(f"parameter {name} must be at most {declaration['MaxValue']}, not {text!r}")
