"""The API calls about endpoints."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import listing
from twin.sagemaker.account import Account
from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.hosting import config
from twin.sagemaker.hosting.endpoint import Endpoint
from twin.sagemaker.hosting.plan import Plan
from twin.sagemaker.resource import Request


def create_endpoint(account: Account, request: Request) -> dict[str, Any]:
    if request.get("DeploymentConfig"):
        raise unsupported("a DeploymentConfig when an endpoint is created")
    plan = _plan(account, request["EndpointConfigName"])
    endpoint = Endpoint(account, request, plan)
    taken = invalid(f'Cannot create already existing endpoint "{endpoint.arn}".')
    account.put(account.endpoints, endpoint, taken)
    endpoint.deploy(plan, "Creating")
    return {"EndpointArn": endpoint.arn}


def describe_endpoint(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request["EndpointName"]).describe()


def list_endpoints(account: Account, request: Request) -> dict[str, Any]:
    endpoints = list(account.endpoints.values())
    return listing.page("Endpoints", endpoints, _summary, request, status="EndpointStatus")


def update_endpoint(account: Account, request: Request) -> dict[str, Any]:
    endpoint = _find(account, request["EndpointName"])
    retain = bool(request.get("RetainAllVariantProperties"))
    excluded = [item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties") or []]
    plan = _plan(
        account,
        request["EndpointConfigName"],
        keep_weights=retain and "DesiredWeight" not in excluded,
        keep_instances=retain and "DesiredInstanceCount" not in excluded,
    )
    deployment = request.get("DeploymentConfig")
    if deployment:
        _check_deployment(endpoint, plan, deployment)
    endpoint.deploy(plan, "Updating")
    endpoint.deployment = deployment or (endpoint.deployment if request.get("RetainDeploymentConfig") else None)
    return {"EndpointArn": endpoint.arn}


def _check_deployment(endpoint: Endpoint, plan: Plan, deployment: dict[str, Any]) -> None:
    before, after = {share.name for share in endpoint.shares}, {item["VariantName"] for item in plan.variants}
    if before != after:
        raise invalid(
            "DeploymentConfig needs the same variant names in the old and the new endpoint configuration; they differ "
            f"in {', '.join(sorted(before ^ after))}."
        )
    blue_green = (deployment.get("BlueGreenUpdatePolicy") or {}).get("TrafficRoutingConfiguration") or {}
    if deployment.get("RollingUpdatePolicy") or blue_green.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise unsupported("traffic shifting inside of an update; use ALL_AT_ONCE")
    if deployment.get("AutoRollbackConfiguration"):
        raise unsupported("AutoRollbackConfiguration")


def update_endpoint_weights_and_capacities(account: Account, request: Request) -> dict[str, Any]:
    endpoint = _find(account, request["EndpointName"])
    wanted: dict[str, tuple[float | None, int | None]] = {}
    for item in request["DesiredWeightsAndCapacities"]:
        if item["VariantName"] in wanted:
            raise invalid(f"The variant name {item['VariantName']} is given more than once.")
        if item.get("DesiredInstanceCount", 1) < 1:
            raise invalid(f"DesiredInstanceCount of variant {item['VariantName']} must be at least 1.")
        wanted[item["VariantName"]] = (item.get("DesiredWeight"), item.get("DesiredInstanceCount"))
    endpoint.reweigh(wanted)
    return {"EndpointArn": endpoint.arn}


def delete_endpoint(account: Account, request: Request) -> dict[str, Any]:
    _find(account, request["EndpointName"]).delete()
    return {}


def _plan(account: Account, name: str, *, keep_weights: bool = False, keep_instances: bool = False) -> Plan:
    variants = config.described(config.find(account, name))["ProductionVariants"]
    return Plan(name, variants, keep_weights=keep_weights, keep_instances=keep_instances)


def _find(account: Account, name: str) -> Endpoint:
    endpoint = account.endpoints.get(name)
    if endpoint is None:
        raise invalid(f'Could not find endpoint "{account.arn("endpoint", name)}".')
    return endpoint


def _summary(endpoint: Endpoint) -> dict[str, Any]:
    described = endpoint.describe()
    shown = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    return {name: described[name] for name in shown}
