"""Template text becomes a plain mapping, with the SAM transform applied as AWS's servers apply it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import boto3
import yaml

from twin.cloudformation.errors import TemplateError

Template = dict[str, Any]

SAM = "AWS::Serverless-2016-10-31"
MAX_BYTES = 1_000_000
"""A template in S3 may have 1 MB."""

SECTIONS = frozenset(
    (
        *("AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Hooks", "Mappings", "Metadata"),
        *("Outputs", "Parameters", "Resources", "Rules", "Transform"),
    )
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
    raise TemplateError(f"!{suffix} stands before something that is neither text, list nor mapping")


_Loader.add_multi_constructor("!", _short_form)


def parse(text: str) -> Template:
    """The template in `text` (YAML or JSON); TemplateError when it is none."""
    if len(text.encode()) > MAX_BYTES:
        raise TemplateError(f"the template is larger than {MAX_BYTES:,} bytes")
    try:
        template = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise TemplateError(f"the template cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict) or not template["Resources"]:
        raise TemplateError("the template has no Resources")
    if unknown := sorted(set(template) - SECTIONS):
        raise TemplateError(f"the template has an unknown section: {unknown[0]}")
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

    copied = json.loads(json.dumps(template))  # the translator changes what it is given
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    try:
        translated: Template = translator.translate(copied, dict(parameters), get_managed_policy_map=_managed_policies)
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes) or error.message
        raise TemplateError(f"the SAM transform refuses the template: {causes}") from error
    return translated


@functools.cache
def _managed_policies() -> dict[str, str]:
    """AWS's managed policies by name, for those that the translator does not bring along."""
    from twin.iam.managed_policies import catalog  # noqa: PLC0415 - 5 MB of text, seldom wanted

    return {name: policy_arn for policy_arn, (name, _) in catalog().items()}
