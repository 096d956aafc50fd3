"""Checks the requests of tasks as Step Functions does: literal parts at creation, the whole request when a task starts.

Step Functions knows a narrower API than the service: its copy of an optimised integration's request is older, and names
begin with a capital letter. Sources: "Optimizing integrations" in its Developer Guide, which lists the parameters of
each action, and the error texts in aws-step-functions-data-science-sdk-python#15 and aws-cdk#10014.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from twin.api_model import ANY, Reading, Violation, refusal, violations
from twin.stepfunctions import clients

_PREFIX = "arn:aws:states:::"
_SDK = "aws-sdk:"

#: The parameters that an optimised integration takes, where they are fewer than the service's own.
SUPPORTED: Mapping[str, frozenset[str]] = {
    "lambda:invoke": frozenset({"ClientContext", "FunctionName", "InvocationType", "LogType", "Payload", "Qualifier"}),
    "sagemaker:createEndpoint": frozenset({"EndpointConfigName", "EndpointName", "Tags"}),
    "sagemaker:createEndpointConfig": frozenset({"EndpointConfigName", "KmsKeyId", "ProductionVariants", "Tags"}),
    "sagemaker:createHyperParameterTuningJob": frozenset(
        {
            *("HyperParameterTuningJobConfig", "HyperParameterTuningJobName", "Tags", "TrainingJobDefinition"),
            "WarmStartConfig",
        }
    ),
    "sagemaker:createModel": frozenset(
        {
            *("Containers", "EnableNetworkIsolation", "ExecutionRoleArn", "ModelName", "PrimaryContainer", "Tags"),
            "VpcConfig",
        }
    ),
    "sagemaker:createProcessingJob": frozenset(
        {
            *("AppSpecification", "Environment", "ExperimentConfig", "NetworkConfig", "ProcessingInputs"),
            *("ProcessingJobName", "ProcessingOutputConfig", "ProcessingResources", "RoleArn", "StoppingCondition"),
            "Tags",
        }
    ),
    "sagemaker:createTrainingJob": frozenset(
        {
            *("AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations"),
            *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "EnableNetworkIsolation"),
            *("Environment", "ExperimentConfig", "HyperParameters", "InputDataConfig", "OutputDataConfig"),
            *("ResourceConfig", "RoleArn", "StoppingCondition", "Tags", "TensorBoardOutputConfig", "TrainingJobName"),
            "VpcConfig",
        }
    ),
    "sagemaker:updateEndpoint": frozenset({"EndpointConfigName", "EndpointName"}),
}

#: Fields inside parameters that are younger than the optimised integration's copy of the API. Which nested fields AWS
#: takes is not published; these appear in no version of the integration's documentation. Not tried on an account.
UNKNOWN_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "dynamodb:deleteItem": (("ReturnValuesOnConditionCheckFailure",),),
    "dynamodb:putItem": (("ReturnValuesOnConditionCheckFailure",),),
    "dynamodb:updateItem": (("ReturnValuesOnConditionCheckFailure",),),
    "sagemaker:createHyperParameterTuningJob": (
        ("HyperParameterTuningJobConfig", "RandomSeed"),
        ("HyperParameterTuningJobConfig", "ResourceLimits", "MaxRuntimeInSeconds"),
    ),
}

#: Members whose JSON value the integration writes as a string.
_JSON_TEXT: Mapping[str, str] = {
    "events:putEvents": "Detail",
    "sns:publish": "Message",
    "sqs:sendMessage": "MessageBody",
    "states:startExecution": "Input",
}

_TYPE_NAMES = {
    "string": "a STRING",
    "integer": "an INTEGER",
    "long": "a LONG",
    "float": "a FLOAT",
    "double": "a DOUBLE",
    "boolean": "a BOOLEAN",
    "timestamp": "a TIMESTAMP",
    "list": "a LIST",
    "map": "a MAP",
    "structure": "a STRUCTURE",
}


class Unstartable(Exception):
    """Step Functions cannot make the call: States.Runtime, which no Retry and no Catch of States.ALL takes."""


@dataclass(frozen=True, slots=True)
class Integration:
    """What a task's Resource names. action: as in the ARN without suffixes, `sagemaker:createModel`."""

    action: str
    sdk: bool

    @classmethod
    def of(cls, resource: str) -> Integration | None:
        """The integration of a resource; None for a function's or an activity's ARN."""
        if not resource.startswith(_PREFIX):
            return None
        named = resource.removeprefix(_PREFIX)
        action = named.removeprefix(_SDK).partition(".")[0]
        return cls(action, named.startswith(_SDK))

    @property
    def shape(self) -> Any:
        """The model of the request; None where botocore has none, such as for API Gateway's integration."""
        service, _, action = self.action.partition(":")
        operation = clients.operation(clients.BOTO_NAMES.get(service, service), action)
        return operation and operation.input_shape

    def violations(self, arguments: Any) -> Iterator[Violation]:
        """The faults of a request, as the state machine writes it; parts that are ANY have none."""
        shape = self.shape
        if shape is None:
            return
        reading = Reading(spelled=_java_name if self.sdk else _capitalised, timestamps=(int, float, str))
        text = _JSON_TEXT.get(self.action, "")
        for one in violations(shape, arguments, reading):
            if not (one.kind == "type" and one.path and one.path[-1] == text and not self.sdk):
                yield one
        if not self.sdk and isinstance(arguments, Mapping):
            yield from self._unsupported(arguments)

    def _unsupported(self, arguments: Mapping[str, Any]) -> Iterator[Violation]:
        """What the service knows and the integration does not."""
        supported, known = SUPPORTED.get(self.action), set(map(_capitalised, self.shape.members))
        for name in arguments:
            if supported is not None and name in known - supported:
                yield Violation("unknown", (name,), arguments[name], "")
        for path in UNKNOWN_FIELDS.get(self.action, ()):
            value: Any = arguments
            for name in path:
                value = value.get(name) if isinstance(value, Mapping) else None
            if value is not None:
                yield Violation("unknown", path, value, "")


def literal_violations(state: Mapping[str, Any], language: str) -> Iterator[Violation]:
    """The faults of a Task state's request that show without running it: queries may give anything."""
    integration = Integration.of(str(state.get("Resource", "")))
    arguments = state.get("Arguments" if language == "JSONata" else "Parameters")
    if integration is not None and arguments is not None:
        yield from integration.violations(_literal(arguments, language))


def _literal(value: Any, language: str) -> Any:
    """A request with ANY in place of what a query will give."""
    if isinstance(value, str) and language == "JSONata" and value.startswith("{%"):
        return ANY
    if isinstance(value, Mapping):
        queried = {name for name in value if language != "JSONata" and name.endswith(".$")}
        plain = {name: _literal(member, language) for name, member in value.items() if name not in queried}
        return plain | {name.removesuffix(".$"): ANY for name in queried}
    return [_literal(member, language) for member in value] if isinstance(value, list) else value


def check(resource: str, arguments: Any) -> None:
    """Refuse a request whose values are all known.

    Raises Unstartable for names and types, which Step Functions checks itself, and the service's ValidationException
    (ClientError) for lengths, ranges, patterns and enum values.
    """
    integration = Integration.of(resource)
    found = list(integration.violations(arguments)) if integration else []
    own = [one for one in found if one.kind != "constraint"]
    if own:
        request = json.dumps(arguments, default=str)
        raise Unstartable(
            f"The Parameters '{request}' could not be used to start the Task: [{', '.join(map(sentence, own))}]"
        )
    if found and integration:
        error = {"Code": "ValidationException", "Message": refusal(found)}
        sent = {"HTTPStatusCode": 400, "RequestId": "checked-by-the-twin"}
        action = integration.action.partition(":")[2]
        raise ClientError({"Error": error, "ResponseMetadata": sent}, action[:1].upper() + action[1:])  # type: ignore[typeddict-item]


def sentence(one: Violation) -> str:
    """A fault of name or type in Step Functions' words."""
    field = one.path[-1] if one.path else "Arguments"
    if one.kind == "unknown":
        return f'The field "{field}" is not supported by Step Functions'
    if one.kind == "missing":
        return f'The field "{field}" is required but was missing'
    if one.kind == "type":
        named = [part for part in one.path if isinstance(part, str) and part not in ("key", "value")]
        return f'The value for the field "{named[-1] if named else field}" must be {_TYPE_NAMES[one.rule]}'
    return refusal([one])


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]


def _java_name(name: str) -> str:
    """The SDK for Java's name of a member, which `aws-sdk` integrations use: SSEKMSKeyId → SsekmsKeyId."""
    if name == "NULL":
        return "Nul"
    first = re.match("[A-Z]*", name)
    run = first[0] if first else ""
    kept = 1 if len(run) > 1 and name[len(run) :][:1].islower() else 0
    head = run[: len(run) - kept].lower() + run[len(run) - kept :]
    return _capitalised(head + name[len(run) :])
