"""Removes a smoke test's deployment from whatever state it is in, and looks whether anything is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from botocore.exceptions import ClientError

from cli.deployments import inventory, removal, running_runs
from cli.deployments.inventory import Bucket, Inventory
from cli.deployments.removal import Report
from cli.errors import CommandError
from cli.preflight.account import find_stack
from cli.target import Target
from usher.errors import code

#: What services answer for something that is not there.
_ABSENT = {
    *("404", "NoSuchBucket", "ResourceNotFoundException", "ResourceNotFound", "ValidationException"),
    *("EntityNotFoundException", "RepositoryNotFoundException"),
}
_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")


def clean(target: Target, bucket: str, names: tuple[str, str], report: Report, *, seconds: float) -> str:
    """Remove the stack with its data, and the bucket of its code; what was removed, in words.

    names: of the Glue database and the endpoint. seconds: to wait. Waits until a creation or an update has ended, since
    neither CloudFormation nor SageMaker deletes before. Raises CommandError when something is left.
    """
    end = time.monotonic() + seconds
    found = _settled(target, report, end)
    if found is not None:
        removal.remove(target, found, report, data=True, seconds=max(1.0, end - time.monotonic()))
    if _is_there(lambda: target.client("s3").head_bucket(Bucket=bucket)):
        removal.empty(target.client("s3"), Bucket(bucket, 0, 0))
        target.client("s3").delete_bucket(Bucket=bucket)
    while left := list(_left(target, found, names)):  # tables and endpoints are deleted after the call has returned
        if time.monotonic() > end:
            raise CommandError(f"{', '.join(left)} still there after {seconds:g} s: look again later")
        _pause(target)
    if found is None:
        return "there was no stack"
    models = f"{len(found.models)} models, {len(found.packages)} model packages"
    return f"stack, {len(found.buckets)} buckets, state table, endpoint, {models}: nothing is left"


def _settled(target: Target, report: Report, end: float) -> Inventory | None:
    """The inventory once nothing is being changed; None when there is no stack. Stops runs."""
    while True:
        stack = find_stack(target)
        if stack is None:
            return None
        status = stack["StackStatus"]
        busy = status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
        if not busy:
            found = inventory.look(target)
            stopped = running_runs.stop(target, found)
            name, status = found.endpoint
            if not stopped and status not in _BUSY:
                return found
            status = f"{len(stopped)} executions stopped, endpoint {name or 'none'} {status}"
        if time.monotonic() > end:
            raise CommandError(f"stack {target.stack_name} cannot be removed yet ({status})")
        report(f"waiting: {status}")
        _pause(target)


def _left(target: Target, found: Inventory | None, names: tuple[str, str]) -> Iterator[str]:
    """What is still there, by name."""
    database, endpoint = names
    s3, dynamodb, glue, sagemaker, ecr = map(target.client, ("s3", "dynamodb", "glue", "sagemaker", "ecr"))
    looks: dict[str, Callable[[], object]] = {
        f"database {database}": lambda: glue.get_database(Name=database),
        f"endpoint {endpoint}": lambda: sagemaker.describe_endpoint(EndpointName=endpoint),
        f"repository {database}/usher-recommender": lambda: ecr.describe_repositories(
            repositoryNames=[f"{database}/usher-recommender"]
        ),
    }
    for bucket in found.buckets if found else ():
        looks[f"bucket {bucket.name}"] = lambda name=bucket.name: s3.head_bucket(Bucket=name)  # type: ignore[misc]
    if found is not None and found.table is not None:
        table = found.table.name
        looks[f"table {table}"] = lambda: dynamodb.describe_table(TableName=table)
    if find_stack(target) is not None:
        yield f"stack {target.stack_name}"
    yield from (what for what, look in looks.items() if _is_there(look))


def _is_there(look: Callable[[], object]) -> bool:
    try:
        look()
    except ClientError as error:
        if code(error) not in _ABSENT:
            raise
        return False
    return True


def _pause(target: Target) -> None:
    time.sleep(0.3 if target.endpoint else 10.0)
