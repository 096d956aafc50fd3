"""What AWS checks of a state machine's role when the machine is made or changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.core.exceptions import AWSError

from twin import context
from twin.iam import authorization, sessions
from twin.iam.request import Check

#: `.sync` resource → the managed rule by which Step Functions hears of a job's end.
#: https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html
_MANAGED_RULES = {
    f"arn:aws:states:::sagemaker:{action}.sync": f"StepFunctionsGetEventsForSageMaker{jobs}Rule"
    for action, jobs in (
        ("createTrainingJob", "TrainingJobs"),
        ("createHyperParameterTuningJob", "TuningJobs"),
        ("createProcessingJob", "ProcessingJobs"),
    )
}
_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")


class _Refused(AWSError):
    TYPE = "AccessDeniedException"
    STATUS = 400


def check_role(arn: str, definition: str) -> None:
    """Refuse a role that Step Functions cannot assume, or that may not create the managed rules of `.sync` tasks."""
    try:
        principal = authorization.role_session(arn, sessions.STATES, sessions.STATES.partition(".")[0])
    except authorization.AccessDenied as error:
        raise _Refused(
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume "
            f"the provided role: {error}"
        ) from error
    rules = {_MANAGED_RULES[one] for one in _resources(json.loads(definition)) if one in _MANAGED_RULES}
    prefix = f"arn:aws:events:{context.current().region}:{context.ACCOUNT}:rule/"
    asked = [Check(action, prefix + rule) for rule in sorted(rules) for action in _RULE_ACTIONS]
    try:
        authorization.check(principal, asked)
    except authorization.AccessDenied as error:
        raise _Refused(f"'{arn}' is not authorized to create managed-rule: {error}") from error


def _resources(value: Any) -> Iterator[str]:
    """Every `Resource` of every state."""
    if isinstance(value, dict):
        if isinstance(value.get("Resource"), str):
            yield value["Resource"]
        for member in value.values():
            yield from _resources(member)
    elif isinstance(value, list):
        for member in value:
            yield from _resources(member)
