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
class Share:
    """One variant's place in the endpoint: its weight (any number from 0) and its count of instances."""

    name: str
    image: str
    weight: float
    instances: int
    weight_wanted: float
    instances_wanted: int
    since: datetime.datetime

    def describe(self) -> dict[str, Any]:
        """Its member of DescribeEndpoint's ProductionVariants."""
        deployed = {"SpecifiedImage": self.image, "ResolvedImage": self.image, "ResolutionTime": self.since}
        return {
            "VariantName": self.name,
            "DeployedImages": [deployed],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight_wanted,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.instances_wanted,
        }

    def wanting(self, weight: float | None, instances: int | None) -> Share:
        """With another weight or count wanted; None keeps what was."""
        return replace(
            self,
            weight_wanted=self.weight_wanted if weight is None else weight,
            instances_wanted=self.instances_wanted if instances is None else instances,
        )

    def arrived(self) -> Share:
        """With what was wanted."""
        return replace(self, weight=self.weight_wanted, instances=self.instances_wanted)


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

    def shares(self, images: Mapping[str, str]) -> list[Share]:
        """The variants' weights and counts after the deployment. images: variant → image."""
        shares = []
        for item in self.variants:
            name, weight, count = item["VariantName"], item["InitialVariantWeight"], item["InitialInstanceCount"]
            shares.append(Share(name, images[name], float(weight), count, float(weight), count, now()))
        return shares


class EndpointConfig(Resource):
    """An endpoint configuration; its request lists the production variants."""


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
    config = find(account, request["EndpointConfigName"])
    return {**described(config), "EndpointConfigArn": config.arn, "CreationTime": config.created}


def list_endpoint_configs(account: Account, request: Request) -> dict[str, Any]:
    return listing.page("EndpointConfigs", list(account.all(EndpointConfig).values()), _summary, request)


def delete_endpoint_config(account: Account, request: Request) -> dict[str, Any]:
    config = find(account, request["EndpointConfigName"])
    account.all(EndpointConfig).pop(config.name, None)
    return {}


def find(account: Account, name: str) -> EndpointConfig:
    """Refused when there is no such configuration."""
    missing = invalid(f'Could not find endpoint configuration "{account.arn("endpoint-config", name)}".')
    return account.find(EndpointConfig, name, missing)


def described(config: EndpointConfig) -> dict[str, Any]:
    """The request, with what AWS fills in."""
    variants = [{"InitialVariantWeight": 1.0, **variant} for variant in config.request["ProductionVariants"]]
    return {**config.request, "ProductionVariants": variants}


def _summary(config: EndpointConfig) -> dict[str, Any]:
    arn = config.arn
    return {"EndpointConfigName": config.name, "EndpointConfigArn": arn, "CreationTime": config.created}
