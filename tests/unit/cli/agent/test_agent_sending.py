"""Only what failed is sent again, later and later; what no repetition mends ends the agent with one line."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cli.agent import delivery
from cli.agent.batches import Batch
from cli.agent.bootstrap import client
from cli.agent.delivery import Sender, Stopped
from cli.errors import CommandError, explain

BUSY = (503, {"__type": "ServiceUnavailableException", "message": "Slow down."})


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_DELAY_SECONDS", 0.001)
    monkeypatch.setattr(delivery, "LONGEST_DELAY_SECONDS", 0.01)


@pytest.fixture
def sender(agents: Any) -> Sender:
    return Sender(client(agents.target, 2), "usher-ratings", threading.Event(), 30.0)


def batch(count: int) -> Batch:
    return Batch([b'{"n":%d}\n' % number for number in range(count)], count)


def partial(failing: set[int], code: str = "ServiceUnavailableException") -> Any:
    """An answer in which the records at these places failed."""

    def answer(records: list[bytes]) -> tuple[int, Any]:
        failed = {"ErrorCode": code, "ErrorMessage": "Slow down."}
        responses = [failed if at in failing else {"RecordId": "r"} for at in range(len(records))]
        return 200, {"FailedPutCount": len(failing), "RequestResponses": responses}

    return answer


def test_only_the_records_that_failed_are_sent_again_in_their_order(firehose: Any, sender: Sender) -> None:
    answers = {1: partial({1, 4, 5}), 2: partial({0, 2}, "InternalFailure")}
    firehose.faults = lambda number, records: answers[number](records) if number in answers else None
    sender.send(batch(7))
    numbers = [[json.loads(record)["n"] for record in call] for call in firehose.calls]
    assert numbers == [[0, 1, 2, 3, 4, 5, 6], [1, 4, 5], [1, 5]]
    assert Counter(row["n"] for row in firehose.rows) == dict.fromkeys(range(7), 1)
    assert (sender.tally.retries, sender.tally.resent) == (2, 5)


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        (500, {"__type": "InternalFailure"}),
        (502, "<html>Bad Gateway</html>"),
        (400, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
        (429, {"__type": "Anything"}),
        "hang up",
    ],
)
def test_a_passing_failure_is_waited_out(firehose: Any, sender: Sender, fault: Any) -> None:
    firehose.faults = lambda number, _records: fault if number <= 3 else None
    sender.send(batch(2))
    assert [row["n"] for row in firehose.rows] == [0, 1]
    assert len(firehose.calls) == 4


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("ExpiredTokenException", "the AWS credentials have expired: log in again"),
        ("UnrecognizedClientException", "AWS rejected the credentials"),
        ("AccessDeniedException", "access denied to PutRecordBatch: no"),
        ("ResourceNotFoundException", "PutRecordBatch failed: no (ResourceNotFoundException)"),
    ],
)
def test_a_lasting_failure_ends_at_once_with_a_line(firehose: Any, sender: Sender, code: str, line: str) -> None:
    firehose.faults = lambda _number, _records: (400, {"__type": code, "message": "no"})
    with pytest.raises(Exception, match=code) as caught:
        sender.send(batch(2))
    assert line in (explain(caught.value) or "")
    assert len(firehose.calls) == 1


def test_without_progress_within_the_patience_it_fails_and_says_why(firehose: Any, sender: Sender) -> None:
    firehose.faults = lambda _number, _records: BUSY
    sender.patience_seconds = 0.05
    with pytest.raises(
        CommandError, match=r"usher-ratings accepted no record for .* \(PutRecordBatch failed: Slow down"
    ):
        sender.send(batch(2))
    assert len(firehose.calls) > 1


def test_progress_renews_the_patience(firehose: Any, sender: Sender) -> None:
    now = [0.0]
    sender.clock = lambda: now[0]
    sender.patience_seconds = 10.0

    def one_at_a_time(_number: int, records: list[bytes]) -> Any:
        now[0] += 9.0
        return partial(set(range(1, len(records))))(records)

    firehose.faults = one_at_a_time
    sender.send(batch(5))
    assert [row["n"] for row in firehose.rows] == [0, 1, 2, 3, 4]


def test_the_waits_double_up_to_a_bound_and_begin_anew_after_progress(firehose: Any, sender: Sender) -> None:
    bounds: list[float] = []
    sender.jitter = lambda _low, high: bounds.append(high) or 0.0  # type: ignore[func-returns-value]
    firehose.faults = lambda number, records: (
        BUSY if number <= 6 else partial({0})(records) if number == 7 else BUSY if number == 8 else None
    )
    sender.send(batch(2))
    assert bounds == [0.001, 0.002, 0.004, 0.008, 0.01, 0.01, 0.001, 0.002]


def test_a_stop_ends_the_waiting(firehose: Any, sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    firehose.faults = lambda _number, _records: BUSY
    monkeypatch.setattr(delivery, "FIRST_DELAY_SECONDS", 1000.0)
    monkeypatch.setattr(delivery, "LONGEST_DELAY_SECONDS", 1000.0)
    threading.Timer(0.1, sender.stopping.set).start()
    with pytest.raises(Stopped):
        sender.send(batch(2))


def test_long_trouble_is_told_and_its_end_too(firehose: Any, sender: Sender) -> None:
    now, seen = [0.0], []
    sender.clock = lambda: now[0]

    def faults(number: int, _records: list[bytes]) -> Any:
        now[0] += 3.0
        seen.append(sender.tally.trouble)
        return BUSY if number <= 3 else None

    firehose.faults = faults
    sender.send(batch(1))
    assert ["Slow down" in trouble for trouble in seen] == [False, False, True, True]
    assert sender.tally.trouble == ""


def test_an_answer_for_another_number_of_records_is_no_answer(firehose: Any, sender: Sender) -> None:
    firehose.faults = lambda _number, _records: (200, {"FailedPutCount": 1, "RequestResponses": [{"RecordId": "r"}]})
    with pytest.raises(CommandError, match="answered for 1 of 3 records"):
        sender.send(batch(3))


def test_a_stream_that_throttles_half_of_everything_gets_each_row_once(
    firehose: Any, agents: Any, ratings: Any, tmp_path: Path
) -> None:
    firehose.faults = lambda number, records: (
        BUSY if number % 5 == 0 else partial(set(range(number % 2, len(records), 2)))(records) if number % 3 else None
    )
    path = tmp_path / "ratings.csv"
    path.write_text("userId,movieId,rating,timestamp\n" + ratings(0, 5000))
    done = agents(path, record_bytes=0)
    assert Counter(int(row["user_id"]) for row in firehose.rows) == dict.fromkeys(range(5000), 1)
    assert done.rows == 5000
    assert done.tally.retries > 5
