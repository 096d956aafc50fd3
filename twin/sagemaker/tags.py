"""The tags of every SageMaker resource."""

from __future__ import annotations

from typing import Any

from twin.sagemaker.account import Account
from twin.sagemaker.errors import invalid
from twin.sagemaker.resource import Request, Resource

TAGS_MAX = 50


def add_tags(account: Account, request: Request) -> dict[str, Any]:
    resource = _resource(account, request["ResourceArn"])
    merged = {tag["Key"]: tag["Value"] for tag in (*resource.tags, *request["Tags"])}
    if len(merged) > TAGS_MAX:
        raise invalid(f"A resource may have at most {TAGS_MAX} tags.")
    resource.tags = [{"Key": key, "Value": value} for key, value in merged.items()]
    return {"Tags": resource.tags}


def list_tags(account: Account, request: Request) -> dict[str, Any]:
    return {"Tags": _resource(account, request["ResourceArn"]).tags}


def delete_tags(account: Account, request: Request) -> dict[str, Any]:
    resource = _resource(account, request["ResourceArn"])
    resource.tags = [tag for tag in resource.tags if tag["Key"] not in request["TagKeys"]]
    return {}


def _resource(account: Account, arn: str) -> Resource:
    for resource in account.resources():
        if resource.arn.lower() == arn.lower():
            return resource
    raise invalid(f"The resource {arn} does not exist.")
