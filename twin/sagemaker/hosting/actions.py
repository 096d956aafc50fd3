"""The API calls about endpoints, and InvokeEndpoint in place of moto's."""

from __future__ import annotations

import json
import urllib.parse
from collections import Counter
from typing import Any

from twin.sagemaker import limits, listing
from twin.sagemaker.account import Account, Request, account_in
from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.hosting import config
from twin.sagemaker.hosting.config import Deployment
from twin.sagemaker.hosting.connections import BODY_BYTES_MAX, CallFailed, ContainerResponse, NoResponse, invalid_call
from twin.sagemaker.hosting.endpoint import Endpoint
from twin.sagemaker.hosting.variant import Variant

Response = tuple[bytes | str, dict[str, str]]

_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
_PASSED = ("Content-Type", "Accept", _CUSTOM, "X-Amzn-SageMaker-Inference-Id", "X-Amzn-SageMaker-Session-Id")
_ERROR_TEXT_MAX = 4096


def create_endpoint(account: Account, request: Request) -> dict[str, Any]:
    _check(request)
    deployment = _deployment(account, request["EndpointConfigName"])
    _check_limits(account, deployment)
    endpoint = Endpoint(account, request, deployment)
    taken = invalid(f'Cannot create already existing endpoint "{endpoint.arn}".')
    account.put(endpoint, taken)
    endpoint.deploy(deployment, "Creating")
    return {"EndpointArn": endpoint.arn}


def describe_endpoint(account: Account, request: Request) -> dict[str, Any]:
    return _find(account, request["EndpointName"]).describe()


def list_endpoints(account: Account, request: Request) -> dict[str, Any]:
    summary = listing.fields("EndpointName EndpointArn CreationTime LastModifiedTime EndpointStatus")
    return listing.page("Endpoints", account.all(Endpoint), summary, request, "EndpointStatus")


def update_endpoint(account: Account, request: Request) -> dict[str, Any]:
    endpoint = _find(account, request["EndpointName"])
    _check(request)
    deployment = _deployment(account, request["EndpointConfigName"])
    _check_limits(account, deployment)
    endpoint.deploy(deployment, "Updating")
    return {"EndpointArn": endpoint.arn}


def update_endpoint_weights_and_capacities(account: Account, request: Request) -> dict[str, Any]:
    endpoint = _find(account, request["EndpointName"])
    wanted: dict[str, tuple[float | None, int | None]] = {}
    for item in request["DesiredWeightsAndCapacities"]:
        if item["VariantName"] in wanted:
            raise invalid(f"The variant name {item['VariantName']} is given more than once.")
        if item.get("DesiredInstanceCount", 1) < 1:
            raise invalid(f"DesiredInstanceCount of variant {item['VariantName']} must be at least 1.")
        wanted[item["VariantName"]] = (item.get("DesiredWeight"), item.get("DesiredInstanceCount"))
    endpoint.set_weights(wanted)
    return {"EndpointArn": endpoint.arn}


def delete_endpoint(account: Account, request: Request) -> dict[str, Any]:
    _find(account, request["EndpointName"]).delete()
    return {}


def _check(request: Request) -> None:
    for field in ("DeploymentConfig", "RetainAllVariantProperties", "RetainDeploymentConfig"):
        if request.get(field):
            raise unsupported(field)


def _deployment(account: Account, name: str) -> Deployment:
    return Deployment(name, config.find(account, name).describe()["ProductionVariants"])


def _check_limits(account: Account, deployment: Deployment) -> None:
    """A deployment starts its whole fleet beside those that serve."""
    running: Counter[str] = Counter()
    configs = account.all(config.EndpointConfig)
    for endpoint in list(account.all(Endpoint).values()):
        if endpoint.status != "Failed" and endpoint.config in configs:
            running += _fleet(configs[endpoint.config].request["ProductionVariants"])
    for instance_type, count in _fleet(deployment.variants).items():
        limits.check(account, "endpoint", instance_type, running.elements(), count)


def _fleet(variants: list[dict[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for variant in variants:
        counts[variant["InstanceType"]] += variant["InitialInstanceCount"]
    return counts


def _find(account: Account, name: str) -> Endpoint:
    return account.find(Endpoint, name, invalid(f'Could not find endpoint "{account.arn("endpoint", name)}".'))


def invoke_endpoint(self: Any) -> Response:
    """InvokeEndpoint: to TargetVariant, or to a variant at random by weight."""
    try:
        endpoint = _endpoint(self)
        body = self.body if isinstance(self.body, bytes) else str(self.body or "").encode()
        if len(body) > BODY_BYTES_MAX:
            raise invalid_call(
                "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length "
                f"less than or equal to {BODY_BYTES_MAX}"
            )
        headers = {name: self.headers[name] for name in _PASSED if self.headers.get(name)}
        with endpoint.variant_for(self.headers.get("X-Amzn-SageMaker-Target-Variant")) as variant:
            return _invoke(endpoint, variant, body, headers)
    except CallFailed as error:
        return _error(error.status, error.code, {"Message": error.message})


def _invoke(endpoint: Endpoint, variant: Variant, body: bytes, headers: dict[str, str]) -> Response:
    try:
        answer = variant.invoke(body, headers)
    except NoResponse as fault:
        return _model_error(endpoint, variant, 0, str(fault))
    if not 200 <= answer.status < 300:
        return _model_error(endpoint, variant, answer.status, answer.body.decode("utf-8", "replace"))
    return _answer(variant, answer)


def _endpoint(self: Any) -> Endpoint:
    account = account_in(self.current_account, self.region)
    name = urllib.parse.unquote(self.path.split("/")[2])
    endpoint = account.all(Endpoint).get(name)
    if endpoint is None:
        raise invalid_call(f"Endpoint {name} of account {account.account} not found.")
    return endpoint


def _answer(variant: Variant, answer: ContainerResponse) -> Response:
    headers = {
        "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": variant.name,
    }
    custom = answer.headers.get(_CUSTOM.lower())
    return answer.body, {**headers, **({_CUSTOM: custom} if custom else {})}


def _model_error(endpoint: Endpoint, variant: Variant, status: int, text: str) -> Response:
    account = endpoint.account
    kind = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
    message = (
        f'Received {kind} error ({status}) from primary with message "{text[:_ERROR_TEXT_MAX]}". See '
        f"https://{account.region}.console.aws.amazon.com/cloudwatch/home?region={account.region}#logEventViewer:"
        f"group={group} in account {account.account} for more information."
    )
    fields = {
        "Message": message,
        "OriginalMessage": text[:_ERROR_TEXT_MAX],
        "OriginalStatusCode": status,
        "LogStreamArn": f"arn:aws:logs:{account.region}:{account.account}:log-group:{group}",
    }
    body, headers = _error(424, "ModelError", fields)
    return body, {**headers, "x-Amzn-Invoked-Production-Variant": variant.name}


def _error(status: int, code: str, fields: dict[str, Any]) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code, "status": str(status)}
    return json.dumps(fields), headers
