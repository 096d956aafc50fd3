"""`usher agent` as a process, in front of the twin's Firehose: killed, ended, started twice, and told what is wrong."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin.context import Context
from twin.firehose import backend

HEADER = "userId,movieId,rating,timestamp\n"
OUTPUTS = {"LandingBucket": "landing", "LakeBucket": "lake", "Database": "d", "StateTable": "s", "Workgroup": "w"}


def rows(first: int, end: int) -> str:
    return "".join(f"{user},{user % 7},4.5,{1_500_000_000 + user}\n" for user in range(first, end))


class Stack:
    """A stack with one stream, and agents in processes of their own."""

    def __init__(self, client: Callable[[str], Any], folder: Path) -> None:
        self.firehose, self.s3, self.folder = client("firehose"), client("s3"), folder
        self.path = folder / "ratings.csv"
        self.checkpoint = folder / "checkpoint.json"
        self.started: list[subprocess.Popen[str]] = []
        region = {"LocationConstraint": "eu-west-1"}
        self.s3.create_bucket(Bucket="landing", CreateBucketConfiguration=region)
        template = {
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
        }
        client("cloudformation").create_stack(StackName="usher", TemplateBody=json.dumps(template))
        self.firehose.create_delivery_stream(
            DeliveryStreamName="usher-ratings",
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::123456789012:role/r",
                "BucketARN": "arn:aws:s3:::landing",
                "Prefix": "in/",
                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 6},
                "CompressionFormat": "GZIP",
            },
        )

    def fault(self, tag: str, value: str) -> None:
        """Have the stream fail."""
        self.firehose.tag_delivery_stream(DeliveryStreamName="usher-ratings", Tags=[{"Key": tag, "Value": value}])

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """`usher agent …` in the background."""
        environment = os.environ | {"NO_COLOR": "1", "XDG_STATE_HOME": str(self.folder / "home")}
        root = Path(__file__).parents[2]
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "agent", *map(str, arguments)],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def agent(self, *arguments: object, code: int = 0) -> tuple[str, str]:
        """`usher agent …` to its end: what it printed, and its last line on stderr."""
        return self.ended(self.start(*arguments), code)

    @staticmethod
    def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == code, output + errors
        assert "Traceback" not in errors
        return output, errors.splitlines()[-1]

    def ratings(self, *arguments: object) -> list[object]:
        return [self.path, "--dataset", "ratings", "--checkpoint", self.checkpoint, *arguments]

    def offset(self) -> int:
        """How far the checkpoint has got."""
        try:
            files = json.loads(self.checkpoint.read_text())["files"]
        except FileNotFoundError:
            return 0
        return max((file["offset"] for file in files), default=0)

    def delivered(self) -> Counter[int]:
        """How often each user's row is in the bucket."""
        listing = self.s3.list_objects_v2(Bucket="landing", Prefix="in/").get("Contents", [])
        bodies = [self.s3.get_object(Bucket="landing", Key=item["Key"])["Body"].read() for item in listing]
        lines = [line for body in bodies for line in gzip.decompress(body).splitlines()]
        return Counter(int(json.loads(line)["user_id"]) for line in lines)


@pytest.fixture
def stack(server: Context, client: Callable[[str], Any], tmp_path: Path) -> Iterator[Stack]:
    made = Stack(client, tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(probe: Callable[[], Any], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s"
        time.sleep(0.02)


@pytest.mark.slow
def test_an_agent_that_is_killed_again_and_again_loses_nothing(stack: Stack) -> None:
    stack.path.write_text(HEADER + rows(0, 20_000))
    stack.fault(backend.FAIL_RECORDS, "0.5")
    kills = 3
    for _ in range(kills):
        before = stack.offset()
        process = stack.start(*stack.ratings("--follow", "--record-bytes", 0))
        until(lambda before=before: stack.offset() > before)  # type: ignore[misc]
        process.kill()
        process.wait()
    stack.fault(backend.FAIL_RECORDS, "0")
    stack.agent(*stack.ratings("--record-bytes", 0))
    until(lambda: len(stack.delivered()) == 20_000)
    assert sum(stack.delivered().values()) <= 20_000 + kills * 4 * 500


def test_sigterm_ends_a_following_agent_in_order(stack: Stack) -> None:
    stack.path.write_text(HEADER + rows(0, 100))
    process = stack.start(*stack.ratings("--follow"))
    until(lambda: stack.offset() == stack.path.stat().st_size)
    with stack.path.open("a") as file:
        file.write(rows(100, 150) + "7,8,")
    until(lambda: stack.offset() == stack.path.stat().st_size - 4)
    process.send_signal(signal.SIGTERM)
    output, _ = stack.ended(process)
    assert output.startswith("150 rows (")
    assert "4 bytes are not sent yet: the same command continues there" in output


def test_ctrl_c_ends_an_agent_at_once_when_the_stream_takes_nothing(stack: Stack) -> None:
    stack.path.write_text(HEADER + rows(0, 100))
    stack.fault(backend.FAIL_CALLS, "1000000")
    process = stack.start(*stack.ratings())
    until(lambda: stack.checkpoint.with_name("checkpoint.json.lock").exists())
    time.sleep(0.5)  # most likely it has tried to send by now; the outcome is the same when it has not
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, last = stack.ended(process, 130)
    assert output.startswith("0 rows (")
    assert last == "usher: interrupted"
    stack.fault(backend.FAIL_CALLS, "0")
    assert stack.agent(*stack.ratings())[0].startswith("100 rows (")


def test_a_second_agent_on_a_checkpoint_is_refused(stack: Stack) -> None:
    stack.path.write_text(HEADER + rows(0, 10))
    first = stack.start(*stack.ratings("--follow"))
    until(lambda: stack.offset() > 0)
    _, last = stack.agent(*stack.ratings(), code=1)
    assert last == f"usher: {stack.checkpoint}: another agent (pid {first.pid}) uses it: stop that one first"


def test_without_a_name_the_checkpoint_belongs_to_files_and_stream(stack: Stack) -> None:
    stack.path.write_text(HEADER + rows(0, 10))
    first = json.loads(stack.agent(stack.path, "--dataset", "ratings", "--json")[0])
    assert (first["rows"], first["stream"]) == (10, "usher-ratings")
    assert Path(first["checkpoint"]).parent == stack.folder / "home/usher"
    assert json.loads(stack.agent(stack.path, "--dataset", "ratings", "--json")[0])["rows"] == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--dataset", "nothing"], "unknown data set nothing: use one of ratings, items"),
        (["--dataset", "tags"], "stream usher-tags not found on http"),
        (
            ["--dataset", "ratings", "--from-start", "--from-end"],
            "--from-start and --from-end exclude each other: give one of them",
        ),
        (["--dataset", "ratings"], "ratings.csv: file not found"),
    ],
)
def test_what_cannot_work_is_one_line(stack: Stack, arguments: list[str], line: str) -> None:
    _, last = stack.agent(stack.path, *arguments, code=1)
    assert last.startswith("usher: ")
    assert line in last
