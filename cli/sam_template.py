"""Write a template for `sam local`: the built template with the environment variables of a running twin.

`sam local` cannot resolve references to resources, and --env-vars overrides only variables that the template declares.
A copy of the template therefore holds the deployed functions' variables and the twin's endpoint.
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
    """Write the template and return the logical ids of its functions.

    outward: variables with which a container reaches the twin: endpoint, region, dummy credentials.

    Raises CommandError when nothing is built, and when containers cannot reach the twin.
    """
    built = project / BUILT
    if not built.is_file():
        raise CommandError(f"{built} is missing: run `make build` first")
    _check_reachable(target)
    template = templates.parse(built.read_text())
    deployed = dict(_environments(target))
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        _anchor(properties, built.parent)
        if resource["Type"] == "AWS::Serverless::Function":
            if name not in deployed:
                raise CommandError(f"stack {target.stack_name} has no function {name}: deploy the built template")
            properties["Environment"] = {"Variables": {**outward, **deployed[name]}}
    _routed(template["Resources"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template, indent=1) + "\n")
    return sorted(deployed)


def _check_reachable(target: Target) -> None:
    host = urlsplit(target.endpoint or "").hostname
    if host in ("127.0.0.1", "localhost", "::1"):
        raise CommandError(
            f"containers cannot reach {target.description}: start it on the address of Docker's bridge, "
            "`usher twin up --listen 172.17.0.1` (`docker network inspect bridge` shows the address)"
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
    """Make the local paths of a resource absolute, so that the copy works in any folder."""
    for name in _LOCAL:
        value = properties.get(name)
        if isinstance(value, str) and "://" not in value:
            properties[name] = str((folder / value).resolve())


def _routed(resources: Mapping[str, Any]) -> None:
    """Copy API routes to their functions' events, where `sam local start-api` looks for them."""
    for name, route in resources.items():
        if route["Type"] == "AWS::ApiGatewayV2::Route":
            target = route["Properties"]["Target"]["Fn::Sub"]
            integration = resources[target.removeprefix("integrations/${").removesuffix("}")]["Properties"]
            method, path = route["Properties"]["RouteKey"].split(" ")
            given = {"Method": method.lower(), "Path": path, "PayloadFormatVersion": "2.0"}
            function = resources[integration["IntegrationUri"]["Fn::GetAtt"][0]]["Properties"]
            function.setdefault("Events", {})[name] = {"Type": "HttpApi", "Properties": given}
