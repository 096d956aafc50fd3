"""However feedback comes (twice, out of order, from many senders, with faults between), each event counts exactly once.

What must be stored in the end is worked out from the events alone, without the service.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usher.feedback.streams import Streams
from usher.store.events import Events
from usher.store.profiles import Profiles

if TYPE_CHECKING:
    from tests.unit.core.feedback.conftest import Desk

Event = dict[str, Any]
#: What an event may have, by name; `good` alone joins it to the experiment.
CLAIMS = ("good", "none", "forged", "foreign", "other item")
KINDS = ("click", "purchase", "view", "liked", "disliked")


def make(desk: Desk, number: int, user_number: int, kind: str, claim: str) -> Event:
    """One event; users with even numbers are enrolled."""
    user, item = f"u{user_number}", f"i{number % 7}"
    event: Event = {"event_id": f"e{number}", "user_id": user, "item_id": item, "at": desk.now - 60 + number % 50}
    event |= {"type": kind} if kind in ("click", "purchase", "view") else {"type": "rating"}
    event |= {"value": 4.5 if kind == "liked" else 2.0} if event["type"] == "rating" else {}
    ids = {
        "good": lambda: desk.recommendation(user, item),
        "forged": lambda: desk.recommendation(user, item, key="f" * 64),
        "foreign": lambda: desk.recommendation("another user", item),
        "other item": lambda: desk.recommendation(user, "another"),
    }
    return event | ({"recommendation_id": ids[claim]()} if claim in ids else {})


def is_outcome(kind: str) -> bool:
    return kind in ("click", "purchase", "liked")


class Truth:
    """What must be stored, from (user_number, kind, claim) by event."""

    def __init__(self, drawn: list[tuple[int, str, str]]) -> None:
        enrolled = [(p, claim) for p, kind, claim in drawn if p % 2 == 0 and is_outcome(kind)]
        self.enrolled_outcomes = len(enrolled)
        self.joined_outcomes = sum(claim == "good" for _, claim in enrolled)
        self.converted = {p for p, claim in enrolled if claim == "good"}
        self.ratings = Counter(p for p, kind, _ in drawn if kind in ("liked", "disliked", "purchase"))


def check(desk: Desk, drawn: list[tuple[int, str, str]], metrics: Counter[str]) -> None:
    truth, users = Truth(drawn), {user_number for user_number, _, _ in drawn}
    events = desk.items("EVENT#")
    assert sorted(item["pk"] for item in events) == sorted(f"EVENT#e{number}" for number in range(len(drawn)))
    assert all(item["forwarded"] is True for item in events)
    assert sum(item["counted"] for item in events) == len(truth.converted)
    assert {p for p in users if "converted_at" in desk.exposure(f"u{p}")} == truth.converted
    assert {p: len(desk.recent(f"u{p}")) for p in users if desk.recent(f"u{p}")} == dict(truth.ratings)
    assert metrics["EnrolledOutcomes"] == truth.enrolled_outcomes
    assert metrics["JoinedOutcomes"] == truth.joined_outcomes
    assert metrics["OutcomesCounted"] == len(truth.converted)
    sent = [row["event_id"] for row in desk.forwarded("events")]
    assert set(sent) == {f"e{number}" for number, (_, kind, _) in enumerate(drawn) if kind in KINDS[:3]}
    ratings = {json.dumps(row, sort_keys=True) for row in desk.forwarded("ratings")}
    assert len(ratings) == len({(p, n % 7, n % 50, kind) for n, (p, kind, _) in enumerate(drawn) if kind in KINDS[3:]})


class Killed(BaseException):
    """The function is killed."""


@contextmanager
def faults(source: random.Random, share: float) -> Iterator[None]:
    """At each step, before or after its work, a share of the calls is throttled or kills the function."""

    def faulty(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            when = source.random()
            if when < share / 2:
                raise _fault(source)
            result = real(*arguments)
            if when < share:
                raise _fault(source)
            return result

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [(Events, "add"), (Profiles, "add"), (Streams, "forward")]:
            patch.setattr(owner, name, faulty(getattr(owner, name)))
        yield


def _fault(source: random.Random) -> BaseException:
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "any")
    return throttled if source.random() < 0.5 else Killed()


def deliver(desk: Desk, batch: list[Event]) -> None:
    """As a client does: again, until it is accepted."""
    while True:
        try:
            status, _ = desk.send(batch)
        except Killed:
            continue
        if status == 202:
            return
        assert status in (500, 503)  # a fault of the forwarding step itself is a defect to the service


def counted(lines: str) -> Counter[str]:
    """The metrics of a log, summed."""
    found: Counter[str] = Counter()
    for line in lines.splitlines():
        said = json.loads(line)
        for metric in said["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            found[metric["Name"]] += said[metric["Name"]]
    return found


drawn_events = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(KINDS), st.sampled_from(CLAIMS)), min_size=1, max_size=8
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drawn=drawn_events, seed=st.integers(0, 2**32))
def test_any_events_in_any_order_any_number_of_times_with_faults_between_count_once(
    desk: Desk, capsys: pytest.CaptureFixture[str], drawn: list[tuple[int, str, str]], seed: int
) -> None:
    forget(desk)
    capsys.readouterr()
    source = random.Random(seed)
    events = [make(desk, n, *one) for n, one in enumerate(drawn)]
    sent = [*events, *source.choices(events, k=4)]
    source.shuffle(sent)
    with faults(source, 0.2):
        while sent:
            size = source.randint(1, 4)
            batch, sent = sent[:size], sent[size:]
            deliver(desk, batch)
    check(desk, drawn, counted(capsys.readouterr().out))


def forget(desk: Desk) -> None:
    """An empty state, an open experiment, and the even ones enrolled."""
    for prefix in ("EVENT#", "USER#"):
        for item in desk.items(prefix):
            desk.table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    for found in desk.s3.list_objects_v2(Bucket="landing").get("Contents", []):
        desk.s3.delete_object(Bucket="landing", Key=found["Key"])
    desk.open_experiment()
    for user_number in (0, 2):
        desk.enrol(f"u{user_number}", at=desk.now - 60)


@pytest.mark.slow
def test_ten_thousand_events_with_duplicates_and_reordering_from_several_senders_count_exactly(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(20261124)
    users = 500
    drawn = [
        (source.randrange(users), source.choice(KINDS), source.choices(CLAIMS, (6, 1, 1, 1, 1))[0])
        for _ in range(8_000)
    ]
    desk.open_experiment()
    for user_number in range(0, users, 2):
        desk.enrol(f"u{user_number}")
    events = [make(desk, n, *one) for n, one in enumerate(drawn)]
    sent = [*events, *source.choices(events, k=2_000)]
    source.shuffle(sent)
    batches = [sent[start : start + 100] for start in range(0, len(sent), 100)]
    with faults(source, 0.002), ThreadPoolExecutor(3) as senders:
        list(senders.map(lambda batch: deliver(desk, batch), batches))
    check(desk, drawn, counted(capsys.readouterr().out))
