"""Endpoint configurations: which models serve as which variants, with which weights."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import listing
from twin.sagemaker.account import Account
from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.hosting import model
from twin.sagemaker.resource import Request, Resource

_ELSEWHERE = {
    "AsyncInferenceConfig": "asynchronous inference",
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explainers",
}


def create_endpoint_config(account: Account, request: Request) -> dict[str, Any]:
    for field, name in _ELSEWHERE.items():
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
    config = Resource(name, account.arn("endpoint-config", name), request)
    taken = invalid(f'Cannot create already existing endpoint configuration "{config.arn}".')
    account.put(account.configs, config, taken)
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
    return listing.page("EndpointConfigs", list(account.configs.values()), _summary, request)


def delete_endpoint_config(account: Account, request: Request) -> dict[str, Any]:
    config = find(account, request["EndpointConfigName"])
    account.configs.pop(config.name, None)
    return {}


def find(account: Account, name: str) -> Resource:
    """Refused when there is no such configuration."""
    config = account.configs.get(name)
    if config is None:
        raise invalid(f'Could not find endpoint configuration "{account.arn("endpoint-config", name)}".')
    return config


def described(config: Resource) -> dict[str, Any]:
    """The request, with what AWS fills in."""
    variants = [{"InitialVariantWeight": 1.0, **variant} for variant in config.request["ProductionVariants"]]
    return {**config.request, "ProductionVariants": variants}


def _summary(config: Resource) -> dict[str, Any]:
    arn = config.arn
    return {"EndpointConfigName": config.name, "EndpointConfigArn": arn, "CreationTime": config.created}
