"""State machines call with their role, and AWS refuses roles that cannot do what the definition asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import roles
from twin import context
from twin.iam.record import RECORD

pytestmark = pytest.mark.usefixtures("server")

GET_ITEM = {
    "Type": "Task",
    "Resource": "arn:aws:states:::dynamodb:getItem",
    "Arguments": {"TableName": "state", "Key": {"pk": {"S": "ROUTER"}}},
    "End": True,
}
ROUTER_ONLY = {
    "Effect": "Allow",
    "Action": "dynamodb:GetItem",
    "Resource": "arn:aws:dynamodb:eu-west-1:123456789012:table/state",
    "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ROUTER"]}},
}


def machine(name: str, role: str, task: dict[str, Any]) -> str:
    definition = {"QueryLanguage": "JSONata", "StartAt": "Task", "States": {"Task": task}}
    answer = context.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role
    )
    return str(answer["stateMachineArn"])


def test_a_task_calls_with_the_role_of_its_state_machine(execute: Any) -> None:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    context.client("dynamodb").create_table(
        TableName="state",
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    role = roles.role("workflow", ROUTER_ONLY)
    allowed = execute.finished(execute.start(machine("reads", role, GET_ITEM)))
    assert allowed["status"] == "SUCCEEDED"
    other = {**GET_ITEM, "Arguments": {"TableName": "state", "Key": {"pk": {"S": "RUN#1"}}}}
    denied = execute.finished(execute.start(machine("reads-other", role, other)))
    assert denied["status"] == "FAILED"
    assert "AccessDenied" in denied["error"]
    assert "assumed-role/workflow/states is not authorized to perform: dynamodb:GetItem" in denied["cause"]
    assert [denial.call for denial in RECORD.take_denials()] == ["dynamodb:GetItem"]


def test_a_role_without_trust_is_refused() -> None:
    with pytest.raises(ClientError, match=r"states\.amazonaws\.com.* authorized to assume the provided role"):
        machine("m", roles.role("untrusting", services=["ec2.amazonaws.com"]), GET_ITEM)


def test_a_sync_task_needs_the_managed_rule() -> None:
    job = {**GET_ITEM, "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "Arguments": {}}
    with pytest.raises(ClientError) as error:
        machine("m", roles.role("workflow", ROUTER_ONLY), job)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "is not authorized to create managed-rule" in error.value.response["Error"]["Message"]
    RECORD.take_denials()
