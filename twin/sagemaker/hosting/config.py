"""Endpoint configurations, the deployment of one, and each variant's weight and instance count."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from twin.sagemaker import listing
from twin.sagemaker.account import Account, Request, Resource, now
from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.hosting import model

_UNSUPPORTED = {
    "AsyncInferenceConfig": "asynchronous inference",
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explainers",
}


@dataclass(frozen=True)
class VariantState:
    """One variant's weight (from 0) and instance count in an endpoint, current and desired."""

    name: str
    image: str
    weight: float
    instances: int
    desired_weight: float
    desired_instances: int
    since: datetime.datetime

    def describe(self) -> dict[str, Any]:
        """Its member of DescribeEndpoint's ProductionVariants."""
        deployed = {"SpecifiedImage": self.image, "ResolvedImage": self.image, "ResolutionTime": self.since}
        return {
            "VariantName": self.name,
            "DeployedImages": [deployed],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.desired_weight,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.desired_instances,
        }

    def with_target(self, weight: float | None, instances: int | None) -> VariantState:
        """With another desired weight or count; None keeps the present one."""
        return replace(
            self,
            desired_weight=self.desired_weight if weight is None else weight,
            desired_instances=self.desired_instances if instances is None else instances,
        )

    def at_target(self) -> VariantState:
        """With the desired weight and count as the current ones."""
        return replace(self, weight=self.desired_weight, instances=self.desired_instances)


@dataclass(frozen=True)
class Deployment:
    """One deployment of an endpoint configuration."""

    config: str
    variants: list[dict[str, Any]]
    started: datetime.datetime | None = None

    def describe(self) -> dict[str, Any]:
        """A PendingDeploymentSummary."""
        variants = [
            {
                "VariantName": item["VariantName"],
                "DesiredWeight": item["InitialVariantWeight"],
                "DesiredInstanceCount": item["InitialInstanceCount"],
            }
            for item in self.variants
        ]
        return {"EndpointConfigName": self.config, "ProductionVariants": variants, "StartTime": self.started}

    def states(self, images: Mapping[str, str]) -> list[VariantState]:
        """The variants' weights and counts after the deployment. images: variant → image."""
        states = []
        for item in self.variants:
            name, weight, count = item["VariantName"], item["InitialVariantWeight"], item["InitialInstanceCount"]
            states.append(VariantState(name, images[name], float(weight), count, float(weight), count, now()))
        return states


class EndpointConfig(Resource):
    """An endpoint configuration; its request lists the production variants."""

    def describe(self) -> dict[str, Any]:
        """DescribeEndpointConfig, with the weights that the request left out."""
        variants = [{"InitialVariantWeight": 1.0, **variant} for variant in self.request["ProductionVariants"]]
        return {**super().describe(), "ProductionVariants": variants, "EndpointConfigArn": self.arn}


def create_endpoint_config(account: Account, request: Request) -> dict[str, Any]:
    for field, name in _UNSUPPORTED.items():
        if request.get(field):
            raise unsupported(name)
    if (request.get("DataCaptureConfig") or {}).get("EnableCapture"):
        raise unsupported("data capture")
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise invalid(f"Production variant names must be unique; repeated: {', '.join(repeated)}.")
    for variant in variants:
        _check_variant(account, variant)
    name = request["EndpointConfigName"]
    config = EndpointConfig(name, account.arn("endpoint-config", name), request)
    taken = invalid(f'Cannot create already existing endpoint configuration "{config.arn}".')
    account.put(config, taken)
    return {"EndpointConfigArn": config.arn}


def _check_variant(account: Account, variant: dict[str, Any]) -> None:
    name = variant["VariantName"]
    if variant.get("ServerlessConfig"):
        raise unsupported("serverless inference")
    if not variant.get("ModelName"):
        raise invalid(f"ModelName must be specified for production variant {name}.")
    model.find(account, variant["ModelName"])
    if not variant.get("InstanceType"):
        raise invalid(f"InstanceType must be specified for production variant {name}.")
    if variant.get("InitialInstanceCount", 0) < 1:
        raise invalid(f"InitialInstanceCount of production variant {name} must be at least 1.")


def describe_endpoint_config(account: Account, request: Request) -> dict[str, Any]:
    return find(account, request["EndpointConfigName"]).describe()


def list_endpoint_configs(account: Account, request: Request) -> dict[str, Any]:
    summary = listing.fields("EndpointConfigName EndpointConfigArn CreationTime")
    return listing.page("EndpointConfigs", account.all(EndpointConfig), summary, request)


def delete_endpoint_config(account: Account, request: Request) -> dict[str, Any]:
    config = find(account, request["EndpointConfigName"])
    account.all(EndpointConfig).pop(config.name, None)
    return {}


def find(account: Account, name: str) -> EndpointConfig:
    """The configuration of that name; Refused when it does not exist."""
    missing = invalid(f'Could not find endpoint configuration "{account.arn("endpoint-config", name)}".')
    return account.find(EndpointConfig, name, missing)
