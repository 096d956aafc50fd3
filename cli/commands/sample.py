"""`usher sample`: print a Lambda function's sample event with the names and data of the target."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import runs
from cli.errors import CommandError
from cli.formatting.terminal import print_json
from cli.target import Target, TargetCommand, chosen
from usher.schema.ids import object_digest
from usher.schema.s3_paths import parse_landing_key

app = typer.Typer()

EVENTS = Path(__file__).parents[2] / "events"
#: The key of the custom resource's response in the lake bucket, under a prefix that expires.
RESPONSE_KEY = "athena/sample-answer.json"
RESPONSE_SECONDS = 3600


@app.command(cls=TargetCommand)
def sample(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Function name, as its folder in functions/: ingest_objects …")],
) -> None:
    """Print a function's sample event, for `sam local invoke` (docs/sam-local.md) or to invoke the function."""
    if name not in names():
        raise CommandError(f"function {name} not found: use one of {', '.join(names())}")
    print_json(fill(chosen(ctx), name))


def names() -> list[str]:
    """The functions with a sample event."""
    return sorted(path.stem for path in EVENTS.glob("*.json"))


def fill(target: Target, name: str) -> dict[str, Any]:
    """events/NAME.json about the target's newest landing object or newest run.

    Raises CommandError when the target has no object or run for the event yet.
    """
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    filler = _FILLERS.get(name)
    return filler(target, copy.deepcopy(event)) if filler else event


def _ingest_objects(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """Repeat the event of the newest landing object, as S3 may deliver it twice."""
    bucket, found = target.resources.landing_bucket, _newest_object(target)

    def about_it(body: dict[str, Any]) -> dict[str, Any]:
        detail = {"key": found["Key"], "size": found["Size"], "etag": found["ETag"].strip('"')}
        if found["VersionId"] != "null":
            detail["version-id"] = found["VersionId"]
        body["resources"] = [f"arn:aws:s3:::{bucket}"]
        body["detail"]["bucket"]["name"] = bucket
        body["detail"]["object"] |= detail
        return body

    return _message(event, about_it)


def _catalog_objects(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """Repeat the message about the newest landing object."""
    found = _newest_object(target)
    version = found["VersionId"] if found["VersionId"] != "null" else found["ETag"]
    digest = object_digest(target.resources.landing_bucket, found["Key"], version)
    dataset = parse_landing_key(found["Key"]).dataset
    return _message(event, lambda body: body | {"dataset": dataset, "digest": digest})


def _catalog_tables(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's request with a presigned URL for the response."""
    resources, s3 = target.resources, target.client("s3")
    place = {"Bucket": resources.lake_bucket, "Key": RESPONSE_KEY}
    url = s3.generate_presigned_url("put_object", Params=place, ExpiresIn=RESPONSE_SECONDS)
    properties = {"Database": resources.database, "LakeBucket": resources.lake_bucket}
    return event | {"ResponseURL": url, "ResourceProperties": event["ResourceProperties"] | properties}


def _ingest_stream(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    stream = f"{target.resources.stream_prefix or f'{target.stack_name}-'}ratings"
    return event | {"deliveryStreamArn": event["deliveryStreamArn"].rpartition("/")[0] + f"/{stream}"}


def _prepare_run(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """A sample run on the newest data. It takes the lock, `usher sample prepare_next` releases it."""
    from cli import runs  # noqa: PLC0415 - botocore

    run_id, snapshots, rows = runs.next_run(target)
    arn = f"{runs.workflow_arn(target).replace(':stateMachine:', ':execution:')}:{run_id}"
    return event | {"run_id": run_id, "execution_arn": arn, "snapshots": snapshots, "rows": rows}


def _prepare_next(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """The end of the sample run of `_prepare_run`, else the end of the newest real run."""
    workflow = runs.workflow_arn(target)
    arn, status = _made_up(target) or _ended(target)

    def about_it(body: dict[str, Any]) -> dict[str, Any]:
        body["resources"] = [arn]
        told = {"executionArn": arn, "stateMachineArn": workflow, "name": arn.rpartition(":")[2], "status": status}
        body["detail"] |= told | ({} if status == "ABORTED" else {"cause": None})
        return body

    return _message(event, about_it)


def _task(state: str) -> Callable[[Target, dict[str, Any]], dict[str, Any]]:
    """The input of a state's function in the newest run that reached the state."""

    def filler(target: Target, _event: dict[str, Any]) -> dict[str, Any]:
        for run in runs.newest(target, 20):
            found = runs.payload(target, run, state)
            if found is not None:
                return dict(found)
        raise CommandError(f"no run has reached {state} yet: start one with `usher runs start`")

    return filler


_FILLERS: Mapping[str, Callable[[Target, dict[str, Any]], dict[str, Any]]] = {
    "ingest_objects": _ingest_objects,
    "ingest_stream": _ingest_stream,
    "catalog_objects": _catalog_objects,
    "catalog_tables": _catalog_tables,
    "prepare_run": _prepare_run,
    "prepare_next": _prepare_next,
    "evaluate_gate": _task("EvaluateGate"),
    "deploy_experiment": _task("DeployExperiment"),
}


def _newest_object(target: Target) -> dict[str, Any]:
    """The newest object version in the landing bucket."""
    pages = target.client("s3").get_paginator("list_object_versions")
    found = [
        version
        for page in pages.paginate(Bucket=target.resources.landing_bucket)
        for version in page.get("Versions", [])
        if version["IsLatest"]
    ]
    if not found:
        raise CommandError("the landing bucket has no object yet: run `usher upload FILE --wait` first")
    return dict(max(found, key=lambda version: version["LastModified"]))


def _made_up(target: Target) -> tuple[str, str] | None:
    """The sample run that holds the lock without an execution: its ARN and final status."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 is loaded by now

    key = {"pk": {"S": "RUN"}, "sk": {"S": "LOCK"}}
    item = target.client("dynamodb").get_item(TableName=target.resources.state_table, Key=key).get("Item")
    arn = item["execution_arn"]["S"] if item else ""
    if not arn:
        return None
    try:
        target.client("stepfunctions").describe_execution(executionArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return arn, "ABORTED"
        raise
    return None


def _ended(target: Target) -> tuple[str, str]:
    for run in runs.newest(target, 20):
        if run.ended_at is not None:
            return run.arn, run.status
    raise CommandError("no run has ended yet: create a sample run with `usher sample prepare_run`")


def _message(event: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The event with a changed SQS message body and its new checksum."""
    (record,) = event["Records"]
    record["body"] = json.dumps(change(json.loads(record["body"])))
    record["md5OfBody"] = hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
    return event
