"""Decisions inside of one account, trust policies and the words of a denial, with AWS's documented examples."""

from __future__ import annotations

from typing import Any

import pytest

from twin.iam.documents import Policy, identity_policy, resource_policy, trust_policy
from twin.iam.evaluation import Decision, decide, may_assume, message
from twin.iam.request import Check, Principal

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/R"
SESSION = Principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/R/S", role=ROLE)
OTHER = Principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/O/S", role=f"arn:aws:iam::{ACCOUNT}:role/O")
FOREIGN = Principal("arn:aws:sts::999999999999:assumed-role/R/S", role="arn:aws:iam::999999999999:role/R")
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root")
EVENTS = Principal("events.amazonaws.com", service="events.amazonaws.com")
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/state"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q"
GET = Check("dynamodb:GetItem", TABLE)
SEND = Check("sqs:SendMessage", QUEUE)


def _identity(*statements: dict[str, Any], name: str = "own") -> Policy:
    filled = [{"Effect": "Allow", "Action": "*", "Resource": "*"} | statement for statement in statements]
    return identity_policy(name, {"Version": "2012-10-17", "Statement": filled})


def _on_queue(*statements: dict[str, Any]) -> Policy:
    base = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE}
    filled = [base | ({} if "NotPrincipal" in one else {"Principal": "*"}) | one for one in statements]
    return resource_policy("q", {"Version": "2012-10-17", "Statement": filled})


def _trust(*statements: dict[str, Any]) -> Policy:
    filled = [{"Effect": "Allow", "Action": "sts:AssumeRole"} | statement for statement in statements]
    return trust_policy("R", {"Version": "2012-10-17", "Statement": filled})


# ── a role's session ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_nothing_allows_is_denied_in_aws_words() -> None:
    decision = decide(SESSION, GET, [_identity({"Action": "dynamodb:PutItem", "Resource": TABLE})])
    assert not decision.allowed and decision.policy is None and decision.statement is None
    assert message(SESSION, GET, decision) == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/R/S is not authorized to perform: dynamodb:GetItem "
        f"on resource: {TABLE} because no identity-based policy allows the dynamodb:GetItem action"
    )
    assert not decide(SESSION, GET).allowed


def test_an_identity_policy_allows_and_the_decision_says_which_statement_and_entries() -> None:
    own = _identity(
        {"Sid": "Other", "Action": "s3:*"},
        {"Sid": "Read", "Action": ["dynamodb:Query", "dynamodb:Get*"], "Resource": [QUEUE, TABLE]},
        {"Sid": "Later"},
    )
    decision = decide(SESSION, GET, [_identity({"Action": "s3:*"}, name="first"), own])
    assert decision.allowed and decision.policy is own
    assert decision.statement is not None and decision.statement.sid == "Read"
    assert (decision.action, decision.resource) == ("dynamodb:Get*", TABLE)
    assert decision.reason == "allowed by an identity-based policy"
    with pytest.raises(ValueError, match=r"dynamodb:GetItem is allowed to .*: only a denial has a message"):
        message(SESSION, GET, decision)


def test_action_resource_and_every_condition_must_match() -> None:
    statement = {
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::lake",
        "Condition": {"StringLike": {"s3:prefix": ["lake/*"]}, "Bool": {"aws:SecureTransport": "true"}},
    }
    context = {"s3:prefix": ("lake/ratings",), "aws:securetransport": ("true",)}

    def allowed(action: str = "s3:ListBucket", resource: str = "arn:aws:s3:::lake", **changed: tuple[str, ...]) -> bool:
        values = context | {name.replace("_", ":"): value for name, value in changed.items()}
        return decide(SESSION, Check(action, resource, values), [_identity(statement)]).allowed

    assert allowed()
    assert not allowed(action="s3:GetObject")
    assert not allowed(resource="arn:aws:s3:::landing")
    assert not allowed(s3_prefix=("runs/1",))
    assert not allowed(s3_prefix=())
    assert not allowed(aws_securetransport=("false",))


def test_the_case_of_an_action_does_not_matter_and_that_of_a_resource_does() -> None:
    assert decide(SESSION, GET, [_identity({"Action": "DynamoDB:getitem", "Resource": TABLE})]).allowed
    assert not decide(SESSION, GET, [_identity({"Resource": TABLE.replace("state", "State")})]).allowed


def test_an_action_without_resource_types_needs_all_resources() -> None:
    check = Check("ecr:GetAuthorizationToken", "*")
    assert decide(SESSION, check, [_identity({"Resource": "*"})]).allowed
    decision = decide(SESSION, check, [_identity({"Resource": f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/*"})])
    assert "on resource: * because" in message(SESSION, check, decision)


def test_not_action_and_not_resource_are_everything_else() -> None:
    """reference_policies_elements_notaction.html and …notresource.html: all but the listed ones."""
    assert decide(SESSION, GET, [identity_policy("p", _statement(NotAction="s3:*", Resource="*"))]).allowed
    assert not decide(SESSION, GET, [identity_policy("p", _statement(NotAction="dynamodb:*", Resource="*"))]).allowed
    assert decide(SESSION, GET, [identity_policy("p", _statement(Action="*", NotResource=QUEUE))]).allowed
    assert not decide(SESSION, GET, [identity_policy("p", _statement(Action="*", NotResource=[QUEUE, TABLE]))]).allowed
    decision = decide(SESSION, GET, [identity_policy("p", _statement(NotAction="s3:*", NotResource=QUEUE))])
    assert decision.allowed and (decision.action, decision.resource) == ("", "")


def _statement(**elements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": {"Effect": "Allow", **elements}}


def test_an_explicit_deny_comes_first_wherever_it_stands() -> None:
    deny = {"Sid": "Never", "Effect": "Deny", "Action": "dynamodb:*", "Resource": TABLE}
    for policies in ([_identity({}, deny)], [_identity(deny, {})], [_identity({}), _identity(deny, name="b")]):
        decision = decide(SESSION, GET, policies)
        assert not decision.allowed
        assert decision.statement is not None and decision.statement.sid == "Never"
        assert message(SESSION, GET, decision).endswith(
            f"on resource: {TABLE} with an explicit deny in an identity-based policy"
        )


def test_a_star_at_the_end_of_a_part_is_read_against_the_caller() -> None:
    wide, check = f"arn:aws:states:*:*:{ACCOUNT}", Check("states:X", f"arn:aws:states:eu-west-1:1:execution:{ACCOUNT}")
    assert not decide(SESSION, check, [_identity({"Resource": wide})]).allowed
    assert not decide(SESSION, check, [_identity({}, {"Effect": "Deny", "Resource": wide})]).allowed
    assert not decide(SESSION, check, [identity_policy("p", _statement(Action="*", NotResource=wide))]).allowed
    deny = identity_policy("p", {**_statement(), "Statement": {"Effect": "Deny", "Action": "*", "NotResource": wide}})
    assert not decide(SESSION, check, [_identity({}), deny]).allowed


def test_a_deny_whose_condition_does_not_hold_denies_nothing() -> None:
    deny = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert decide(SESSION, GET, [_identity({}, deny)]).allowed
    insecure = Check(GET.action, GET.resource, {"aws:securetransport": ("false",)})
    assert not decide(SESSION, insecure, [_identity({}, deny)]).allowed


def test_carlos_may_write_to_his_bucket_and_not_to_its_logs() -> None:
    """The example of reference_policies_evaluation-logic.html, with a role in the place of the user."""
    own = _identity(
        {"Sid": "AllowS3ListRead", "Action": ["s3:GetBucketLocation", "s3:ListAllMyBuckets"]},
        {"Sid": "AllowS3Self", "Action": "s3:*", "Resource": ["arn:aws:s3:::carlos/*", "arn:aws:s3:::carlos"]},
        {"Sid": "DenyS3Logs", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::*log*"},
    )
    bucket = resource_policy("carlos", _statement(Principal={"AWS": ROLE}, Action="s3:*", Resource="arn:aws:s3:::*"))
    assert decide(SESSION, Check("s3:PutObject", "arn:aws:s3:::carlos/x"), [own], bucket).allowed
    denied = decide(SESSION, Check("s3:PutObject", "arn:aws:s3:::carlos-logs/x"), [own], bucket)
    assert denied.statement is not None and denied.statement.sid == "DenyS3Logs"
    assert not decide(SESSION, Check("s3:PutObject", "arn:aws:s3:::other/x"), [own]).allowed


# ── resource policies ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ROLE}, True),
        ({"AWS": SESSION.arn}, True),
        ({"AWS": [OTHER.role, ROLE]}, True),
        # an account delegates to its identity policies
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False),
        ({"AWS": ACCOUNT}, False),
        ({"AWS": OTHER.role}, False),
        ({"AWS": SESSION.arn + "2"}, False),
        ({"Service": "events.amazonaws.com"}, False),
    ],
)
def test_a_resource_policy_alone_allows_whom_it_names(principal: Any, allowed: bool) -> None:
    decision = decide(SESSION, SEND, [], _on_queue({"Principal": principal}))
    assert decision.allowed is allowed
    if allowed:
        assert decision.reason == "allowed by a resource-based policy"
    else:
        assert decision.reason == "because no identity-based policy allows the sqs:SendMessage action"


def test_an_account_in_a_resource_policy_leaves_it_to_identity_policies() -> None:
    policy = _on_queue({"Principal": {"AWS": ACCOUNT}})
    decision = decide(SESSION, SEND, [_identity({"Action": "sqs:*"})], policy)
    assert decision.allowed and decision.reason == "allowed by an identity-based policy"


def test_a_resource_policy_denies_what_an_identity_policy_allows() -> None:
    for principal in ("*", {"AWS": ROLE}, {"AWS": SESSION.arn}, {"AWS": ACCOUNT}):
        decision = decide(SESSION, SEND, [_identity({})], _on_queue({"Effect": "Deny", "Principal": principal}))
        assert message(SESSION, SEND, decision).endswith("with an explicit deny in a resource-based policy")
    assert decide(
        SESSION, SEND, [_identity({})], _on_queue({"Effect": "Deny", "Principal": {"AWS": OTHER.role}})
    ).allowed
    assert decide(FOREIGN, SEND, [_identity({})], _on_queue({"Effect": "Deny", "Principal": {"AWS": ROLE}})).allowed


def test_not_principal_excepts_a_session_whose_account_role_and_session_are_listed() -> None:
    """reference_policies_elements_notprincipal.html: "the role, the assumed-role user, and the AWS account"."""

    def denied(caller: Principal, listed: dict[str, Any]) -> bool:
        return not decide(caller, SEND, [_identity({})], _on_queue({"Effect": "Deny", "NotPrincipal": listed})).allowed

    whole = {"AWS": [ACCOUNT, ROLE, SESSION.arn]}
    assert not denied(SESSION, whole)
    assert denied(OTHER, whole)
    assert denied(SESSION, {"AWS": [ACCOUNT, ROLE]})
    assert denied(SESSION, {"AWS": [ROLE, SESSION.arn]})
    assert not denied(SESSION, {"AWS": "*"})
    assert not denied(ROOT, {"AWS": ACCOUNT})
    assert denied(ROOT, {"AWS": ROLE})
    assert denied(EVENTS, {"AWS": ACCOUNT})


def test_a_policy_without_resource_covers_what_it_is_attached_to() -> None:
    policy = resource_policy("repository", _statement(Principal={"AWS": ROLE}, Action="ecr:BatchGetImage"))
    assert decide(SESSION, Check("ecr:BatchGetImage", "arn:aws:ecr:eu-west-1:1:repository/r"), [], policy).allowed


# ── services and the administrator ───────────────────────────────────────────────────────────────────────────────────


def test_a_service_is_allowed_by_a_resource_policy_only() -> None:
    """The SNS topic of reference_policies_elements_condition_operators.html, for a rule of EventBridge."""
    rule = f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/landing"
    policy = _on_queue(
        {"Principal": {"Service": "events.amazonaws.com"}, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}
    )
    check = Check(SEND.action, SEND.resource, {"aws:sourcearn": (rule,)})
    assert decide(EVENTS, check, [], policy).allowed
    for other in (Check(SEND.action, SEND.resource, {"aws:sourcearn": (rule + "2",)}), SEND):
        decision = decide(EVENTS, other, [_identity({})], policy)
        assert message(EVENTS, other, decision) == (
            f"User: events.amazonaws.com is not authorized to perform: sqs:SendMessage on resource: {QUEUE} "
            "because no resource-based policy allows the sqs:SendMessage action"
        )
    assert not decide(Principal("s3.amazonaws.com", service="s3.amazonaws.com"), check, [], policy).allowed
    assert not decide(EVENTS, check, [_identity({})]).allowed


def test_a_deny_for_everyone_is_for_services_too() -> None:
    allow = {"Principal": {"Service": "events.amazonaws.com"}}
    deny = {"Effect": "Deny", "Action": "sqs:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    policy = _on_queue(allow, deny)
    assert decide(EVENTS, SEND, [], policy).allowed
    insecure = Check(SEND.action, SEND.resource, {"aws:securetransport": ("false",)})
    assert decide(EVENTS, insecure, [], policy).reason == "with an explicit deny in a resource-based policy"


def test_an_account_in_a_resource_policy_is_no_service() -> None:
    assert not decide(EVENTS, SEND, [], _on_queue({"Principal": {"AWS": ACCOUNT}})).allowed


def test_the_administrator_is_allowed_unless_a_resource_policy_denies() -> None:
    decision = decide(ROOT, SEND)
    assert decision.allowed and decision.reason == "the account's administrator"
    assert decide(ROOT, SEND, [_identity({"Effect": "Deny"})]).allowed
    for principal in ("*", {"AWS": ACCOUNT}):
        denied = decide(ROOT, SEND, [], _on_queue({"Effect": "Deny", "Principal": principal}))
        assert not denied.allowed and denied.reason == "with an explicit deny in a resource-based policy"
    assert decide(ROOT, SEND, [], _on_queue({"Effect": "Deny", "Principal": {"AWS": ROLE}})).allowed


# ── keys of the principal ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("caller", "condition", "holds"),
    [
        # of a session the ARN of the role, "and not the ARN of the resulting session" (reference_policies_elements_…)
        (SESSION, {"ArnEquals": {"aws:PrincipalArn": ROLE}}, True),
        (SESSION, {"ArnEquals": {"aws:PrincipalArn": SESSION.arn}}, False),
        (SESSION, {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        (SESSION, {"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, True),
        (SESSION, {"Bool": {"aws:PrincipalIsAWSService": "false"}}, True),
        (SESSION, {"Null": {"aws:username": "true", "aws:userid": "true"}}, True),
        (ROOT, {"StringEquals": {"aws:PrincipalType": "Account", "aws:userid": ACCOUNT}}, True),
        (ROOT, {"ArnEquals": {"aws:PrincipalArn": ROOT.arn}}, True),
        (EVENTS, {"Bool": {"aws:PrincipalIsAWSService": "true"}}, True),
        (EVENTS, {"StringEquals": {"aws:PrincipalServiceName": "events.amazonaws.com"}}, True),
        (EVENTS, {"Null": {"aws:PrincipalArn": "true"}}, True),
    ],
)
def test_the_caller_gives_keys_of_its_own(caller: Principal, condition: dict[str, Any], holds: bool) -> None:
    decision = decide(caller, SEND, [], _on_queue({"Effect": "Deny", "Condition": condition}))
    assert (decision.reason == "with an explicit deny in a resource-based policy") is holds


def test_the_context_of_a_check_adds_to_the_keys_of_the_caller() -> None:
    own = _identity({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:PrincipalTag/Team}/${aws:userid}"})
    context = {"aws:principaltag/team": ("yellow",), "aws:userid": ("AROA1:S",)}
    assert decide(SESSION, Check("s3:GetObject", "arn:aws:s3:::b/yellow/AROA1:S", context), [own]).allowed
    assert not decide(SESSION, Check("s3:GetObject", "arn:aws:s3:::b/yellow/AROA1:S"), [own]).allowed


def test_iam_pass_role_with_the_service_that_it_is_passed_to() -> None:
    """id_roles_use_passrole.html; the statement of the training workflow."""
    own = _identity(
        {
            "Action": "iam:PassRole",
            "Resource": ROLE,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        }
    )

    def allowed(service: str) -> bool:
        return decide(OTHER, Check("iam:PassRole", ROLE, {"iam:passedtoservice": (service,)}), [own]).allowed

    assert allowed("sagemaker.amazonaws.com")
    assert not allowed("lambda.amazonaws.com")


# ── trust policies ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_takes_on_a_role_that_trusts_it() -> None:
    trust = _trust({"Principal": {"Service": ["ecs.amazonaws.com", "lambda.amazonaws.com"]}})
    assert may_assume(trust, "lambda.amazonaws.com").allowed
    decision = may_assume(trust, "states.amazonaws.com", role=ROLE)
    states = Principal("states.amazonaws.com", service="states.amazonaws.com")
    assert message(states, Check("sts:AssumeRole", ROLE), decision) == (
        f"User: states.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: {ROLE} "
        "because no role trust policy allows the sts:AssumeRole action"
    )


def test_a_trust_policy_with_the_source_of_the_service() -> None:
    """confused-deputy.html: aws:SourceAccount and aws:SourceArn in the trust policy of a service's role."""
    trust = _trust(
        {
            "Principal": {"Service": "firehose.amazonaws.com"},
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": f"arn:aws:firehose:*:{ACCOUNT}:deliverystream/*"},
            },
        }
    )
    source = f"arn:aws:firehose:eu-west-1:{ACCOUNT}:deliverystream/ratings"

    def allowed(**context: str) -> bool:
        return may_assume(
            trust, "firehose.amazonaws.com", {f"aws:{key}": (text,) for key, text in context.items()}
        ).allowed

    assert allowed(sourceaccount=ACCOUNT, sourcearn=source)
    assert not allowed(sourceaccount="999999999999", sourcearn=source)
    assert not allowed(sourceaccount=ACCOUNT, sourcearn=source.replace("firehose", "sns"))
    assert not allowed(sourceaccount=ACCOUNT)
    assert not allowed()


def test_an_explicit_deny_of_a_trust_policy() -> None:
    trust = _trust({"Principal": "*"}, {"Effect": "Deny", "Principal": {"AWS": OTHER.role}})
    assert may_assume(trust, SESSION).allowed
    assert may_assume(trust, OTHER).reason == "with an explicit deny in the role trust policy"


def test_a_role_that_is_named_takes_on_another_and_one_of_the_account_needs_an_identity_policy_too() -> None:
    """id_roles_terms-and-concepts.html, role chaining; the trust of an account delegates to the account."""
    assume = _identity({"Action": "sts:AssumeRole", "Resource": ROLE})
    deny = _identity({"Effect": "Deny", "Action": "sts:AssumeRole"})
    named, account = _trust({"Principal": {"AWS": OTHER.role}}), _trust({"Principal": {"AWS": ACCOUNT}})
    assert may_assume(named, OTHER, role=ROLE).allowed
    assert (
        may_assume(named, OTHER, role=ROLE, identity=[deny]).reason
        == "with an explicit deny in an identity-based policy"
    )
    assert may_assume(account, OTHER, role=ROLE, identity=[assume]).allowed
    assert may_assume(account, OTHER, role=ROLE) == Decision(
        False, "because no identity-based policy allows the sts:AssumeRole action"
    )
    both = _trust({"Principal": {"AWS": ACCOUNT}}, {"Principal": {"AWS": OTHER.role}})
    assert may_assume(both, OTHER, role=ROLE).allowed
    assert not may_assume(named, SESSION, role=ROLE, identity=[assume]).allowed
    assert not may_assume(account, FOREIGN, role=ROLE, identity=[assume]).allowed
    assert may_assume(account, ROOT, role=ROLE).allowed


def test_other_actions_of_sts_do_not_allow_to_assume() -> None:
    assert not may_assume(_trust({"Principal": "*", "Action": "sts:TagSession"}), "lambda.amazonaws.com").allowed
    assert may_assume(_trust({"Principal": "*", "Action": "sts:Assume*"}), "lambda.amazonaws.com").allowed
