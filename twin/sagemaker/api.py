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
from twin.sagemaker.hosting import actions as endpoints
from twin.sagemaker.hosting import config as configs
from twin.sagemaker.hosting import model as models

Action = Callable[[Account, Request], dict[str, Any]]

_ANSWERED: tuple[Action, ...] = (
    training_actions.create_training_job,
    training_actions.describe_training_job,
    training_actions.stop_training_job,
    training_actions.list_training_jobs,
    processing.create_processing_job,
    processing.describe_processing_job,
    processing.stop_processing_job,
    processing.list_processing_jobs,
    tuning_actions.create_hyper_parameter_tuning_job,
    tuning_actions.describe_hyper_parameter_tuning_job,
    tuning_actions.stop_hyper_parameter_tuning_job,
    tuning_actions.list_hyper_parameter_tuning_jobs,
    tuning_actions.list_training_jobs_for_hyper_parameter_tuning_job,
    registry.create_model_package_group,
    registry.describe_model_package_group,
    registry.list_model_package_groups,
    registry.delete_model_package_group,
    registry.create_model_package,
    registry.describe_model_package,
    registry.update_model_package,
    registry.list_model_packages,
    registry.delete_model_package,
    models.create_model,
    models.describe_model,
    models.list_models,
    models.delete_model,
    configs.create_endpoint_config,
    configs.describe_endpoint_config,
    configs.list_endpoint_configs,
    configs.delete_endpoint_config,
    endpoints.create_endpoint,
    endpoints.describe_endpoint,
    endpoints.list_endpoints,
    endpoints.update_endpoint,
    endpoints.update_endpoint_weights_and_capacities,
    endpoints.delete_endpoint,
)

#: The API's name → the function that answers it; every other call is moto's.
ACTIONS: dict[str, Action] = {action.__name__.title().replace("_", ""): action for action in _ANSWERED}

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
