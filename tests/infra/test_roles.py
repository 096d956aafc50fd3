"""The roles that SageMaker and Step Functions take on may do what a run needs, and nothing beside it.

Read from the template as AWS gets it, after the SAM transform: a missing permission shows only when a run fails there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from twin.stepfunctions import queries

if TYPE_CHECKING:
    from tests.infra.conftest import Built

PROJECT = Path(__file__).parents[2]
WORKFLOW = PROJECT / "statemachines" / "train_and_deploy.asl.json"
#: `.sync` is Step Functions asking how its job goes, and stopping it when the execution stops.
SYNC = ("Describe", "Stop")
SHIFT = PROJECT / "statemachines" / "shift_traffic.asl.json"


@pytest.fixture(scope="module")
def resources(built: Built) -> Mapping[str, Any]:
    """The resources after the SAM transform; code that lies in folders stands for uploaded code."""
    template = json.loads(json.dumps(built.template))
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri", "DefinitionUri"):
            if place in resource["Properties"]:
                resource["Properties"][place] = "s3://code/file"
    defaults = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        translated: Mapping[str, Any] = Translator({}, Parser()).translate(template, defaults)
    found: Mapping[str, Any] = translated["Resources"]
    return found


def statements(resources: Mapping[str, Any], role: str) -> list[Mapping[str, Any]]:
    return [
        statement
        for policy in resources[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def actions(resources: Mapping[str, Any], role: str) -> set[str]:
    found: set[str] = set()
    for statement in statements(resources, role):
        assert statement["Effect"] == "Allow"
        found |= set(statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    return found


def trusted(resources: Mapping[str, Any], role: str) -> Any:
    (statement,) = resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return statement["Principal"]


def tasks(states: Mapping[str, Any]) -> Iterator[str]:
    """The integrations of every Task, those inside a Map too."""
    for state in states.values():
        if state["Type"] == "Task":
            yield state["Resource"]
        if "ItemProcessor" in state:
            yield from tasks(state["ItemProcessor"]["States"])


def wanted(integration: str) -> set[str]:
    """`arn:aws:states:::sagemaker:createTrainingJob.sync` → the IAM actions that it takes."""
    service, call = integration.removeprefix("arn:aws:states:::").removeprefix("aws-sdk:").split(":")[:2]
    call, _, sync = call.partition(".")
    action = call[0].upper() + call[1:]
    if service == "lambda":
        return {"lambda:InvokeFunction"}
    names = {action} | ({re.sub("^Create", verb, action) for verb in SYNC} if sync else set())
    return {f"{service}:{name}" for name in names}


def test_the_workflow_has_the_role_that_is_tested_here(resources: Mapping[str, Any]) -> None:
    assert resources["TrainWorkflow"]["Properties"]["RoleArn"] == {"Fn::GetAtt": ["TrainWorkflowRole", "Arn"]}
    assert trusted(resources, "TrainWorkflowRole") == {"Service": "states.amazonaws.com"}


def test_the_workflow_may_make_every_call_that_its_states_make(resources: Mapping[str, Any]) -> None:
    integrations = set(tasks(json.loads(WORKFLOW.read_text())["States"]))
    assert len(integrations) > 8
    needed = set().union(*map(wanted, integrations))
    assert needed <= actions(resources, "TrainWorkflowRole")


def test_the_workflow_has_no_permission_that_no_state_needs(resources: Mapping[str, Any]) -> None:
    integrations = set(tasks(json.loads(WORKFLOW.read_text())["States"]))
    needed = set().union(*map(wanted, integrations))
    around = {"sagemaker:AddTags", "sagemaker:ListTags", "iam:PassRole"}
    around |= {"events:PutTargets", "events:PutRule", "events:DescribeRule"}
    around |= {"s3:GetObject", "ecr:BatchGetImage", "ecr:DescribeImages"}  # CreateModelPackage, as the caller
    assert actions(resources, "TrainWorkflowRole") - needed == around


def test_step_functions_may_manage_its_rules_for_completed_jobs(resources: Mapping[str, Any]) -> None:
    """Without them the state machine cannot be created: "not authorized to create managed-rule"."""
    (statement,) = [s for s in statements(resources, "TrainWorkflowRole") if "events:PutRule" in s["Action"]]
    rules = {re.sub(r".*rule/", "", arn["Fn::Sub"]) for arn in statement["Resource"]}
    assert rules == {
        f"StepFunctionsGetEventsForSageMaker{kind}JobsRule" for kind in ("Training", "Tuning", "Processing")
    }


def test_the_workflow_may_pass_exactly_one_role_and_only_to_sagemaker(resources: Mapping[str, Any]) -> None:
    (statement,) = [s for s in statements(resources, "TrainWorkflowRole") if s["Action"] == "iam:PassRole"]
    assert statement["Resource"] == {"Fn::GetAtt": ["SageMakerRole", "Arn"]}
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_the_workflow_invokes_only_its_own_functions(resources: Mapping[str, Any]) -> None:
    (statement,) = [s for s in statements(resources, "TrainWorkflowRole") if s["Action"] == "lambda:InvokeFunction"]
    named = {arn["Fn::GetAtt"][0] for arn in statement["Resource"]}
    substitutions = set(re.findall(r"\$\{(\w+)FunctionArn\}", WORKFLOW.read_text()))
    assert named == substitutions


def test_the_shift_workflow_may_make_exactly_the_calls_that_its_states_make(resources: Mapping[str, Any]) -> None:
    needed = set().union(*map(wanted, tasks(json.loads(SHIFT.read_text())["States"])))
    assert len(needed) == 3
    assert actions(resources, "ShiftWorkflowRole") == needed
    assert resources["ShiftWorkflow"]["Properties"]["RoleArn"] == {"Fn::GetAtt": ["ShiftWorkflowRole", "Arn"]}


def test_the_rules_of_ticks_start_only_the_shift_workflow_and_the_schedule_is_disabled_at_first(
    resources: Mapping[str, Any],
) -> None:
    assert trusted(resources, "ShiftRulesRole") == {"Service": "events.amazonaws.com"}
    (statement,) = statements(resources, "ShiftRulesRole")
    assert (statement["Action"], statement["Resource"]) == ("states:StartExecution", {"Ref": "ShiftWorkflow"})
    assert resources["ShiftSchedule"]["Properties"]["State"] == "DISABLED"
    for rule in ("ShiftSchedule", "ShiftAlarmRule"):
        (target,) = resources[rule]["Properties"]["Targets"]
        assert target["Arn"] == {"Ref": "ShiftWorkflow"}


def test_sagemaker_may_pull_read_write_log_and_measure(resources: Mapping[str, Any]) -> None:
    assert trusted(resources, "SageMakerRole") == {"Service": "sagemaker.amazonaws.com"}
    assert actions(resources, "SageMakerRole") >= {
        *("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"),
        *("ecr:GetAuthorizationToken", "s3:GetObject", "s3:PutObject", "s3:ListBucket"),
        *("glue:GetTable", "logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"),
    }


def test_sagemaker_writes_only_runs_and_trials_which_expire(resources: Mapping[str, Any]) -> None:
    (statement,) = [s for s in statements(resources, "SageMakerRole") if "s3:PutObject" in s["Action"]]
    assert [arn["Fn::Sub"] for arn in statement["Resource"]] == [
        "${LakeBucket.Arn}/runs/*",
        "${LakeBucket.Arn}/trials/*",
    ]
    rules = resources["LakeBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "trials/"] == [7]


def test_tuning_writes_its_trials_where_they_expire() -> None:
    tune = json.loads(WORKFLOW.read_text())["States"]["TrainAll"]["ItemProcessor"]["States"]["Tune"]
    path = tune["Arguments"]["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"]
    given = {"run": {"prefix": "s3://lake/runs/raaaaaaaaaa-1"}}
    assert queries.evaluate(path[2:-2], given) == "s3://lake/trials/raaaaaaaaaa-1"


def test_firehose_may_transform_deliver_and_log_and_nothing_else(
    resources: Mapping[str, Any],
) -> None:
    found = {statement["Sid"]: statement for statement in statements(resources, "StreamsRole")}
    assert set(found) == {"Deliver", "ListTheBucket", "InvokeTheTransformation", "Log"}
    assert {resource["Fn::Sub"] for resource in found["Deliver"]["Resource"]} == {
        "${LandingBucket.Arn}/*/stream/*",
        "${LandingBucket.Arn}/*/stream-errors/*",
    }
    assert "s3:PutObject" in found["Deliver"]["Action"]
    assert {"lambda:InvokeFunction", "lambda:GetFunctionConfiguration"} == set(
        found["InvokeTheTransformation"]["Action"]
    )
    for name, body in resources.items():
        if body["Type"] == "AWS::KinesisFirehose::DeliveryStream":
            destination = body["Properties"]["ExtendedS3DestinationConfiguration"]
            assert destination["RoleARN"] == {"Fn::GetAtt": ["StreamsRole", "Arn"]}, name
    (trust,) = resources["StreamsRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_each_role_can_be_assumed_by_one_service(resources: Mapping[str, Any]) -> None:
    roles = {name for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}
    services = {name: trusted(resources, name)["Service"] for name in roles}
    assert set(services.values()) == {
        f"{name}.amazonaws.com" for name in ("lambda", "states", "sagemaker", "codebuild", "firehose", "events")
    }
