"""The template's own alarms on the twin: a broken variant starts the shift workflow; a healthy one does not.

The alarms and the rule are those of template.yaml, word for word; the workflow is one that remembers what it was given.
A minute of AWS's takes a second here (see the `server` fixture).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from twin.context import Context

Client = Callable[[str], Any]
Wait = Callable[..., Any]

STACK = "watched"
#: What the alarms' rule stands on.
RULE = ("ShiftAlarmRule", "ShiftRulesRole", "ShiftDeadLetterQueue")
MACHINE = {"StartAt": "Remember", "States": {"Remember": {"Type": "Succeed"}}}


@pytest.fixture
def machine(server: Context, client: Client, project: Path, eventually: Wait) -> Iterator[str]:
    """The stack of variant alarms and their rule, with alarms being judged; the ARN of the workflow."""
    from twin.cloudwatch.alarms import Alarms  # noqa: PLC0415 - a second of imports

    template = yaml_parse((project / "template.yaml").read_text())
    resources = {
        name: body for name, body in template["Resources"].items() if name.startswith("Variant") or name in RULE
    }
    trust = template["Resources"]["ShiftWorkflowRole"]["Properties"]["AssumeRolePolicyDocument"]
    resources["WorkflowRole"] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    resources["ShiftWorkflow"] = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": {"Fn::GetAtt": ["WorkflowRole", "Arn"]}, "DefinitionString": json.dumps(MACHINE)},
    }
    body = {
        "Parameters": {
            name: {"Type": "String", "Default": template["Parameters"][name]["Default"]}
            for name in ("AlarmTopicArn", "EndpointName")
        },
        "Conditions": {"AlarmsGoToTopic": template["Conditions"]["AlarmsGoToTopic"]},
        "Resources": resources,
        "Outputs": {"Workflow": {"Value": {"Ref": "ShiftWorkflow"}}},
    }
    client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(body))

    def stack() -> dict[str, Any]:
        found: dict[str, Any] = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {} if found["StackStatus"].endswith("IN_PROGRESS") else found

    made = eventually(stack)
    assert made["StackStatus"] == "CREATE_COMPLETE", made.get("StackStatusReason")
    running = Alarms(server).start()
    yield made["Outputs"][0]["OutputValue"]
    running.stop()


@pytest.fixture
def put(client: Client) -> Callable[..., None]:
    """`put("VariantErrors", 1.0, 1.0, variant="A")`: values of a metric, now."""

    def publish(name: str, *values: float, namespace: str = "Usher", **dimensions: str) -> None:
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        data = [{"MetricName": name, "Dimensions": named, "Values": list(values), "Unit": "Count"}]
        client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)

    return publish


def states(client: Client) -> dict[str, str]:
    found = client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{STACK}-variant-")["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(f"{STACK}-variant-"): str(alarm["StateValue"]) for alarm in found}


def workflow_inputs(client: Client, machine: str) -> list[Any]:
    """What the workflow was started with."""
    listed = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    return [
        json.loads(client("stepfunctions").describe_execution(executionArn=one["executionArn"])["input"])
        for one in listed
    ]


def test_without_traffic_every_alarm_of_a_variant_is_at_rest(client: Client, machine: str, eventually: Wait) -> None:
    eventually(lambda: set(states(client).values()) == {"OK"})
    assert len(states(client)) == 8
    assert workflow_inputs(client, machine) == []


@pytest.mark.parametrize(
    ("alarm", "bad", "more"),
    [
        ("B-errors", ("VariantErrors", 1.0), {"variant": "B"}),
        ("A-empty", ("VariantEmpty", 1.0), {"variant": "A"}),
        ("B-5xx", ("Invocation5XXErrors", 1.0), {"EndpointName": "usher", "VariantName": "B"}),
        ("A-latency", ("ModelLatency", 2_500_000.0), {"EndpointName": "usher", "VariantName": "A"}),
    ],
)
def test_a_broken_variant_starts_the_workflow_with_the_name_of_its_alarm(  # noqa: PLR0917 - fixtures and cases
    client: Client,
    machine: str,
    put: Callable[..., None],
    eventually: Wait,
    alarm: str,
    bad: tuple[str, float],
    more: dict[str, str],
) -> None:
    eventually(lambda: set(states(client).values()) == {"OK"})
    namespace = "Usher" if "variant" in more else "AWS/SageMaker"
    requests = "VariantRequests" if "variant" in more else "Invocations"
    name, value = bad

    def traffic() -> list[Any]:
        """Requests to both variants, all well but for the one fault of the one variant; the workflow's inputs."""
        for variant in ("A", "B"):
            put("VariantRequests", *[1.0] * 40, variant=variant)
            put("VariantErrors", *[0.0] * 40, variant=variant)
            dimensions = {"EndpointName": "usher", "VariantName": variant}
            put("Invocations", *[1.0] * 40, namespace="AWS/SageMaker", **dimensions)
            put("ModelLatency", *[20_000.0] * 40, namespace="AWS/SageMaker", **dimensions)
        put(requests, *[1.0] * 10, namespace=namespace, **more)
        put(name, *[value] * 40, namespace=namespace, **more)
        return workflow_inputs(client, machine)

    assert eventually(traffic) == [{"alarm": f"{STACK}-variant-{alarm}"}]
    assert {other for other, state in states(client).items() if state == "ALARM"} <= {alarm}


def test_a_few_failures_in_a_quiet_hour_raise_no_alarm(
    client: Client, machine: str, put: Callable[..., None], eventually: Wait
) -> None:
    """Nine failures of nine requests are too few for a share. The other variant's alarm shows that time has passed."""
    eventually(lambda: set(states(client).values()) == {"OK"})
    left = list(range(9))

    def traffic() -> bool:
        if left:
            left.pop()
            put("VariantRequests", 1.0, variant="A")
            put("VariantErrors", 1.0, variant="A")
        put("VariantRequests", *[1.0] * 40, variant="B")
        put("VariantEmpty", *[1.0] * 40, variant="B")
        return not left and states(client)["B-empty"] == "ALARM"

    eventually(traffic)
    assert states(client)["A-errors"] == "OK"
