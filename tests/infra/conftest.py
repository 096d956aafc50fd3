"""The built application, as `make build` left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

PROJECT = Path(__file__).parents[2]
BUILD = PROJECT / ".aws-sam" / "build"


@dataclass(frozen=True)
class Built:
    """The built template, and where its code lies."""

    template: Mapping[str, Any]

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        resources: Mapping[str, Mapping[str, Any]] = self.template["Resources"]
        return resources

    def of_type(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """Properties by logical id of all resources of a type."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    @property
    def functions(self) -> dict[str, Mapping[str, Any]]:
        return self.of_type("AWS::Serverless::Function")

    def code(self, function: str) -> Path:
        return (BUILD / self.functions[function]["CodeUri"]).resolve()

    def layers(self, function: str) -> list[Path]:
        """The folders of a function's layers, in their order."""
        names = [reference["Ref"] for reference in self.functions[function]["Layers"]]
        return [(BUILD / self.resources[name]["Properties"]["ContentUri"]).resolve() for name in names]


@pytest.fixture(scope="session")
def built() -> Built:
    path = BUILD / "template.yaml"
    if not path.exists():
        pytest.fail("the application is not built: run make build")
    return Built(yaml_parse(path.read_text()))
