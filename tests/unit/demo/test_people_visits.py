"""A visit over real HTTP: what is sent, what is sent again, and what is counted, also when the server fails."""

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
from demo.simulated_users import visits
from demo.simulated_users.calibration import Calibration
from demo.simulated_users.caller import Caller
from demo.simulated_users.factors import Factors
from demo.simulated_users.history import History
from demo.simulated_users.person import Action, Person
from demo.simulated_users.tally import Tally
from demo.simulated_users.taste import Taste
from demo.simulated_users.visits import Visitors, visit

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
    monkeypatch.setattr(visits, "_PAUSE_SECONDS", 0.0)


def a_taste(chance: float) -> Taste:
    """Everybody likes everything with that probability."""
    history = History(("p",), ITEMS, *(np.zeros(3, dtype=np.int64),) * 2, np.full(3, 4.0), np.arange(3))
    factors = Factors(np.ones((1, 1)), np.ones((3, 1)))
    logit = float(np.log(chance / (1 - chance)))
    places = {item: place for place, item in enumerate(ITEMS)}
    return Taste(history, factors, Calibration(logit, 0.0, 0.0), 4.0, np.zeros(1), np.zeros(3), 0.1, places)


def somebody(chance: float, name: str = "p", first: tuple[Action, ...] = ()) -> Person:
    return Person(name, a_taste(chance), np.ones(1), 0.0, set(), np.random.default_rng(1), "test", first)


def test_a_known_person_asks_and_sends_back_what_they_clicked(api: Api, target: Target) -> None:
    tally = Tally()
    visit(somebody(0.9999), Caller.of(target), tally)
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
    assert (tally.visits, tally.variants["A", True], tally.server_errors) == (1, 1, 0)


def test_somebody_new_rates_first_and_without_a_recommendation(api: Api, target: Target) -> None:
    visit(somebody(0.0001, first=(Action("a", "rating", 4.5),)), Caller.of(target), Tally())
    assert [request[0] for request in api.requests] == ["POST", "GET"]
    (event,) = api.requests[0][2]
    assert (event["type"], event["value"]) == ("rating", 4.5)
    assert "recommendation_id" not in event


def test_who_clicks_nothing_sends_nothing(api: Api, target: Target) -> None:
    tally = Tally()
    visit(somebody(0.0001), Caller.of(target), tally)
    assert api.sent("POST") == []
    assert tally.variants["A", False] == 1


def test_after_a_503_the_very_same_events_are_sent_again(api: Api, target: Target) -> None:
    answers = iter([503, 503, 202])
    api.answer = lambda request: recommends(request) if request[0] == "GET" else (next(answers), {"detail": "later"})
    tally = Tally()
    visit(somebody(0.9999), Caller.of(target), tally)
    bodies = [body for _, _, body, _ in api.sent("POST")]
    assert len(bodies) == 3 and bodies[0] == bodies[1] == bodies[2]
    assert tally.statuses["feedback", 503] == 2
    assert tally.server_errors == 2
    assert tally.refusals["503: later"] == 2


def test_a_visit_without_an_answer_ends_and_is_counted(api: Api, target: Target) -> None:
    api.answer = lambda _: (500, {"message": "broken"})
    tally = Tally()
    visit(somebody(0.9999), Caller.of(target), tally)
    assert (tally.visits, tally.server_errors) == (0, 1)
    assert api.sent("POST") == []


def test_a_server_that_is_gone_is_an_error_that_people_see(api: Api, target: Target) -> None:
    caller = Caller("http://127.0.0.1:9", *(getattr(Caller.of(target), name) for name in ("region", "credentials")),
                    Caller.of(target)._session)  # fmt: skip
    tally = Tally()
    visit(somebody(0.5), caller, tally)
    assert tally.server_errors == 1
    assert tally.statuses["recommend", 0] == 1


def test_a_target_without_an_api_is_refused(target: Target) -> None:
    bare = Target(target.session, "usher", "a test", _resources=Resources(
        landing_bucket="l", lake_bucket="l", database="d", state_table="t", workgroup="w"))  # fmt: skip
    with pytest.raises(CommandError, match="no output ApiUrl"):
        Caller.of(bare)


def test_visitors_come_until_the_block_ends_and_nobody_is_left_inside(api: Api, target: Target) -> None:
    people = (somebody(0.5, f"p{n}") for n in range(100_000))
    with Visitors(target, people, 200.0, 4).coming() as tally:
        deadline = time.monotonic() + 60
        while tally.visits < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
    seen = len(api.requests)
    assert tally.visits >= 20
    assert tally.requests == seen
    asked = [parse_qs(urlsplit(path).query)["user_id"][0] for _, path, _, _ in api.sent("GET")]
    assert len(set(asked)) == len(asked)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("visitor-")]


def test_what_breaks_a_visitor_is_raised_where_they_were_let_in(api: Api, target: Target) -> None:
    api.answer = lambda _: (200, {"items": [{"rank": 1}], "variant": "A", "level": "model"})  # not as promised
    people = (somebody(0.5, f"p{n}") for n in range(100_000))
    with pytest.raises(KeyError, match="item_id"):  # noqa: SIM117
        with Visitors(target, people, 200.0, 2).coming():
            time.sleep(0.2)
            deadline = time.monotonic() + 60
            while not api.requests and time.monotonic() < deadline:
                time.sleep(0.01)


def test_percentiles_of_nothing_are_zero_and_else_the_share_of_answers() -> None:
    tally = Tally()
    assert tally.percentile(0.95) == 0.0
    tally.seconds += [n / 100 for n in range(1, 101)]
    assert tally.percentile(0.5) == pytest.approx(0.51)
    assert tally.percentile(1.0) == pytest.approx(1.0)
