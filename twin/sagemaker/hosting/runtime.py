"""InvokeEndpoint in place of moto's: `self` is moto's SageMakerRuntimeResponse."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from twin.sagemaker import backend
from twin.sagemaker.hosting.endpoint import Endpoint
from twin.sagemaker.hosting.reply import BODY_BYTES_MAX, Answer, CallFailed, NoAnswer, wrong
from twin.sagemaker.hosting.variant import Variant

Response = tuple[bytes | str, dict[str, str]]

_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
_PASSED = ("Content-Type", "Accept", _CUSTOM, "X-Amzn-SageMaker-Inference-Id", "X-Amzn-SageMaker-Session-Id")
_ERROR_TEXT_MAX = 4096


def invoke_endpoint(self: Any) -> Response:
    """InvokeEndpoint: to TargetVariant, or to a variant at random by weight."""
    try:
        endpoint = _endpoint(self)
        body = self.body if isinstance(self.body, bytes) else str(self.body or "").encode()
        if len(body) > BODY_BYTES_MAX:
            raise wrong(
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
    except NoAnswer as fault:
        return _model_error(endpoint, variant, 0, str(fault))
    if not 200 <= answer.status < 300:
        return _model_error(endpoint, variant, answer.status, answer.body.decode("utf-8", "replace"))
    return _answer(variant, answer)


def invoke_endpoint_async(self: Any) -> Response:
    """InvokeEndpointAsync: no endpoint of the twin's is asynchronous."""
    try:
        endpoint = _endpoint(self)
    except CallFailed as error:
        return _error(error.status, error.code, {"Message": error.message})
    return _error(400, "ValidationError", {"Message": f"Endpoint {endpoint.name} does not support async inference."})


def _endpoint(self: Any) -> Endpoint:
    account = backend.of(self.current_account, self.region)
    name = urllib.parse.unquote(self.path.split("/")[2])
    endpoint = account.endpoints.get(name)
    if endpoint is None:
        raise wrong(f"Endpoint {name} of account {account.account} not found.")
    return endpoint


def _answer(variant: Variant, answer: Answer) -> Response:
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
