"""`usher sample`: a function's sample event, with the names of this Usher filled in."""

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
#: Where CloudFormation's answer goes, in the lake bucket; what lies there goes by itself.
ANSWER_KEY = "athena/sample-answer.json"
ANSWER_SECONDS = 3600


@app.command(cls=TargetCommand)
def sample(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A function, as its folder is called: ingest_objects …")],
) -> None:
    """A function's sample event for this Usher: for `sam local invoke` (docs/sam-local.md) or to invoke it."""
    if name not in names():
        raise CommandError(f"function {name} not found: use one of {', '.join(names())}")
    print_json(fill(chosen(ctx), name))


def names() -> list[str]:
    """The functions that have a sample."""
    return sorted(path.stem for path in EVENTS.glob("*.json"))


def fill(target: Target, name: str) -> dict[str, Any]:
    """events/NAME.json, about what is there: the newest landing object, the newest run.

    Raises CommandError when there is nothing yet that the event could be about.
    """
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    filler = _FILLERS.get(name)
    return filler(target, copy.deepcopy(event)) if filler else event


def _ingest_objects(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """The event of the newest landing object once more, as S3 may send it twice."""
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
    """The message about the newest landing object once more."""
    found = _newest_object(target)
    version = found["VersionId"] if found["VersionId"] != "null" else found["ETag"]
    digest = object_digest(target.resources.landing_bucket, found["Key"], version)
    dataset = parse_landing_key(found["Key"]).dataset
    return _message(event, lambda body: body | {"dataset": dataset, "digest": digest})


def _catalog_tables(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's request, with an address that takes the answer."""
    resources, s3 = target.resources, target.client("s3")
    place = {"Bucket": resources.lake_bucket, "Key": ANSWER_KEY}
    url = s3.generate_presigned_url("put_object", Params=place, ExpiresIn=ANSWER_SECONDS)
    properties = {"Database": resources.database, "LakeBucket": resources.lake_bucket}
    return event | {"ResponseURL": url, "ResourceProperties": event["ResourceProperties"] | properties}


def _ingest_stream(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    stream = f"{target.resources.stream_prefix or f'{target.stack_name}-'}ratings"
    return event | {"deliveryStreamArn": event["deliveryStreamArn"].rpartition("/")[0] + f"/{stream}"}


def _prepare_run(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """A run that nobody started, on the newest data: it takes the lock, `usher sample prepare_next` gives it back."""
    from cli import runs  # noqa: PLC0415 - botocore

    run_id, snapshots, rows = runs.next_run(target)
    arn = f"{runs.workflow_arn(target).replace(':stateMachine:', ':execution:')}:{run_id}"
    return event | {"run_id": run_id, "execution_arn": arn, "snapshots": snapshots, "rows": rows}


def _prepare_next(target: Target, event: dict[str, Any]) -> dict[str, Any]:
    """The end of the run that `_prepare_run` made up, else the end of the newest real one once more."""
    workflow = runs.workflow_arn(target)
    arn, status = _made_up(target) or _ended(target)

    def about_it(body: dict[str, Any]) -> dict[str, Any]:
        body["resources"] = [arn]
        told = {"executionArn": arn, "stateMachineArn": workflow, "name": arn.rpartition(":")[2], "status": status}
        body["detail"] |= told | ({} if status == "ABORTED" else {"cause": None})
        return body

    return _message(event, about_it)


def _task(state: str) -> Callable[[Target, dict[str, Any]], dict[str, Any]]:
    """The input that a state of the newest run that came so far gave its function."""

    def filler(target: Target, _event: dict[str, Any]) -> dict[str, Any]:
        for run in runs.newest(target, 20):
            found = runs.payload(target, run, state)
            if found is not None:
                return dict(found)
        raise CommandError(f"no run has come to {state} yet: `usher runs` lists them, `usher runs start` starts one")

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
    """The newest version of an object in the landing bucket that the lake holds."""
    pages = target.client("s3").get_paginator("list_object_versions")
    found = [
        version
        for page in pages.paginate(Bucket=target.resources.landing_bucket)
        for version in page.get("Versions", [])
        if version["IsLatest"]
    ]
    if not found:
        raise CommandError("there is no object in the landing bucket yet: `usher upload FILE --wait` first")
    return dict(max(found, key=lambda version: version["LastModified"]))


def _made_up(target: Target) -> tuple[str, str] | None:
    """The run that holds the lock without an execution, and how it ends."""
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
    raise CommandError("no run has ended yet: `usher sample prepare_run` makes one up")


def _message(event: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The event with the body of its SQS message changed, and the checksum that goes with it."""
    (record,) = event["Records"]
    record["body"] = json.dumps(change(json.loads(record["body"])))
    record["md5OfBody"] = hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
    return event
