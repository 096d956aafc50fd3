"""The real workflow in the twin's interpreter, with the real handlers and the twin's SageMaker running small programs.

The handlers run in this process (the twin's Lambda runtime has tests of its own); everything else goes over HTTP.
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import re
import sys
import tarfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from botocore.awsrequest import AWSResponse

from tests import roles
from twin import children, context, moto_patches
from twin.context import Context
from twin.iam.record import RECORD
from twin.sagemaker import image_pull
from usher.runs import cost
from usher.runs.cost import TrainingRows

PROJECT = Path(__file__).parents[2]
FUNCTIONS = ("prepare_run", "prepare_next", "evaluate_gate", "deploy_experiment")
REGION = "eu-west-1"
RULE = "usher-shift-traffic"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
REPOSITORY = "usher/usher-recommender"
REPOSITORY_URI = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{REPOSITORY}"
SNAPSHOTS = {"ratings": 2**62 + 1, "items": 7}
ROWS = 5000
#: What PrepareRun answers, for tests that begin later.
RUN: dict[str, Any] = {
    "run_id": "raaaaaaaaaa-1",
    "prefix": "s3://lake/runs/raaaaaaaaaa-1",
    "machines": {"processing": "ml.m5.xlarge", "training": "ml.m5.xlarge", "hosting": "ml.c5.large"},
    "trials": 1,
    "parallel_algorithms": 3,
    "parallel_trials": 1,
    "champion_bundle": "",
    "serving": "endpoint",
    "router_version": 0,
    "variants": {"A": "", "B": ""},
    "weights": {"A": 1.0, "B": 0.0},
    "model_name": "usher-raaaaaaaaaa-1",
    "image": f"{REPOSITORY_URI}:latest",
    "algorithms": cost.jobs(TrainingRows(ROWS), None)[:1],
}
TRAINED = [{"name": "fm", "tuned": True, "hyperparameters": {"num_factors": "16"}, "model_uri": "s3://lake/m.tar.gz"}]
SPEED = 300.0


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - a second of imports, only where a server is used

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    moto_patches.apply()
    threaded = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    threaded.start()
    port = threaded.get_host_and_port()[1]
    entered = Context(f"http://127.0.0.1:{port}", REGION, tmp_path_factory.mktemp("twin"), speed=SPEED)
    saved = dict(os.environ)
    os.environ.update(entered.environment(), MOTO_PORT=str(port))
    context.enter(entered)
    try:
        yield entered
    finally:
        RECORD.save()
        children.close()
        threaded.stop()
        os.environ.clear()
        os.environ.update(saved)


class Functions:
    """The real handlers, by name, invoked in this process; a call can be made to fail as Lambda itself fails."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.trouble: dict[str, list[Any]] = {}
        self.handlers = {name: _load(name) for name in FUNCTIONS}

    def invoke(self, name: str, payload: bytes) -> tuple[int, dict[str, str], bytes]:
        """Lambda's answer: status, headers, body."""
        event = json.loads(payload or b"{}")
        self.calls.append((name, event))
        if self.trouble.get(name):
            trouble = self.trouble[name].pop(0)
            if isinstance(trouble, str):
                body = json.dumps({"Type": "User", "Message": "as asked"}).encode()
                status = 429 if trouble == "TooManyRequestsException" else 500
                return status, {"status": str(status), "x-amzn-errortype": trouble}, body
            return _crashed(trouble)
        try:
            return 200, {}, json.dumps(self.handlers[name](event, None)).encode()
        except Exception as error:  # noqa: BLE001 - as the runtime does
            traceback.print_exc()
            return _crashed(error)


def _crashed(error: Exception) -> tuple[int, dict[str, str], bytes]:
    told = {"errorMessage": str(error), "errorType": type(error).__name__}
    return 200, {"x-amz-function-error": "Unhandled"}, json.dumps(told).encode()


def _load(name: str) -> Callable[[Any, Any], Any]:
    spec = importlib.util.spec_from_file_location(f"{name}_app", PROJECT / "functions" / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Callable[[Any, Any], Any] = module.handler
    return handler


def definition(**changes: str) -> str:
    """The real workflow with what the template fills in."""
    values = {
        **{
            f"{_pascal(name)}FunctionArn": f"arn:aws:lambda:{REGION}:123456789012:function:{name}" for name in FUNCTIONS
        },
        "SageMakerRoleArn": ROLE,
        "ModelPackageGroup": "usher",
        "EndpointName": "usher",
        "StateTable": "state",
        "Region": REGION,
        **changes,
    }
    text = (PROJECT / "statemachines/train_and_deploy.asl.json").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(values)
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


def workflow_role() -> str:
    """The workflow's role as the template has it, for the resources of these tests."""
    functions = {f":{name.replace('_', '')}": f":function:{name}" for name in FUNCTIONS}
    names = {**functions, ":statetable": ":table/state", "::lakebucket": "::lake", ":sagemakerrole": ":role/sagemaker"}
    return roles.template_role("TrainWorkflowRole", names)


def _pascal(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


class Run:
    """One deployment: the lake's catalog, the state table, the workflow; and what came of an execution."""

    def __init__(self, folder: Path, functions: Functions) -> None:
        self.client = context.client
        self.folder = folder
        self.functions = functions
        self.cleanups: list[Callable[[], None]] = []
        self.script()
        roles.administrator("sagemaker")
        self.table: Any = _state_table()
        self.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": REGION})
        self._catalog()
        self.client("sagemaker").create_model_package_group(ModelPackageGroupName="usher")
        self.client("ecr").create_repository(repositoryName=REPOSITORY)
        self.image = self.push()
        self.client("events").put_rule(Name=RULE, ScheduleExpression="rate(1 minute)", State="DISABLED")
        self.queue = self.client("sqs").create_queue(QueueName="quiet")["QueueUrl"]
        self.machine = self.client("stepfunctions").create_state_machine(
            name="usher-train-and-deploy", definition=definition(), roleArn=workflow_role()
        )["stateMachineArn"]

    def _catalog(self) -> None:
        summary = {"total-records": str(ROWS), "total-position-deletes": "0"}
        metadata = {"snapshots": [{"snapshot-id": SNAPSHOTS["ratings"], "summary": summary}]}
        self.put("lake/ratings/metadata/1.json", json.dumps(metadata))
        self.client("glue").create_database(DatabaseInput={"Name": "usher"})
        location = {"metadata_location": "s3://lake/lake/ratings/metadata/1.json"}
        self.client("glue").create_table(DatabaseName="usher", TableInput={"Name": "ratings", "Parameters": location})

    def push(self, content: str = "") -> str:
        """Push an image as `latest`; its URI with the digest."""
        return f"{REPOSITORY_URI}@{image_pull.push(REPOSITORY, content=content)}"

    def put(self, key: str, body: str) -> None:
        self.client("s3").put_object(Bucket="lake", Key=key, Body=body.encode())

    def script(self, **kinds: Any) -> None:
        """What the jobs do: `fm={"fail": "no row", "times": 1}`."""
        (self.folder / "script.json").write_text(json.dumps(kinds))

    def head(self, rows: int = 1000, arrived: int = 0) -> None:
        """New rows wait in the lake since `arrived` (epoch seconds)."""
        item = {"snapshots": SNAPSHOTS, "rows_since_run": rows, "last_arrival": arrived, "counted": {}}
        self.table.put_item(Item={"pk": "RUN", "sk": "PROGRESS", **item})

    def ask(self) -> Any:
        """A plain question to prepare_next: {due, reason}."""
        return json.loads(self.functions.invoke("prepare_next", b"{}")[2])

    def begin(self, run_id: str) -> str:
        """Start the workflow by hand; the execution's ARN."""
        given = {"snapshots": {name: str(value) for name, value in SNAPSHOTS.items()}, "rows": 0}
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=run_id, input=json.dumps(given)
        )
        return str(answer["executionArn"])

    def go(self, run_id: str = "raaaaaaaaaa-1") -> dict[str, Any]:
        """One whole execution."""
        return self.finished(self.begin(run_id))

    def go_from(self, state: str, **given: Any) -> dict[str, Any]:
        """The real workflow from `state` on, with the variables that earlier states would have set."""
        run = {**RUN, **given.pop("run", {})}
        values = {"run": run, "checks": 0, "trained": TRAINED, "packageArn": "p", "modelName": "usher-m"}
        values |= {"configName": "usher-c", **given.pop("assign", {})}
        self._left_behind()
        changed = json.loads(definition())
        changed["StartAt"] = "Given"
        changed["States"]["Given"] = {"Type": "Pass", "Assign": values, "Output": given.pop("input", {}), "Next": state}
        states = self.client("stepfunctions")
        name = f"m{uuid.uuid4().hex}"
        machine = states.create_state_machine(name=name, definition=json.dumps(changed), roleArn=workflow_role())
        arn = states.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=RUN["run_id"], input=json.dumps({"run_id": RUN["run_id"]})
        )["executionArn"]
        return self.finished(arn)

    def _left_behind(self) -> None:
        """What the jobs of earlier states would have written."""
        prefix = f"runs/{RUN['run_id']}"
        self.put(f"{prefix}/plan.json", json.dumps({"run_id": RUN["run_id"]}))
        for channel in ("train", "validation", "items"):
            self.put(f"{prefix}/prepared/{channel}/part-0.parquet", "rows")
        for key in ("m.tar.gz", f"{prefix}/model.tar.gz"):
            self.archive(key)

    def archive(self, key: str) -> None:
        """An artefact that can be unpacked."""
        self.client("s3").put_object(Bucket="lake", Key=key, Body=_archive())

    def fault(self, operation: str, code: str, times: int = 10**6, **where: str) -> list[Any]:
        """Have the workflow's next `times` calls of an operation answered with an error; the calls that met it.

        where: the service, if it is not SageMaker, and the logical id of the workflow's role.
        """
        from twin.stepfunctions import clients  # noqa: PLC0415 - the interpreter's own clients

        service = where.get("service", "sagemaker")
        arn = roles.arn(f"usher-{where.get('role', 'TrainWorkflowRole')}-TESTTESTTEST")
        made = clients.client(service_name=service, region_name=REGION, role=arn)
        met: list[Any] = []

        def refuse(params: Any, **_: Any) -> Any:
            if len(met) >= times:
                return None
            met.append(json.loads(params["body"] or b"{}"))
            http = AWSResponse("", 400, {}, None)
            metadata = {"HTTPStatusCode": 400, "RequestId": "r"}
            return http, {"Error": {"Code": code, "Message": f"{code} as asked"}, "ResponseMetadata": metadata}

        event = f"before-call.{service}.{operation}"
        made.meta.events.register(event, refuse)
        self.cleanups.append(lambda: made.meta.events.unregister(event, refuse))
        return met

    def arn(self, run_id: str) -> str:
        return self.machine.replace(":stateMachine:", ":execution:") + f":{run_id}"

    def history(self, arn: str) -> list[Any]:
        paginator = self.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in paginator.paginate(executionArn=arn) for event in page["events"]]

    def finished(self, arn: str, seconds: float = 90.0) -> dict[str, Any]:
        """How an execution ended, with the `states` it entered and the `errors` that its tasks met."""
        end = time.monotonic() + seconds
        while (found := self.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < end, f"still in {self.states(arn)[-3:]} after {seconds} s"
            time.sleep(0.02)
        events = self.history(arn)
        failed = [event["taskFailedEventDetails"] for event in events if "taskFailedEventDetails" in event]
        output = json.loads(found["output"]) if "output" in found else None
        errors = [one["error"] for one in failed]
        return {**found, "states": self.states(arn), "errors": errors, "output": output}

    def states(self, arn: str) -> list[str]:
        entered = [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(arn)
            if "stateEnteredEventDetails" in event
        ]
        return [str(name) for name in entered]

    def item(self, pk: str, sk: str) -> Any:
        from usher.store.codec import loaded  # noqa: PLC0415 - product code, imported where it is compared with

        return loaded(self.table.get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item"))

    given = RUN

    def until(self, probe: Callable[[], Any], seconds: float = 60.0) -> None:
        """Wait until `probe()` is truthy."""
        end = time.monotonic() + seconds
        while not probe():
            assert time.monotonic() < end, f"nothing within {seconds} s"
            time.sleep(0.02)

    def bundle(self, run_id: str) -> None:
        """A bundle's files, as far as deploy_experiment reads them."""
        file = io.BytesIO()
        np.save(file, np.array([0.5], np.float32))
        prefix = f"runs/{run_id}/bundle"
        self.client("s3").put_object(Bucket="lake", Key=f"{prefix}/popularity/all.npy", Body=file.getvalue())
        self.put(f"{prefix}/items.txt", "1\n")
        self.put(f"{prefix}/items.jsonl", '{"title": "Heat", "genres": []}\n')

    def record(self, run_id: str = "raaaaaaaaaa-1") -> Any:
        return self.item(f"RUN#{run_id}", "META")

    @property
    def lock(self) -> Any:
        return self.item("RUN", "LOCK")

    @property
    def router(self) -> Any:
        return self.item("ROUTER", "ROUTER")

    def ran(self, kind: str) -> list[dict[str, str]]:
        """The hyperparameters of every job of that kind, in no order."""
        return [json.loads(path.read_text()) for path in self.folder.glob(f"{kind}@*.ran")]


def _archive() -> bytes:
    """A tar.gz that holds an empty manifest."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("manifest.json"))
    return written.getvalue()


def _state_table() -> Any:
    import boto3  # noqa: PLC0415 - a resource, which the twin's context does not keep

    dynamodb = boto3.resource("dynamodb", endpoint_url=context.current().endpoint)
    return dynamodb.create_table(
        TableName="state",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "GSI1pk", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "GSI1",
                "KeySchema": [
                    {"AttributeName": "GSI1pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["variant", "version", "enrolled_at", "converted_at", "reward"],
                },
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture
def run(_server: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A fresh deployment."""
    from moto.awslambda.responses import LambdaResponse  # noqa: PLC0415 - moto is heavy
    from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415

    from twin.sagemaker.account import SageMaker  # noqa: PLC0415
    from twin.sagemaker.container import IMAGES, Image  # noqa: PLC0415
    from usher import clients  # noqa: PLC0415

    moto_api_backend.reset()
    clients.client.cache_clear()
    clients.dynamodb.cache_clear()
    functions = Functions()

    def invoke(self: Any) -> tuple[int, dict[str, str], bytes]:
        name = unquote(self.path.rstrip("/").rsplit("/", 2)[-2]).rsplit(":", 1)[-1]
        body = self.body.encode() if isinstance(self.body, str) else self.body
        return functions.invoke(name, body)

    monkeypatch.setattr(LambdaResponse, "invoke", invoke)
    program = Image(
        entry=(sys.executable, "-u", "-P", "-S", str(Path(__file__).with_name("program.py"))),
        module="usher_models",
        environment={"WORKFLOW_SCRIPT": str(tmp_path / "script.json")},
        writable=(tmp_path,),
    )
    monkeypatch.setitem(IMAGES, "usher-recommender", program)
    settings = {
        "LAKE_BUCKET": "lake",
        "DATABASE": "usher",
        "STATE_TABLE": "state",
        "ENDPOINT_NAME": "usher",
        "QUIET_QUEUE_URL": f"{_server.endpoint}/123456789012/quiet",
        "TRAIN_WORKFLOW_ARN": f"arn:aws:states:{REGION}:123456789012:stateMachine:usher-train-and-deploy",
        "TUNING_TRIALS": "1",
        "QUIET_SECONDS": "1",
        "SHIFT_RULE_NAME": RULE,
        "RECOMMENDER_IMAGE": f"{REPOSITORY_URI}:latest",
        "RECOMMENDER_REPOSITORY": REPOSITORY_URI,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"USHER_{name}", value)
    made = Run(tmp_path, functions)
    yield made
    for cleanup in made.cleanups:
        cleanup()
    for execution in _running():
        context.client("stepfunctions").stop_execution(executionArn=execution)
    SageMaker(_server).stop()
    moto_api_backend.reset()
    assert not RECORD.take_denials(), "a role of the template lacks a permission"


def _running() -> list[str]:
    states = context.client("stepfunctions")
    machines = [machine["stateMachineArn"] for machine in states.list_state_machines()["stateMachines"]]
    return [
        str(execution["executionArn"])
        for machine in machines
        for execution in states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
    ]
