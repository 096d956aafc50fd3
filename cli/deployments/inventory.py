"""What a stack consists of, inside and outside of CloudFormation: found before anything is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from cli.errors import CommandError
from cli.target import Target
from usher.errors import code

#: Pages of 1,000 object versions that are counted; a larger bucket is "at least" so large.
_PAGES_MAX = 100


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the stack. size: bytes of all versions. whole: False when only a part was counted."""

    name: str
    versions: int
    size: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class StateTable:
    """The state table. size: bytes, as DynamoDB last counted them, up to six hours ago."""

    name: str
    size: int
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """A stack and what belongs to it.

    endpoint: its name and status; empty when there is none. executions: ARNs of running ones. landing, lake, table:
    None when the stack has none, as after a creation that failed early. log_groups: those of this endpoint alone.
    """

    stack_name: str
    status: str
    endpoint: tuple[str, str] = ("", "")
    configs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    executions: tuple[str, ...] = ()
    landing: Bucket | None = None
    lake: Bucket | None = None
    table: StateTable | None = None
    log_groups: tuple[str, ...] = field(default=())

    @property
    def buckets(self) -> list[Bucket]:
        return [bucket for bucket in (self.landing, self.lake) if bucket is not None]

    @property
    def holds_data(self) -> bool:
        """Whether anything is worth keeping; a creation that failed leaves empty buckets and an empty table."""
        return any(bucket.versions for bucket in self.buckets) or bool(self.table and not self.table.is_empty)


def look(target: Target) -> Inventory:
    """The inventory of the target's stack; CommandError when it does not exist or is being changed."""
    stack = _stack(target)
    status = str(stack["StackStatus"])
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise CommandError(f"stack {target.stack_name} is in {status}: wait until that has ended, then run this again")
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
    ids = dict(_resources(target))
    endpoint = parameters.get("EndpointName", "")
    s3, sagemaker = target.client("s3"), target.client("sagemaker")
    return Inventory(
        target.stack_name,
        status,
        endpoint=_endpoint(target, endpoint),
        configs=_configs(sagemaker, endpoint),
        models=_models(sagemaker, endpoint),
        packages=_packages(target, ids.get("ModelPackageGroup", "")),
        executions=tuple(_executions(target, ids)),
        landing=_bucket(s3, ids.get("LandingBucket", "")),
        lake=_bucket(s3, ids.get("LakeBucket", "")),
        table=_table(target.client("dynamodb"), ids.get("StateTable", "")),
        log_groups=_log_groups(target, endpoint),
    )


def _stack(target: Target) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = target.client("cloudformation").describe_stacks(StackName=target.stack_name)[
            "Stacks"
        ][0]
    except ClientError as error:
        if code(error) == "ValidationError" and "does not exist" in str(error):
            raise CommandError(
                f"stack {target.stack_name} not found on {target.description}: give another --stack-name; what an "
                "earlier removal has kept is told by its output"
            ) from error
        raise
    return found


def _resources(target: Target) -> Iterator[tuple[str, str]]:
    """Physical ids by logical id, those of resources that a failed creation has kept too.

    A bucket whose creation failed since its name is taken has that name as its id, and belongs to somebody else.
    """
    foreign = _never_created(target)
    for page in (
        target.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=target.stack_name)
    ):
        for one in page["StackResourceSummaries"]:
            found = one["LogicalResourceId"], one.get("PhysicalResourceId", "")
            if found[1] and found not in foreign and one["ResourceStatus"] != "DELETE_COMPLETE":
                yield found


def _never_created(target: Target) -> set[tuple[str, str]]:
    """(logical id, physical id) of resources whose creation failed."""
    failed, created = set(), set()
    pages = target.client("cloudformation").get_paginator("describe_stack_events")
    for page in pages.paginate(StackName=target.stack_name):
        for event in page["StackEvents"]:
            found = event["LogicalResourceId"], event.get("PhysicalResourceId", "")
            if event["ResourceStatus"] == "CREATE_FAILED":
                failed.add(found)
            elif event["ResourceStatus"] in {"CREATE_COMPLETE", "IMPORT_COMPLETE"}:
                created.add(found)
    return failed - created


def _endpoint(target: Target, name: str) -> tuple[str, str]:
    if not name:
        return "", ""
    listed = target.client("sagemaker").list_endpoints(NameContains=name, MaxResults=100)["Endpoints"]
    return next(((name, one["EndpointStatus"]) for one in listed if one["EndpointName"] == name), ("", ""))


def _configs(sagemaker: Any, endpoint: str) -> tuple[str, ...]:
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=f"{endpoint}-r")
    return _of_runs(endpoint, (one["EndpointConfigName"] for page in pages for one in page["EndpointConfigs"]))


def _models(sagemaker: Any, endpoint: str) -> tuple[str, ...]:
    pages = sagemaker.get_paginator("list_models").paginate(NameContains=f"{endpoint}-r")
    return _of_runs(endpoint, (one["ModelName"] for page in pages for one in page["Models"]))


def _of_runs(endpoint: str, names: Iterator[str]) -> tuple[str, ...]:
    """The names that runs of this endpoint gave: `<endpoint>-<run id>`, with a retry's number."""
    ours = re.compile(rf"{re.escape(endpoint)}-r[a-z2-7]{{10}}-\d+(-\d+)?")
    return tuple(name for name in names if endpoint and ours.fullmatch(name))


def _packages(target: Target, group: str) -> tuple[str, ...]:
    if not group:
        return ()
    name = group.rpartition("/")[2]
    pages = target.client("sagemaker").get_paginator("list_model_packages").paginate(ModelPackageGroupName=name)
    try:
        return tuple(one["ModelPackageArn"] for page in pages for one in page["ModelPackageSummaryList"])
    except ClientError as error:
        if code(error) == "ValidationException":  # the group is gone
            return ()
        raise


def _executions(target: Target, ids: Mapping[str, str]) -> Iterator[str]:
    states = target.client("stepfunctions")
    for name in ("TrainWorkflow", "ShiftWorkflow"):
        try:
            if name in ids:
                listed = states.list_executions(stateMachineArn=ids[name], statusFilter="RUNNING", maxResults=100)
                yield from (one["executionArn"] for one in listed["executions"])
        except ClientError as error:
            if code(error) != "StateMachineDoesNotExist":
                raise


def _bucket(s3: Any, name: str) -> Bucket | None:
    if not name:
        return None
    versions, size = 0, 0
    try:
        for number, page in enumerate(s3.get_paginator("list_object_versions").paginate(Bucket=name)):
            if number == _PAGES_MAX:
                return Bucket(name, versions, size, whole=False)
            found = page.get("Versions", [])
            versions, size = versions + len(found), size + sum(one["Size"] for one in found)
    except ClientError as error:
        if code(error) == "NoSuchBucket":
            return None
        raise
    return Bucket(name, versions, size)


def _table(dynamodb: Any, name: str) -> StateTable | None:
    if not name:
        return None
    try:
        size = dynamodb.describe_table(TableName=name)["Table"].get("TableSizeBytes", 0)
        is_empty = not dynamodb.scan(TableName=name, Limit=1)["Items"]
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return None
        raise
    return StateTable(name, size, is_empty)


def _log_groups(target: Target, endpoint: str) -> tuple[str, ...]:
    """The container's logs of this endpoint; the groups of jobs are shared by the whole account."""
    if not endpoint:
        return ()
    name = f"/aws/sagemaker/Endpoints/{endpoint}"
    found = target.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return tuple(one["logGroupName"] for one in found if one["logGroupName"] == name)
