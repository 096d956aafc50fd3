"""A template for `sam local`: the built one, with the names that a running Usher has and the way to it.

`sam local` knows neither the resources behind a template's references nor an endpoint of AWS's APIs, and lets
--env-vars override only variables that the template declares. So both are written into a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.errors import CommandError
from cli.target import Target
from twin.cloudformation import template as templates

BUILT = Path(".aws-sam/build/template.yaml")
_LOCAL = ("CodeUri", "ContentUri", "DefinitionUri")


def write(target: Target, outward: Mapping[str, str], project: Path, path: Path) -> list[str]:
    """Write the template; the functions in it, by their names in the template.

    outward: how a container reaches the twin: endpoint, region, and credentials that are none.

    Raises CommandError when nothing is built, and when containers could not reach the twin.
    """
    built = project / BUILT
    if not built.is_file():
        raise CommandError(f"{built} is missing: `make build` first")
    _check_reachable(target)
    template = templates.parse(built.read_text())
    deployed = dict(_environments(target))
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        _anchor(properties, built.parent)
        if resource["Type"] == "AWS::Serverless::Function":
            if name not in deployed:
                raise CommandError(f"stack {target.stack_name} has no function {name}: deploy what is built")
            properties["Environment"] = {"Variables": {**outward, **deployed[name]}}
    _routed(template["Resources"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template, indent=1) + "\n")
    return sorted(deployed)


def _check_reachable(target: Target) -> None:
    host = urlsplit(target.endpoint or "").hostname
    if host in ("127.0.0.1", "localhost", "::1"):
        raise CommandError(
            f"containers cannot reach {target.description}: start it with the address of their bridge, "
            "`usher twin up --listen 172.17.0.1` (`docker network inspect bridge` says which)"
        )


def _environments(target: Target) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The variables of each deployed function."""
    pages = target.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=target.stack_name):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == "AWS::Lambda::Function":
                name = resource["PhysicalResourceId"]
                found = target.client("lambda").get_function_configuration(FunctionName=name)
                yield resource["LogicalResourceId"], found.get("Environment", {}).get("Variables", {})


def _anchor(properties: dict[str, Any], folder: Path) -> None:
    """Make the local paths of a resource absolute: the copy may lie anywhere."""
    for name in _LOCAL:
        value = properties.get(name)
        if isinstance(value, str) and "://" not in value:
            properties[name] = str((folder / value).resolve())


def _routed(resources: Mapping[str, Any]) -> None:
    """Say a function's routes as its events: `sam local start-api` knows those alone beside functions of SAM's form."""
    for name, route in resources.items():
        if route["Type"] == "AWS::ApiGatewayV2::Route":
            target = route["Properties"]["Target"]["Fn::Sub"]
            integration = resources[target.removeprefix("integrations/${").removesuffix("}")]["Properties"]
            method, path = route["Properties"]["RouteKey"].split(" ")
            given = {"Method": method.lower(), "Path": path, "PayloadFormatVersion": "2.0"}
            function = resources[integration["IntegrationUri"]["Fn::GetAtt"][0]]["Properties"]
            function.setdefault("Events", {})[name] = {"Type": "HttpApi", "Properties": given}
