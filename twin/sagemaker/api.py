"""SageMaker's API in place of moto's: which calls the twin answers itself, checked against AWS's model first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.sagemaker.exceptions import SagemakerClientError

from twin.sagemaker import processing, registry, training_actions, tuning_actions, validation
from twin.sagemaker.account import Account, Request, account_in
from twin.sagemaker.errors import Refused, unsupported
from twin.sagemaker.hosting import actions, config, model

Action = Callable[[Account, Request], dict[str, Any]]

_MODULES = (processing, registry, training_actions, tuning_actions, actions, config, model)
_VERBS = ("create_", "delete_", "describe_", "list_", "stop_", "update_")

#: The API's name → the function that answers it, such as CreateModel → model.create_model; other calls are moto's.
ACTIONS: dict[str, Action] = {
    name.title().replace("_", ""): function
    for module in _MODULES
    for name, function in vars(module).items()
    if name.startswith(_VERBS)
}

#: Work that moto reports as done without doing it; the twin refuses it.
PRETENDED = {
    "CreateTransformJob": "batch transform",
    "CreateCompilationJob": "compilation",
    "CreateAutoMLJobV2": "AutoML",
    "StartPipelineExecution": "SageMaker Pipelines",
}


def call_action(self: Any) -> Any:
    """moto's way in for every call of the service: `self` is its SageMakerResponse."""
    name = self._get_action()
    if name not in ACTIONS and name not in PRETENDED:
        return BaseResponse.call_action(self)
    try:
        result: object = _answer(name, self.body, account_in(self.current_account, self.region))
    except Refused as error:
        if error.code == "SerializationException":  # the protocol's own error, in no service's model
            content = json.dumps({"__type": error.code, "Message": error.message})
            return 400, self._enrich_response(dict(self.response_headers), content)[0], content
        result = SagemakerClientError(error.code, error.message)
    status, headers, answer = self.serialized(ActionResult(result))
    return status, *self._enrich_response(headers, answer)


def _answer(name: str, body: str | bytes, account: Account) -> dict[str, Any]:
    if name in PRETENDED:
        raise unsupported(PRETENDED[name])
    try:
        request = json.loads(body or "{}")
    except ValueError as error:
        raise Refused("SerializationException", "the request's body is not JSON") from error
    validation.check(name, request)
    return {key: value for key, value in ACTIONS[name](account, request).items() if value is not None}
