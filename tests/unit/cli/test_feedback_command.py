"""`usher feedback` as operators call it: what it sends, says and refuses, and how it tries again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.commands.feedback import BATCH_BYTES, LINE_MAX_BYTES, TRIES, send, send_file
from cli.errors import CommandError, explain
from cli.target import Resources, Target

NAMES = {"landing_bucket": "l", "lake_bucket": "k", "database": "d", "state_table": "t", "workgroup": "w"}


class Api(ThreadingHTTPServer):
    """Accepts each event, refuses those of type `bad`; before that it answers with `failures`, one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures: list[tuple[int, dict[str, str], bytes]] = []
        self.got: list[Any] = []

    def said(self, number: int, entry: Any) -> dict[str, Any]:
        good = entry["type"] != "bad"
        reason = "no experiment is open" if good else f"[{number}].type must be one of rating, click"
        return {"event_id": entry["event_id"], "accepted": good, "counted": False, "reason": reason}


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256")
        self.server.got.append(body)
        if self.server.failures:
            self._answer(*self.server.failures.pop(0))
        elif isinstance(body, list):
            results = [self.server.said(number, entry) for number, entry in enumerate(body)]
            self._answer(202, {}, json.dumps({"results": results}).encode())
        else:
            self._answer(202, {}, json.dumps(self.server.said(0, body)).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

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
def target(api: Api) -> Target:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1")
    address = f"http://127.0.0.1:{api.server_address[1]}"
    return Target(session, "usher", "the twin", _resources=Resources(**NAMES, api_url=address))


@pytest.fixture
def pauses() -> list[float]:
    return []


def run(target: Target, *words: str) -> Result:
    return CliRunner().invoke(main.app, ["feedback", *words], obj=target)


def lines(tmp_path: Path, *entries: Any) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join((e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n" for e in entries))
    return path


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("--rating 4.5", {"type": "rating", "value": 4.5}),
        ("--click --recommendation v1.x.y", {"type": "click", "recommendation_id": "v1.x.y"}),
        ("--purchase --value 9.5 --at 2026-03-01", {"type": "purchase", "value": 9.5, "at": "2026-03-01"}),
        ("--view --event-id e1", {"type": "view", "event_id": "e1"}),
    ],
)
def test_one_event_is_sent_as_it_was_said_and_what_was_counted_is_told(
    api: Api, target: Target, words: str, sent: dict[str, Any]
) -> None:
    result = run(target, "42", "318", *words.split())
    assert result.exit_code == 0, result.output
    (got,) = api.got
    event_id = got["event_id"] if "event_id" in sent else got.pop("event_id")
    assert got == {"user_id": "42", "item_id": "318", **sent}
    assert f"Stored as {event_id}; not counted: no experiment is open" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "give a USER and an ITEM"),
        ("42 --click", "give a USER and an ITEM"),
        ("42 318", "give exactly one of"),
        ("42 318 --click --view", "give exactly one of"),
        ("42 318 --rating 4 --value 3", "give --rating alone"),
        ("42 318 --click --file {file}", "give it without USER"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    api: Api, target: Target, tmp_path: Path, words: str, message: str
) -> None:
    result = run(target, *words.format(file=lines(tmp_path, {})).split())
    assert result.exit_code == 1 and message in (explain(result.exception or Exception()) or "")
    assert api.got == []


def test_each_event_has_an_id_of_its_own(api: Api, target: Target) -> None:
    for _ in range(2):
        run(target, "42", "318", "--click")
    assert len({got["event_id"] for got in api.got}) == 2


def test_what_was_not_kept_is_sent_again_as_it_was_after_the_time_that_the_api_asks_for(
    api: Api, target: Target, pauses: list[float]
) -> None:
    api.failures = [(503, {"Retry-After": "7"}, b"{}"), (502, {}, b"<html>"), (429, {}, b"")]
    result = send(target, {"event_id": "e1", "type": "click"}, pauses.append)
    assert result["accepted"] and len(api.got) == 4 and all(got == api.got[0] for got in api.got)
    assert 5 <= pauses[0] <= 9 and len(pauses) == 3


def test_it_does_not_try_for_ever_and_says_why(api: Api, target: Target, pauses: list[float]) -> None:
    api.failures = [(503, {}, b'{"detail": "1 of 1 could not be kept"}')] * TRIES
    with pytest.raises(CommandError, match="the API answered 503: 1 of 1 could not be kept"):
        send(target, {"event_id": "e1", "type": "click"}, pauses.append)
    assert len(api.got) == TRIES and sum(pauses) < 80


def test_what_the_api_refuses_is_one_line_and_is_not_tried_again(api: Api, target: Target) -> None:
    api.failures = [(409, {}, b'{"detail": "event_id was sent before \\u001b[31m"}')]
    result = run(target, "42", "318", "--click")
    assert result.exit_code == 1 and len(api.got) == 1
    assert explain(result.exception or Exception()) == "the API answered 409: event_id was sent before \\x1b[31m"


def test_a_file_goes_in_batches_of_a_hundred_and_each_line_keeps_its_id(
    api: Api, target: Target, tmp_path: Path
) -> None:
    path = lines(tmp_path, *({"user_id": "u", "item_id": str(n), "type": "click"} for n in range(250)))
    for _ in range(2):
        assert send_file(target, path).accepted == 250
    assert [len(got) for got in api.got] == [100, 100, 50, 100, 100, 50]
    sent = [entry["event_id"] for got in api.got for entry in got]
    assert sent[:250] == sent[250:] and len(set(sent)) == 250


def test_bad_lines_of_a_file_are_told_with_their_numbers_and_the_rest_is_sent(
    api: Api, target: Target, tmp_path: Path
) -> None:
    good = {"event_id": "e1", "type": "click"}
    path = lines(tmp_path, b"nonsense", good, b"", b"[1]", b"\xff", b"x" * (2 * LINE_MAX_BYTES), {"type": "bad"}, good)
    result = run(target, "--file", str(path))
    assert result.exit_code == 1
    assert "2 stored, 0 of them counted in the experiment; 5 refused" in result.stdout
    for line in (
        "line 1: is not JSON",
        "line 4: is not a JSON object",
        "line 5",
        "line 6: has more",
        "line 7: type must",
    ):
        assert line in result.stderr
    assert [entry["event_id"] for entry in api.got[0]][::2] == ["e1", "e1"]


def test_a_batch_never_grows_past_what_the_api_takes(api: Api, target: Target, tmp_path: Path) -> None:
    path = lines(tmp_path, *({"type": "click", "recommendation_id": "ü" * 600, "n": n} for n in range(200)))
    assert send_file(target, path).accepted == 200
    assert all(len(json.dumps(got)) < BATCH_BYTES + 2000 for got in api.got) and len(api.got) > 2


def test_a_file_that_is_stopped_by_the_api_says_how_far_it_came(
    api: Api, target: Target, tmp_path: Path, pauses: list[float]
) -> None:
    path = lines(tmp_path, *({"type": "click", "n": n} for n in range(101)))
    answer = json.dumps({"results": [api.said(0, {"event_id": "e", "type": "click"})] * 100}).encode()
    api.failures = [(202, {}, answer), (500, {}, b'{"detail": "Usher failed on this request"}')]
    with pytest.raises(
        CommandError, match=r"line 101: the API answered 500: Usher failed .*; 100 events before it are stored"
    ):
        send_file(target, path, pauses.append)


def test_a_file_that_is_not_there_is_one_line(target: Target, tmp_path: Path) -> None:
    result = run(target, "--file", str(tmp_path / "none.jsonl"))
    assert result.exit_code == 1 and "No such file" in (explain(result.exception or Exception()) or "")
