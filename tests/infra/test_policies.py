"""The twin's evaluator understands every policy document of the template: an unknown operator or key fails here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.policies import Document, documents, example
from twin.context import ACCOUNT
from twin.iam.documents import Kind
from twin.iam.evaluation import decide, may_assume
from twin.iam.keys import PolicyError
from twin.iam.request import Check, Principal

if TYPE_CHECKING:
    from tests.infra.conftest import Built


@pytest.fixture(scope="module", params=["endpoint", "function"])
def found(built: Built, request: pytest.FixtureRequest) -> list[Document]:
    """The policy documents of the built template, with either back end."""
    return documents(json.loads(json.dumps(built.template)), {"ServingBackend": request.param})


def _session(role: str) -> Principal:
    return Principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s", role=f"arn:aws:iam::{ACCOUNT}:role/{role}")


def test_every_policy_of_the_template_is_understood(built: Built, found: list[Document]) -> None:
    parsed = {document.name: document.parse() for document in found}
    roles = set(built.of_type("AWS::IAM::Role"))
    assert {document.owner for document in found if document.kind is Kind.TRUST} == roles
    assert {document.owner for document in found if document.kind is Kind.IDENTITY} == roles
    assert sum(policy.kind is Kind.RESOURCE for policy in parsed.values()) > 4
    assert all(policy.statements for policy in parsed.values())


def test_every_statement_of_a_role_allows_what_it_names(found: list[Document]) -> None:
    tried = 0
    for document in found:
        if document.kind is Kind.IDENTITY:
            policy = document.parse()
            for statement in policy.statements:
                check = example(statement)
                assert decide(_session(document.owner), check, [policy]).allowed, (document.name, statement.sid)
                elsewhere = Check(check.action, "arn:aws:s3:::elsewhere", check.context)
                if statement.resources[0].text != "*":
                    assert not decide(_session(document.owner), elsewhere, [policy]).allowed, statement.sid
                tried += 1
    assert tried > 50


def test_every_role_is_trusted_to_the_service_that_its_statement_names(found: list[Document]) -> None:
    for document in found:
        if document.kind is Kind.TRUST:
            trust = document.parse()
            (statement,) = trust.statements
            assert statement.principals is not None
            (service,) = statement.principals.services
            context = {condition.key: condition.values for condition in statement.conditions}
            assert may_assume(trust, service, context).allowed, document.owner
            assert not may_assume(trust, "ec2.amazonaws.com", context).allowed, document.owner
            if context:
                assert not may_assume(trust, service).allowed, document.owner


def test_every_resource_policy_refuses_a_request_without_tls(found: list[Document]) -> None:
    policies = [document.parse() for document in found if document.kind is Kind.RESOURCE]
    for policy in policies:
        denying = [statement for statement in policy.statements if statement.effect == "Deny"]
        for statement in denying:
            check = example(statement)
            assert not decide(_session("R"), check, [], policy).allowed
            assert check.context == {"aws:securetransport": ("false",)}
            assert not decide(Principal(f"arn:aws:iam::{ACCOUNT}:root"), check, [], policy).allowed


def test_an_operator_that_the_evaluator_does_not_know_is_found(built: Built) -> None:
    template = json.loads(json.dumps(built.template))
    role = template["Resources"]["IngestObjectsRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    conditioned = next(statement for statement in role["Statement"] if "Condition" in statement)
    conditioned["Condition"] = {"StringLikes": {"dynamodb:LeadingKeys": "OBJECT#*"}}
    with pytest.raises(
        PolicyError, match=rf"IngestObjectsRole\.0, statement {conditioned['Sid']}, Condition\.StringLikes"
    ):
        [document.parse() for document in documents(template)]
