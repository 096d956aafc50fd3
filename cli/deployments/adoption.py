"""Deploys a new stack that takes over kept buckets and a kept state table: a change set with ImportExistingResources.

`sam deploy` cannot import resources. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from cli.deployments.creation import create
from cli.deployments.removal import Report
from cli.errors import CommandError
from cli.target import Target
from usher.errors import code


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The names of what a removed stack has kept."""

    landing_bucket: str
    lake_bucket: str
    state_table: str

    def parameters(self) -> dict[str, str]:
        """The template's parameters that name them."""
        return {
            "LandingBucketName": self.landing_bucket,
            "LakeBucketName": self.lake_bucket,
            "StateTableName": self.state_table,
        }


def adopt(  # noqa: PLR0913 - the options of the command
    target: Target, template: Path, kept: Kept, parameters: Mapping[str, str], report: Report, *, seconds: float
) -> dict[str, str]:
    """Deploy the built template as a new stack on the kept data; its outputs. seconds: to wait for it.

    Raises CommandError when the stack exists, something kept does not, or the stack cannot be created.
    """
    _check_absent(target)
    _check_kept(target, kept)
    given = {**parameters, **kept.parameters()}
    return create(target, template, kept.lake_bucket, given, report, seconds=seconds, import_existing=True)


def _check_absent(target: Target) -> None:
    try:
        stack = target.client("cloudformation").describe_stacks(StackName=target.stack_name)["Stacks"][0]
    except ClientError as error:
        if code(error) == "ValidationError":
            return
        raise
    raise CommandError(
        f"stack {target.stack_name} exists ({stack['StackStatus']}), and only a new stack adopts data: "
        "give another --stack-name, or remove this one with `usher remove`"
    )


def _check_kept(target: Target, kept: Kept) -> None:
    try:
        for bucket in (kept.landing_bucket, kept.lake_bucket):
            target.client("s3").head_bucket(Bucket=bucket)
        target.client("dynamodb").describe_table(TableName=kept.state_table)
    except ClientError as error:
        named = {"HeadBucket": f"bucket {bucket}", "DescribeTable": f"table {kept.state_table}"}
        what = named.get(error.operation_name, error.operation_name)
        raise CommandError(
            f"{what} cannot be adopted ({code(error)}): check the name, the region and your permissions; "
            "`usher remove` has printed the names"
        ) from error
