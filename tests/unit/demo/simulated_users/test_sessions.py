"""A session over real HTTP: what is sent, what is sent again, and what is counted, also when the server fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import numpy as np
import pytest

from cli.errors import CommandError
from cli.target import Resources, Target
from demo.api_client import ApiClient
from demo.simulated_users import sessions
from demo.simulated_users.click_model import Action, SimulatedUser
from demo.simulated_users.history import History
from demo.simulated_users.preference_model import Calibration, Factors, PreferenceModel
from demo.simulated_users.sessions import SessionCounts, SessionRunner, run_session

ITEMS = ("a", "b", "c")
Reply = tuple[int, dict[str, Any]]
Request = tuple[str, str, Any, str]


class Api:
    """A server on a free port: `answer` says what comes back; requests are (method, path, body, Authorization)."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Reply] = recommends
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = (self.command, self.path, json.loads(body or b"null"), self.headers["Authorization"])
                api.requests.append(request)
                status, answer = api.answer(request)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _serve

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def sent(self, method: str) -> list[Request]:
        return [request for request in self.requests if request[0] == method]


def recommends(request: Request) -> Reply:
    if request[0] == "POST":
        return 202, {"results": []}
    items = [{"rank": n, "item_id": item} for n, item in enumerate(ITEMS, 1)]
    return 200, {"variant": "A", "level": "model", "items": items, "recommendation_id": "v1.signed"}


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    thread = threading.Thread(target=api.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield api
    api.server.shutdown()
    thread.join()
    api.server.server_close()


@pytest.fixture
def target(api: Api) -> Target:
    session = boto3.Session("AKIATEST", "secret", region_name="eu-west-1")
    resources = Resources(
        landing_bucket="l", lake_bucket="l", database="d", state_table="t", workgroup="w", api_url=api.url
    )
    return Target(session, "usher", "a test", _resources=resources)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_PAUSE_SECONDS", 0.0)


def preferences(chance: float) -> PreferenceModel:
    """All users like all items with that probability."""
    history = History(("p",), ITEMS, *(np.zeros(3, dtype=np.int64),) * 2, np.full(3, 4.0), np.arange(3))
    factors = Factors(np.ones((1, 1)), np.ones((3, 1)))
    logit = float(np.log(chance / (1 - chance)))
    index = {item: number for number, item in enumerate(ITEMS)}
    return PreferenceModel(history, factors, Calibration(logit, 0.0, 0.0), 4.0, np.zeros(1), np.zeros(3), 0.1, index)


def a_user(chance: float, name: str = "p", first: tuple[Action, ...] = ()) -> SimulatedUser:
    return SimulatedUser(name, preferences(chance), np.ones(1), 0.0, set(), np.random.default_rng(1), "test", first)


def test_a_known_user_requests_a_list_and_sends_the_clicks(api: Api, target: Target) -> None:
    counts = SessionCounts()
    run_session(a_user(0.9999), ApiClient.of(target), counts)
    ((_, asked, _, signed),) = api.sent("GET")
    assert parse_qs(urlsplit(asked).query) == {"user_id": ["p"], "limit": ["10"]}
    assert signed.startswith("AWS4-HMAC-SHA256 ")
    ((_, path, events, _),) = api.sent("POST")
    assert path == "/feedback"
    assert {event["type"] for event in events} <= {"click", "rating"}
    assert events[0] == {
        "event_id": events[0]["event_id"], "user_id": "p", "item_id": "a", "type": "click",
        "recommendation_id": "v1.signed",
    }  # fmt: skip
    assert len({event["event_id"] for event in events}) == len(events)
    assert (counts.sessions, counts.variants["A", True], counts.server_errors) == (1, 1, 0)


def test_a_new_user_rates_first_without_a_recommendation_id(api: Api, target: Target) -> None:
    run_session(a_user(0.0001, first=(Action("a", "rating", 4.5),)), ApiClient.of(target), SessionCounts())
    assert [request[0] for request in api.requests] == ["POST", "GET"]
    (event,) = api.requests[0][2]
    assert (event["type"], event["value"]) == ("rating", 4.5)
    assert "recommendation_id" not in event


def test_a_session_without_clicks_sends_nothing(api: Api, target: Target) -> None:
    counts = SessionCounts()
    run_session(a_user(0.0001), ApiClient.of(target), counts)
    assert api.sent("POST") == []
    assert counts.variants["A", False] == 1


def test_after_a_503_the_same_events_are_sent_again(api: Api, target: Target) -> None:
    answers = iter([503, 503, 202])
    api.answer = lambda request: recommends(request) if request[0] == "GET" else (next(answers), {"detail": "later"})
    counts = SessionCounts()
    run_session(a_user(0.9999), ApiClient.of(target), counts)
    bodies = [body for _, _, body, _ in api.sent("POST")]
    assert len(bodies) == 3 and bodies[0] == bodies[1] == bodies[2]
    assert counts.statuses["feedback", 503] == 2
    assert counts.server_errors == 2
    assert counts.failures["503: later"] == 2


def test_a_session_whose_request_fails_ends_and_is_counted(api: Api, target: Target) -> None:
    api.answer = lambda _: (500, {"message": "broken"})
    counts = SessionCounts()
    run_session(a_user(0.9999), ApiClient.of(target), counts)
    assert (counts.sessions, counts.server_errors) == (0, 1)
    assert api.sent("POST") == []


def test_an_unreachable_server_counts_as_a_server_error(api: Api, target: Target) -> None:
    client = ApiClient("http://127.0.0.1:9", "eu-west-1", ApiClient.of(target).credentials)
    counts = SessionCounts()
    run_session(a_user(0.5), client, counts)
    assert counts.server_errors == 1
    assert counts.statuses["recommend", 0] == 1


def test_a_target_without_an_api_is_refused(target: Target) -> None:
    bare = Target(target.session, "usher", "a test", _resources=Resources(
        landing_bucket="l", lake_bucket="l", database="d", state_table="t", workgroup="w"))  # fmt: skip
    with pytest.raises(CommandError, match="no output ApiUrl"):
        ApiClient.of(bare)


def test_sessions_run_until_the_block_ends_and_no_thread_is_left(api: Api, target: Target) -> None:
    users = (a_user(0.5, f"p{n}") for n in range(100_000))
    with SessionRunner(target, users, 200.0, 4).running() as counts:
        deadline = time.monotonic() + 60
        while counts.sessions < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
    seen = len(api.requests)
    assert counts.sessions >= 20
    assert counts.requests == seen
    asked = [parse_qs(urlsplit(path).query)["user_id"][0] for _, path, _, _ in api.sent("GET")]
    assert len(set(asked)) == len(asked)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("session-")]


def test_an_error_in_a_session_thread_is_raised_at_the_end_of_the_block(api: Api, target: Target) -> None:
    api.answer = lambda _: (200, {"items": [{"rank": 1}], "variant": "A", "level": "model"})  # without item_id
    users = (a_user(0.5, f"p{n}") for n in range(100_000))
    with pytest.raises(KeyError, match="item_id"):  # noqa: SIM117
        with SessionRunner(target, users, 200.0, 2).running():
            time.sleep(0.2)
            deadline = time.monotonic() + 60
            while not api.requests and time.monotonic() < deadline:
                time.sleep(0.01)


def test_the_percentile_is_zero_without_responses_and_otherwise_by_share() -> None:
    counts = SessionCounts()
    assert counts.percentile(0.95) == 0.0
    counts.seconds += [n / 100 for n in range(1, 101)]
    assert counts.percentile(0.5) == pytest.approx(0.51)
    assert counts.percentile(1.0) == pytest.approx(1.0)
