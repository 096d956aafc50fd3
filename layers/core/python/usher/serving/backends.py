"""Who computes an answer: a production variant of the endpoint, or a bundle in the function itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from usher.api.problems import Problem
from usher.errors import code
from usher.store.router import Variant

#: What the scorer refuses because of the request → the problem and its parameter.
_CALLERS_FAULTS = {
    "unknown_genre": ("unknown-genre", "genre"),
    "bad_genre": ("bad-parameter", "genre"),
    "bad_date": ("bad-parameter", "not_released_after"),
    "unknown_item": ("unknown-item", "item_id"),
}


class VariantFailed(Exception):
    """A variant gave no answer. slow: it cost its whole time-out."""

    def __init__(self, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.slow = slow


class Backend(Protocol):
    """Answers a request of docs/contracts/container.md from one variant."""

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """{model_id, level?, items}. VariantFailed: try another; Problem: the request is at fault."""


class EndpointBackend:
    """The endpoint's production variants. runtime: a `sagemaker-runtime` client with short time-outs and no retries."""

    def __init__(self, runtime: Any, endpoint_name: str) -> None:
        self._runtime, self._endpoint_name = runtime, endpoint_name

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint_name,
                TargetVariant=variant,
                ContentType="application/json",
                Accept="application/json",
                Body=json.dumps(request).encode(),
            )
            return checked(json.loads(answer["Body"].read()))
        except ClientError as error:
            raise_callers_fault(_error_of(error))
            raise VariantFailed(f"{code(error)}: {error.response['Error'].get('Message', '')[:300]}") from error
        except BotoCoreError as error:
            slow = isinstance(error, ConnectTimeoutError | ReadTimeoutError)
            raise VariantFailed(f"{type(error).__name__}: {str(error)[:300]}", slow=slow) from error
        except ValueError as error:
            raise VariantFailed(f"the answer is no JSON: {str(error)[:200]}") from error


class FunctionBackend:
    """The bundles of both variants, in this process.

    load:   model → its bundle, which is kept. invoke: (bundle, body) → answer; raises an error with `code`.
    """

    def __init__(self, load: Callable[[str], Any], invoke: Callable[[Any, bytes], dict[str, Any]]) -> None:
        self._load, self._invoke = load, invoke

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        try:
            return checked(self._invoke(self._load(model), json.dumps(request).encode()))
        except Exception as error:
            raise_callers_fault({"code": getattr(error, "code", ""), "message": str(error)})
            raise VariantFailed(f"{type(error).__name__}: {str(error)[:300]}") from error


def checked(answer: Any) -> dict[str, Any]:
    """The answer, if it has the form that the contract says; VariantFailed otherwise."""
    try:
        items = [dict(item) for item in answer["items"]]
        whole = all({"item_id", "title", "genres"} <= item.keys() for item in items)
        model_id = str(answer["model_id"])
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise VariantFailed("the answer has another form than model_id and items of item_id, title and genres")
    return {"model_id": model_id, "level": str(answer.get("level", "")), "items": items}


def raise_callers_fault(error: Mapping[str, Any]) -> None:
    """Problem when the scorer's error, {code, message}, is of the request's making."""
    if error.get("code") in _CALLERS_FAULTS:
        kind, parameter = _CALLERS_FAULTS[str(error["code"])]
        raise Problem(kind, str(error.get("message", ""))[:500], parameter)


def _error_of(error: ClientError) -> Mapping[str, Any]:
    """What the container said in a ModelError of 400; empty for everything else."""
    response: Mapping[str, Any] = error.response
    if code(error) != "ModelError" or response.get("OriginalStatusCode") != 400:
        return {}
    try:
        said = json.loads(response.get("OriginalMessage") or "")["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}
