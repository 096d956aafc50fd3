"""CPU time of a policy decision, over the policies of template.yaml.

    python -m benchmarks.policies [--repeat 200]

Each role is asked for every action and resource that its own statements name, and for one that none of them allows.
The mapping from a request to its actions is not part of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin.cloudformation import template
from twin.cloudformation.intrinsics import Scope, active_resources
from twin.context import ACCOUNT
from twin.iam.documents import Kind, Policy, Statement, identity_policy, resource_policy, trust_policy
from twin.iam.evaluation import decide
from twin.iam.request import Check, Principal

PROJECT = Path(__file__).parents[1]
REGION = "eu-west-1"
#: What Ref gives for them is an ARN.
_NAMED_BY_ARN = ("AWS::SageMaker::ModelPackageGroup", "AWS::Serverless::StateMachine", "AWS::SecretsManager::Secret")
_WITHOUT_REGION = ("s3", "iam")
_PARSE: dict[Kind, Callable[[str, Mapping[str, Any]], Policy]] = {
    Kind.IDENTITY: identity_policy,
    Kind.RESOURCE: resource_policy,
    Kind.TRUST: trust_policy,
}


@dataclass(frozen=True, slots=True)
class Document:
    """A policy document of a template, its functions resolved. owner: logical id of the resource that has it."""

    owner: str
    name: str
    kind: Kind
    content: Mapping[str, Any]

    def parse(self) -> Policy:
        """The compiled policy; PolicyError where the twin does not understand it."""
        return _PARSE[self.kind](self.name, self.content)


@dataclass(frozen=True, slots=True)
class _Resource:
    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def documents(source: template.Template, parameters: Mapping[str, str] | None = None) -> list[Document]:
    """Every policy document of the resources whose condition holds.

    parameters: those that differ from their defaults. ValueError: a document at a place that is not known here.
    """
    pseudo = template.pseudo_parameters(REGION, "usher", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/usher/1")
    values = {**template.parameter_values(source, parameters or {}), **pseudo}
    named = {name: _resource(name, resource["Type"]) for name, resource in source["Resources"].items()}
    scope = Scope(source, values, named)
    return [
        Document(owner, *_place(owner, resource["Type"], path), scope.resolve(found))
        for owner, resource in active_resources(scope).items()
        for path, found in _found(resource)
    ]


def _resource(name: str, kind: str) -> _Resource:
    service = {"Serverless": "lambda"}.get(kind.split("::")[1], kind.split("::")[1].lower())
    place = ":" if service == "s3" else f"{'' if service in _WITHOUT_REGION else REGION}:{ACCOUNT}"
    arn = f"arn:aws:{service}:{place}:{name.lower()}"
    return _Resource(arn if kind in _NAMED_BY_ARN else name.lower(), {"Arn": arn})


def _found(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Everything that has a Statement, with where it stands."""
    if isinstance(value, dict) and "Statement" in value:
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _found(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _found(item, (*path, str(number)))


def _place(owner: str, kind: str, path: tuple[str, ...]) -> tuple[str, Kind]:
    match path:
        case ("Properties", "AssumeRolePolicyDocument"):
            return owner, Kind.TRUST
        case ("Properties", "Policies", number, "PolicyDocument") if kind == "AWS::IAM::Role":
            return f"{owner}.{number}", Kind.IDENTITY
        case ("Properties", "PolicyDocument") if kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
            return owner, Kind.RESOURCE
    raise ValueError(f"{owner} has a policy document at {'.'.join(path)}: say here what kind it is")


def example(statement: Statement) -> Check:
    """A check that the statement matches: its first action and resource, and values that fulfil its conditions."""
    context = {condition.key: (condition.values[0].replace("*", "x"),) for condition in statement.conditions}
    return Check(_filled(statement.actions[0].text), _filled(statement.resources[0].text), context)


def _filled(pattern: str) -> str:
    return pattern if pattern == "*" else pattern.replace("*", "x")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=200)
    repeat = parser.parse_args().repeat
    found = documents(template.parse((PROJECT / "template.yaml").read_text()))
    began = time.process_time()
    parsed = [(document, document.parse()) for document in found]
    print(f"parse    {(time.process_time() - began) / len(found) * 1e6:8.1f} µs per document, {len(found)} documents")
    allowed, denied = [], []
    for document, policy in parsed:
        if document.kind is not Kind.IDENTITY:
            continue
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{document.owner}/session"
        caller = Principal(session, role=f"arn:aws:iam::{ACCOUNT}:role/{document.owner}")
        for statement in policy.statements:
            for action in statement.actions:
                for resource in statement.resources:
                    check = Check(_filled(action.text), _filled(resource.text), example(statement).context)
                    allowed.append((caller, check, policy))
        denied.append((caller, Check("dynamodb:DeleteTable", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/x"), policy))
    for name, cases, expected in (("allowed", allowed, True), ("denied", denied, False)):
        costs = sorted(_cost(*case, expected, repeat) for case in cases)
        most = max(len(policy.statements) for *_, policy in cases)
        mean = sum(costs) / len(costs)
        print(
            f"{name:8} {mean:8.1f} µs per decision, at most {costs[-1]:.1f}; {len(cases)}, of up to {most} statements"
        )


def _cost(caller: Principal, check: Check, policy: Policy, expected: bool, repeat: int) -> float:
    """Microseconds of CPU per decision."""
    assert decide(caller, check, [policy]).allowed is expected, f"{caller.arn}: {check}"
    began = time.process_time()
    for _ in range(repeat):
        decide(caller, check, [policy])
    return (time.process_time() - began) / repeat * 1e6


if __name__ == "__main__":
    main()
