"""The built template on MiniStack, an emulator that shares no code with the twin: a second opinion on what AWS does.

MiniStack has a CloudFormation, Lambda, SQS, EventBridge, S3, Glue, DynamoDB, Firehose, Step Functions and API Gateway
of its own. It has no SageMaker and no Athena, so no model is trained here: a bundle is built and deployed by hand, as
tests/e2e/test_feedback.py does it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from cli import api_client, movielens
from cli.target import Choice, Target, find
from demo.generator.files import generate
from demo.generator.world import Size
from usher.experiments.opening import Terms, open_experiment
from usher.store.popular import write_lists
from usher.store.router import Router, read_router, write_router

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build/ministack/bin/python"
AWS = ROOT / "build/awscli/bin/aws"
STACK = "usher-witness"
#: Far more than anything here takes: nothing is about speed.
SECONDS = 600.0
MODEL = "rwitness000-1"
RATINGS, ITEMS = 3000, 9742
PARAMETERS = {
    "ServingBackend": "function",
    "StreamBufferSeconds": "1",
    "CatalogWindowSeconds": "2",
    "QuietSeconds": "86400",
    "RouterCacheSeconds": "0.1",
    "EpochSeconds": "86400",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.exists(),
        reason="MiniStack runs functions on its own interpreter, which has to be Python 3.13 as on AWS: "
        "install python3.13, then `make build/ministack/.ready`",
    ),
]


def eventually(probe: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS:.0f} s"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MiniStack of this module, on 127.0.0.1 alone; ended, with its workers, by the group of processes it leads."""
    folder = tmp_path_factory.mktemp("ministack")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON", "VIRTUAL_ENV"))},
        "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": "eu-west-1",
        "IOT_MTLS_ENABLED": "0",  # it would listen on every address
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, "-m", "ministack"],
            **{"cwd": folder, "env": environment, "stdout": output, "stderr": subprocess.STDOUT},
            start_new_session=True,
        )

    def answers() -> bool:
        assert process.poll() is None, (folder / "output").read_text()[-2000:]
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    try:
        eventually(answers)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # SIGTERM waits for connections, and everything of it is temporary
        process.wait()


@pytest.fixture(scope="module", autouse=True)
def environment(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What every AWS tool needs to find MiniStack, set for this process too."""
    given = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": str(tmp_path_factory.mktemp("aws") / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "USHER_STACK_NAME": STACK,
    }
    resolve = socket.getaddrinfo

    def local(host: Any, *arguments: Any, **options: Any) -> Any:
        """The API has a host name below MiniStack's, which no resolver knows."""
        return resolve("127.0.0.1" if str(host).endswith(".127.0.0.1") else host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in given.items():
            patch.setenv(name, value)
        patch.setattr(socket, "getaddrinfo", local)
        yield given


def unknown_to_ministack(resource: Mapping[str, Any]) -> bool:
    """Model package groups, and alarms on an expression instead of a metric."""
    kind = resource["Type"]
    return kind == "AWS::SageMaker::ModelPackageGroup" or (
        kind == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    )


def adapt(template: dict[str, Any]) -> dict[str, Any]:
    """The template with two changes, for what MiniStack does unlike AWS.

    It leaves parameters strings where a number is needed, so numbers stand in the queues' events. Its events of a
    versioned bucket have no version-id, so the sweep would take an object for another one than its event: no versions.
    """
    del template["Resources"]["LandingBucket"]["Properties"]["VersioningConfiguration"]
    for resource in template["Resources"].values():
        for event in resource["Properties"].get("Events", {}).values():
            given = event["Properties"]
            for place, name in (
                (given, "MaximumBatchingWindowInSeconds"),
                (given.get("ScalingConfig", {}), "MaximumConcurrency"),
            ):
                if isinstance(place.get(name), dict):
                    parameter = place[name]["Ref"]
                    place[name] = int(PARAMETERS.get(parameter, template["Parameters"][parameter]["Default"]))
    return template


@pytest.fixture(scope="module")
def deployed(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The built template, packaged by the AWS command and deployed; the logical ids that were left out."""
    built, packaged = ROOT / ".aws-sam/build/template.yaml", tmp_path_factory.mktemp("packaged") / "template.json"
    assert built.exists() and AWS.exists(), "run `make build build/awscli/bin/aws`"
    boto3.client("s3").create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    options = ["--s3-bucket", "artifacts", "--use-json", "--output-template-file", packaged]
    done = subprocess.run(
        [AWS, "cloudformation", "package", "--template-file", built, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    template = adapt(json.loads(packaged.read_text()))
    left_out = {name for name, resource in template["Resources"].items() if unknown_to_ministack(resource)}
    template["Resources"] = {k: v for k, v in template["Resources"].items() if k not in left_out}
    boto3.client("s3").put_object(Bucket="artifacts", Key="template.json", Body=json.dumps(template))
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{environment['AWS_ENDPOINT_URL']}/artifacts/template.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()],
    )

    def ended() -> Any:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    stack = eventually(ended)
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [
        (event["LogicalResourceId"], event.get("ResourceStatusReason"))
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]
    assert stack["StackStatus"] == "CREATE_COMPLETE", failed
    return left_out


class Application:
    """The deployment as its operators and clients reach it: the command `usher`, the API, the lake, the state table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target: Target = find(Choice(account=True, stack_name=STACK))
        self.outputs = self.target.resources

    def usher(self, *words: object) -> subprocess.CompletedProcess[str]:
        """`usher … --account`."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *map(str, words), "--account"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def send(self, user: str, item: str, kind: str, **fields: Any) -> dict[str, Any]:
        """One event; the API's result."""
        given = {"event_id": uuid.uuid4().hex, "user_id": user, "item_id": item, "type": kind, **fields}
        answer = api_client.exchange(self.target, "POST", "/feedback", json.dumps(given).encode())
        assert answer.status == 202, answer
        return dict(answer.body)

    def recommend(self, user: str) -> dict[str, Any]:
        return api_client.get(self.target, "/recommendations", {"user_id": user, "limit": 5})

    def lake(self, dataset: str, row_filter: str = "TRUE") -> list[dict[str, Any]]:
        """Rows of a table."""
        from usher_lake.tables import load_table, open_catalog  # noqa: PLC0415 - PyIceberg takes a second

        table = load_table(open_catalog(), self.outputs.database, dataset)
        found: list[dict[str, Any]] = table.scan(row_filter=row_filter).to_arrow().to_pylist()
        return found

    def no_message_waits(self) -> bool:
        """Whether the queues of ingest and catalog are empty; their dead-letter queues always have to be."""
        sqs, names = self.target.client("sqs"), ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

        def count(url: str) -> int:
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            return sum(int(found[name]) for name in names)

        assert count(self.outputs.ingest_dead_letter_queue_url) == 0
        assert count(self.outputs.catalog_dead_letter_queue_url) == 0
        return count(self.outputs.ingest_queue_url) + count(self.outputs.catalog_queue_url) == 0


@pytest.fixture(scope="module")
def application(deployed: set[str], tmp_path_factory: pytest.TempPathFactory) -> Application:
    assert deployed
    return Application(tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 ratings and 9,742 items: MovieLens' first ones, or generated ones."""
    folder = tmp_path_factory.mktemp("data")
    real = movielens.real_data()
    if real is None:
        generate(folder, Size(60, ITEMS, RATINGS), 1)
    else:
        (folder / "movies.csv").write_bytes((real / "movies.csv").read_bytes())
        lines = (real / "ratings.csv").read_bytes().splitlines(keepends=True)
        (folder / "ratings.csv").write_bytes(b"".join(lines[: RATINGS + 1]))
    return folder


def test_everything_that_ministack_knows_is_deployed(deployed: set[str], application: Application) -> None:
    listed = application.target.client("cloudformation").get_paginator("list_stack_resources")
    made = {
        resource["LogicalResourceId"]
        for page in listed.paginate(StackName=STACK)
        for resource in page["StackResourceSummaries"]
    }
    assert not deployed & made
    assert {
        "Lake",
        "CatalogTables",
        "IngestObjects",
        "TrainWorkflow",
        "ShiftWorkflow",
        "HttpApi",
        "RatingsStream",
    } <= made
    assert "ModelPackageGroup" in deployed
    assert all(name.endswith("Alarm") for name in deployed - {"ModelPackageGroup"})


def test_the_custom_resource_made_the_tables(application: Application) -> None:
    tables = application.target.client("glue").get_tables(DatabaseName=application.outputs.database)["TableList"]
    assert {"ratings", "items", "tags", "links", "events"} <= {table["Name"] for table in tables}
    assert application.lake("tags") == []


def test_every_uploaded_row_is_committed_exactly_once(application: Application, files: Path) -> None:
    done = application.usher("upload", files / "ratings.csv", files / "movies.csv", "--wait")
    endpoint = application.target.endpoint
    assert f"Using {endpoint} (AWS_ENDPOINT_URL), account " in done.stderr
    assert done.stdout.count(" committed ") == 2
    assert len(application.lake("ratings")) == RATINGS
    items = application.lake("items")
    assert len(items) == len({item["item_id"] for item in items}) == ITEMS
    # S3 announces each object a second time, and a sweep compares bucket and state table.
    s3, bucket = application.target.client("s3"), application.outputs.landing_bucket
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        s3.put_object(Bucket=bucket, Key=item["Key"], Body=body)
    sqs = application.target.client("sqs")
    sqs.send_message(QueueUrl=application.outputs.ingest_queue_url, MessageBody='{"sweep": "landing"}')
    more = application.folder / "ratings.csv"
    more.write_text("userId,movieId,rating,timestamp\nlast,1,3.0,964982703\n")
    application.usher("upload", more, "--wait")
    eventually(application.no_message_waits)
    assert len(application.lake("ratings")) == RATINGS + 1
    assert len(application.lake("items")) == ITEMS


def test_records_of_a_stream_become_rows_and_bad_ones_quarantine(application: Application) -> None:
    good = [{"user_id": "streamed", "item_id": str(n), "rating": 3.5, "rated_at": 964982703} for n in range(40)]
    records = [json.dumps(row).encode() for row in good] + [b"no JSON at all"]
    put = application.target.client("firehose").put_record_batch(
        DeliveryStreamName=f"{application.outputs.stream_prefix}ratings", Records=[{"Data": each} for each in records]
    )
    assert put["FailedPutCount"] == 0
    rows = eventually(lambda: len(found := application.lake("ratings", "user_id = 'streamed'")) >= 40 and found)
    assert sorted(int(row["item_id"]) for row in rows) == list(range(40))
    s3, bucket = application.target.client("s3"), application.outputs.lake_bucket
    (refused,) = eventually(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/ratings/").get("Contents"))
    assert "is not JSON" in s3.get_object(Bucket=bucket, Key=refused["Key"])["Body"].read().decode()


def test_an_unsigned_request_is_refused(application: Application) -> None:
    url = urlsplit(application.outputs.api_url)
    connection = http.client.HTTPConnection("127.0.0.1", url.port)
    connection.request("GET", "/recommendations?user_id=u1", headers={"Host": url.netloc})
    assert connection.getresponse().status == 403


def test_feedback_is_stored_once_and_becomes_rows_of_the_lake(application: Application) -> None:
    event_id = uuid.uuid4().hex
    for _ in range(2):
        sent = application.send("fed", "m1", "rating", value=4.5, event_id=event_id)
        assert (sent["event_id"], sent["counted"]) == (event_id, False)
    clicked = application.send("fed", "m2", "click")
    (rating,) = eventually(lambda: application.lake("ratings", "user_id = 'fed'"))
    assert (rating["item_id"], rating["rating"]) == ("m1", 4.5)
    (event,) = eventually(lambda: application.lake("events", "user_id = 'fed'"))
    assert (event["event_id"], event["type"], event["item_id"]) == (clicked["event_id"], "click", "m2")


def test_the_function_serves_a_model_and_feedback_counts_in_the_next_request(
    application: Application, tmp_path: Path
) -> None:
    table = application.target.state_table()
    popular = [{"item_id": f"p{n}", "title": f"Popular {n}", "genres": ["Drama"]} for n in range(8)]
    write_lists(table, "r0", {"all": popular, "genres": {}})
    answer = eventually(lambda: application.recommend("nobody"))
    assert (answer["level"], [item["item_id"] for item in answer["items"]]) == ("popular", [f"p{n}" for n in range(5)])
    _serve(application, tmp_path / "bundle")
    eventually(lambda: application.recommend("u0")["level"] == "model")
    before = [item["item_id"] for item in application.recommend("u2")["items"]]
    application.send("u2", before[0], "rating", value=4.5)
    after = application.recommend("u2")
    assert after["level"] == "fold_in" and before[0] not in [item["item_id"] for item in after["items"]]


def _serve(application: Application, folder: Path) -> None:
    """What deploying a run's bundle leaves: its files, and the router."""
    spec = spec_from_file_location("witness_world", ROOT / "tests/unit/small_world.py")
    assert spec is not None and spec.loader is not None
    world = module_from_spec(spec)
    spec.loader.exec_module(world)
    prepared = world.prepare_world(world.small_world(), world.make_items(world.ITEMS), 240, MODEL)
    results = [world.fit_result(name, prepared.before, prepared.items) for name in world.SMALL]
    world.build_bundle(prepared, results, folder)
    for path in filter(Path.is_file, folder.rglob("*")):
        key = f"runs/{MODEL}/bundle/{path.relative_to(folder)}"
        application.target.client("s3").upload_file(str(path), application.outputs.lake_bucket, key)
    write_router(application.target.state_table(), Router.first(MODEL, int(time.time())))


def test_an_operator_rolls_an_experiment_back_through_the_shift_workflow(application: Application) -> None:
    table = application.target.state_table()
    table.delete_item(Key={"pk": "ROUTER", "sk": "ROUTER"})
    first = Router.first(MODEL, int(time.time()))
    write_router(table, first)
    terms = Terms("demo", 86400, 3600, 3600.0, 86400, 1.0)
    opened = open_experiment(table, first, "rwitness001-1", terms, int(time.time()))
    assert opened.state == "testing" and opened.weights["B"] > 0
    done = application.usher("rollback", "--why", "users complain", "--yes")
    assert done.stdout.startswith("roll back: ") and "users complain" in done.stdout
    router = read_router(table)
    assert router is not None
    assert (router.state, router.champion, dict(router.weights)) == ("idle", "A", {"A": 1.0, "B": 0.0})
