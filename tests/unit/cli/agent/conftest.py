"""A Firehose that tests can break (an HTTP server with PutRecordBatch's form and limits), and the agent before it."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli.agent.agent import Progress
from cli.agent.bootstrap import Settings, work
from cli.agent.checkpoint import Stream
from cli.target import Target

RATINGS = "userId,movieId,rating,timestamp\n"


@dataclass
class Firehose:
    """What the stream took, and what it answers.

    faults: called with (number of the call, records) before records are taken: None, or (HTTP status, body). A body
            with RequestResponses takes the records that it gives no ErrorCode. Text: the connection ends unanswered.
    """

    port: int = 0
    calls: list[list[bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    faults: Callable[[int, list[bytes]], tuple[int, Any] | str | None] = lambda _number, _records: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def rows(self) -> list[Any]:
        """Every row that was taken."""
        return [json.loads(row) for record in self.taken for row in record.splitlines()]

    def put(self, records: list[bytes]) -> tuple[int, Any] | str:
        """One call."""
        with self.lock:
            self.calls.append(records)
            fault = self.faults(len(self.calls), records)
            answer = fault or (200, {"FailedPutCount": 0, "RequestResponses": [{"RecordId": "r"} for _ in records]})
            if isinstance(answer, tuple) and "RequestResponses" in answer[1]:
                given = zip(records, answer[1]["RequestResponses"], strict=False)
                self.taken += [record for record, response in given if "ErrorCode" not in response]
            return answer


def _handler(firehose: Firehose) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            records = [base64.b64decode(record["Data"]) for record in sent["Records"]]
            wrong = len(records) > 500 or sum(map(len, records)) > 4 << 20 or max(map(len, records)) > 1000 << 10
            over = (400, {"__type": "InvalidArgumentException", "message": "over the limit"})
            answer = over if wrong or not records else firehose.put(records)
            if isinstance(answer, str):
                self.close_connection = True
                return
            body = answer[1].encode() if isinstance(answer[1], str) else json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def firehose() -> Iterator[Firehose]:
    """A stream that takes everything until a test sets `faults`."""
    made = Firehose()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


@dataclass
class Running:
    """An agent that follows, in a thread. told: what it said. failure: what it ended with."""

    ends: threading.Event
    hurried: threading.Event
    told: list[str]
    thread: threading.Thread
    failure: list[BaseException]
    results: list[Progress]

    def end(self) -> Progress:
        """Tell it to end in order, and wait; raises what it failed with."""
        self.ends.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.failure:
            raise self.failure[0]
        return self.results[0]


@dataclass
class Agents:
    """Runs agents: `agents(paths)` to the end of the files, `agents.follow(paths)` in the background."""

    target: Target
    folder: Path
    running: list[Running] = field(default_factory=list)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.json"

    def order(self, *paths: Path | str, **options: Any) -> Settings:
        options = {
            "dataset": "ratings",
            "checkpoint": self.checkpoint,
            "stream": Stream("usher-ratings", "1"),
        } | options
        return Settings(paths=[str(path) for path in paths], **options)

    def __call__(self, *paths: Path | str, tell: Callable[[str], None] = lambda _: None, **options: Any) -> Progress:
        return work(self.target, self.order(*paths, **options), threading.Event(), tell=tell)

    def follow(self, *paths: Path | str, **options: Any) -> Running:
        ends, hurried, told, failure = threading.Event(), threading.Event(), [], []
        results: list[Progress] = []
        looking = threading.Event()  # the files that were there at the start are open

        def run() -> None:
            try:
                order = self.order(*paths, follow=True, **options)
                results.append(work(self.target, order, ends, hurried=hurried, show=show, tell=told.append))
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                failure.append(error)
                looking.set()

        def show(_progress: Progress) -> None:
            looking.set()

        thread = threading.Thread(target=run)
        thread.start()
        started = Running(ends, hurried, told, thread, failure, results)
        self.running.append(started)
        assert looking.wait(60)
        return started


@pytest.fixture
def agents(firehose: Firehose, tmp_path: Path) -> Iterator[Agents]:
    """The agent in front of `firehose`; what still runs at the end of the test is ended."""
    session = boto3.Session("test", "test", None, "eu-west-1")
    folder = tmp_path / "state"
    folder.mkdir()
    made = Agents(Target(session, "usher", "the test", endpoint=f"http://127.0.0.1:{firehose.port}"), folder)
    yield made
    for running in made.running:
        running.hurried.set()
        running.ends.set()
        running.thread.join(60)


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """`until(lambda: …)`: waits for it to become true; fails after a minute."""

    def wait(probe: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 60
        while not probe():
            assert time.monotonic() < deadline, "not within a minute"
            time.sleep(0.02)

    return wait


@pytest.fixture
def ratings() -> Callable[..., str]:
    """`ratings(3, 5)`: the CSV rows of users 3 and 4, without a header."""

    def rows(first: int, end: int) -> str:
        return "".join(f"{user},{user % 7},4.5,{1_500_000_000 + user}\n" for user in range(first, end))

    return rows
