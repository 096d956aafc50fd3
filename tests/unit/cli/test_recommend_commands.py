"""recommend, similar, popular, runs, run and report as operators call them: what they send, print and refuse."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from boto3.dynamodb.types import TypeSerializer

from cli import runs
from cli.athena import literal
from cli.commands.recommend import read_rating
from cli.commands.runs import as_record, verdict, what_next
from cli.target import Target
from tests.unit.cli.conftest import Run, create_workflow, failure

EVIL = "Heat\x1b[31m [bold]"
ITEMS = [
    {"rank": 1, "item_id": "6", "title": EVIL, "genres": ["Crime", "Drama"], "score": 1.5, "reason": {"text": "you"}},
    {"rank": 2, "item_id": "7", "title": "Ran", "genres": [], "score": 0.25, "reason": {"text": "it is popular"}},
]
ANSWER = {"user_id": "42", "level": "fold_in", "model_id": "r1-1-ab", "variant": "B", "items": ITEMS}


class Api(ThreadingHTTPServer):
    """Answers everything with `status` and `body`, and remembers what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 200, json.dumps(ANSWER).encode()
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.got.append((self.command, self.path, dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def target(stack: Target, api: Api) -> Target:
    """The stack with lake bucket, training workflow and the API's address."""
    outputs = {
        **{"LandingBucket": "landing", "LakeBucket": "lake", "Database": "usher", "Workgroup": "primary"},
        **{"StateTable": "state", "TrainWorkflowArn": create_workflow(stack, "usher-train-and-deploy")},
        "ApiUrl": f"http://127.0.0.1:{api.server_port}",
    }
    template = {
        "Resources": {"Lake": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "lake"}}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    stack.client("cloudformation").create_stack(StackName="usher", TemplateBody=json.dumps(template))
    return stack


# Recommendations


def test_nobody_to_recommend_to_is_refused(run: Run, api: Api) -> None:
    assert failure(run("recommend")) == "give a USER, or a session with --session ITEM:RATING"
    assert (
        failure(run("recommend", "--session", "6:good")) == "--session 6:good: write ITEM:RATING, for example 318:4.5"
    )
    assert api.got == []


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (403, b'{"message": "Forbidden"}', "the API rejected the signature (403)"),
        (400, b'{"detail": "limit is 0: it must be from 1 to 100"}', "the API answered 400: limit is 0"),
        (503, b'{"detail": "no model has been deployed yet"}', "the API answered 503: no model has been deployed yet"),
        (500, b'{"message": "Internal Server Error"}', "the API answered 500: Internal Server Error"),
        (502, b"<html>", "the API answered 502: it gave no reason"),
        (200, b"no json", "the API answered 200: it gave no reason"),
        (400, b'{"detail": "\\u001b[31m"}', r"the API answered 400: \x1b[31m"),
    ],
)
def test_what_the_api_says_is_one_line(run: Run, api: Api, status: int, body: bytes, line: str) -> None:
    api.status, api.body = status, body
    assert failure(run("recommend", "42", "--no-liked")).startswith(line)


def test_an_api_that_is_not_there_is_one_line(run: Run, target: Target, api: Api) -> None:
    api.shutdown()
    api.server_close()
    assert "Could not connect to the endpoint URL" in failure(run("popular"))


def test_a_stack_without_an_api_is_told_so(run: Run, target: Target) -> None:
    object.__setattr__(target.resources, "api_url", "")
    object.__setattr__(target.resources, "train_workflow_arn", "")
    assert "has no output ApiUrl" in failure(run("popular"))
    assert "has no output TrainWorkflowArn" in failure(run("runs"))


def test_a_request_is_signed_and_says_what_was_asked(run: Run, api: Api) -> None:
    result = run("recommend", "4&2", "--genre", "Sci-Fi", "--limit", 3, "--exclude", "a,b", "--explain", "--no-liked")
    assert result.exception is None, result.output
    method, path, headers, _ = api.got[0]
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=a/")
    assert "/eu-west-1/execute-api/aws4_request" in headers["Authorization"]
    assert (method, urlsplit(path).path) == ("GET", "/recommendations")
    asked = parse_qs(urlsplit(path).query)
    assert asked == {"user_id": ["4&2"], "limit": ["3"], "genre": ["Sci-Fi"], "exclude": ["a,b"], "explain": ["true"]}


def test_titles_genres_scores_level_and_variant_are_shown_and_escaped(run: Run) -> None:
    output = run("recommend", "42", "--explain", "--no-liked").output
    for text in (r"Heat\x1b[31m [bold]", "Crime, Drama", "1.500", "you", "fold_in", "variant B", "model r1-1-ab"):
        assert text in output
    assert "\x1b[31m" not in output


def test_a_lake_that_cannot_be_asked_costs_only_what_was_liked(run: Run) -> None:
    """moto's Athena runs no query: the recommendations are shown all the same."""
    result = run("recommend", "42", "--json")
    assert json.loads(result.stdout) == ANSWER


def test_a_session_goes_in_the_body(run: Run, api: Api) -> None:
    assert run("recommend", "--session", "a:b:4.5", "--session", "7", "--no-liked").exception is None
    method, path, _, body = api.got[0]
    assert (method, path) == ("POST", "/recommendations")
    assert json.loads(body)["session"] == [{"item_id": "a:b", "rating": 4.5}, {"item_id": "7"}]
    assert "user_id" not in json.loads(body)


def test_ratings_and_literals_are_read_as_they_are_written() -> None:
    assert read_rating("a:b:") == ("a:b", None)
    assert read_rating("6:0.5") == ("6", 0.5)
    assert literal("O'Hara") == "'O''Hara'"


def test_similar_and_popular_print_their_tables(run: Run, api: Api) -> None:
    assert "Ran" in run("similar", "6").output
    assert "Popular: Drama" in run("popular", "--genre", "Drama").output
    assert [urlsplit(path).path for _, path, _, _ in api.got] == ["/similar", "/popular"]


# Runs


def test_before_the_first_run_every_command_says_so(run: Run) -> None:
    assert "No run has started yet" in run("runs").output
    assert failure(run("run")).startswith("no run has started yet")
    assert failure(run("run", "r1")).startswith("run r1 not found")
    assert failure(run("runs", "stop")).startswith("unknown action stop: use")
    assert failure(run("runs", "start")).startswith("the lake has no ratings or events yet")


def test_a_run_started_by_hand_takes_the_newest_data(run: Run, target: Target) -> None:
    head = {"snapshots": {"M": {"ratings": {"N": "5"}}}, "counted": {"M": {}}, "rows_since_run": {"N": "7"}}
    item = {"pk": {"S": "RUN"}, "sk": {"S": "PROGRESS"}, "last_arrival": {"N": "1"}, **head}
    target.client("dynamodb").put_item(TableName="state", Item=item)
    run_id = json.loads(run("runs", "start", "--json").stdout)["run_id"]
    found = runs.find(target, run_id[:4])
    given = target.client("stepfunctions").describe_execution(executionArn=found.arn)["input"]
    assert json.loads(given) == {"run_id": run_id, "snapshots": {"ratings": "5"}, "rows": 7}
    key = {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "META"}}
    record = {"status": {"S": "failed"}, "cause": {"S": f"Tune: {EVIL}"}, "cost_usd": {"N": "0.5"}}
    target.client("dynamodb").put_item(TableName="state", Item=key | record)
    target.client("stepfunctions").stop_execution(executionArn=found.arn)
    listed = run("runs").output
    for text in (run_id, "failed", "0.50", r"Tune: Heat\x1b[31m [bold]"):
        assert text in listed
    shown = run("run", run_id)
    assert "start a new run with usher runs start" in shown.output
    assert "cause   Tune:" in shown.output
    assert json.loads(run("run", "last", "--json").stdout)["cost_usd"] == 0.5


def test_no_run_is_started_beside_another_or_beside_an_experiment(run: Run, target: Target) -> None:
    lock = {"run_id": {"S": "r1-1"}, "execution_arn": {"S": "arn"}, "expires_at": {"N": str(int(time.time()) + 900)}}
    key = {"pk": {"S": "RUN"}, "sk": {"S": "LOCK"}}
    table = target.client("dynamodb")
    table.put_item(TableName="state", Item=key | lock)
    assert failure(run("runs", "start")).startswith("run r1-1 is in progress: `usher run r1-1`")
    table.delete_item(TableName="state", Key=key)
    weights = {"A": Decimal("0.9"), "B": Decimal("0.1")}
    router = {"version": 2, "opened_at": 1, "state": "testing", "experiment_id": "xr1-1", "champion": "A"}
    variants = {"weights": weights, "models": {"A": "r0-1", "B": "r1-1"}}
    item = {name: TypeSerializer().serialize(value) for name, value in (router | variants).items()}
    table.put_item(TableName="state", Item={"pk": {"S": "ROUTER"}, "sk": {"S": "ROUTER"}} | item)
    assert failure(run("runs", "start")).startswith("experiment xr1-1 is open: no run starts before it ends")


def test_a_run_says_how_it_stands_and_what_to_do() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def made(state: str, **record: Any) -> runs.Run:
        return runs.Run("r1-1", state, at, at + timedelta(seconds=90), "arn", record)

    refused = made("SUCCEEDED", status="refused", gate={"verdict": "worse", "reason": "it is worse", "passed": False})
    assert (refused.overall_status, verdict(refused), refused.seconds(at)) == ("refused", "worse: it is worse", 90)
    assert "The current model keeps serving" in what_next(refused)
    assert made("RUNNING", status="failed").overall_status == "running"
    assert made("TIMED_OUT", status="running").overall_status == "timed_out"
    assert "usher report r1-1" in what_next(made("SUCCEEDED", status="succeeded"))
    assert as_record(made("ABORTED"))["status"] == "aborted"


# The report


def test_a_report_needs_an_evaluation_and_replaces_a_file_only_with_force(
    run: Run, target: Target, tmp_path: Path
) -> None:
    machine = target.resources.train_workflow_arn
    target.client("stepfunctions").start_execution(stateMachineArn=machine, name="r1-1", input="{}")
    assert failure(run("report", "r1-1")) == "run r1-1 was not evaluated: `usher run r1-1` shows its states"
    there = tmp_path / "page.html"
    there.write_text("mine")
    assert failure(run("report", "r1-1", "--save", there)).endswith("exists already: replace it with --force")
    evaluation = {
        **{"run_id": "r1-1", "model_id": "r1-1", "champion_model_id": None, "trained_until": "2026", "leaks": []},
        "window": dict.fromkeys(("users", "new_users", "later_rows", "liked_rows", "rated_rows"), 1),
        **{"prepared": {}, "intervals": {}, "metrics": {}, "slices": {}, "examples": []},
    }
    for body, reason in ((b"{", "is not JSON"), (b"{}", "does not fit this version"), (b"[]", "does not fit")):
        target.client("s3").put_object(Bucket="lake", Key="runs/r1-1/evaluation.json", Body=body)
        assert reason in failure(run("report", "r1-1"))
    body = json.dumps(evaluation).encode()
    target.client("s3").put_object(Bucket="lake", Key="runs/r1-1/evaluation.json", Body=body)
    assert str(there) in run("report", "r1-1", "--save", there, "--force").output.replace("\n", "")
    assert "Nothing was tuned" in there.read_text()
