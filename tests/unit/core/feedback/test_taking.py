"""Feedback is kept once, counts once, and is forwarded; a crash between any two steps heals when it is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError

from usher.feedback import service as steps
from usher.feedback.outcomes import Outcomes
from usher.feedback.parsing import Feedback
from usher.feedback.streams import Streams
from usher.store import keys
from usher.store.events import Events, FeedbackResult
from usher.store.profiles import Profiles

if TYPE_CHECKING:
    from tests.unit.core.feedback.conftest import Desk

RATING = {"event_id": "e1", "user_id": "u", "item_id": "1", "type": "rating", "value": 4.5}
CLICK = {"event_id": "e2", "user_id": "u", "item_id": "2", "type": "click"}


def throttled(*_: Any, **__: Any) -> Any:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "any")


class Killed(BaseException):
    """The function is killed: nothing of it goes on."""


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


def test_a_rating_is_kept_folded_in_and_forwarded(desk: Desk) -> None:
    status, body = desk.send(RATING | {"at": "2026-03-01T12:00:00Z"})
    assert (status, body["accepted"], body["counted"], body["reason"]) == (202, True, False, "no experiment is open")
    assert desk.recent("u") == [("1", 4.5)]
    assert desk.forwarded("ratings") == [
        {"user_id": "u", "item_id": "1", "rating": 4.5, "rated_at": "2026-03-01T12:00:00.000000Z"}
    ]
    event = desk.item(keys.event("e1"))
    assert event["forwarded"] is True and event["expires_at"] > desk.now + 29 * 86_400
    assert "u" not in {str(value) for name, value in event.items() if name not in ("pk", "sk")}


def test_what_is_no_rating_goes_to_the_events_with_all_that_was_said(desk: Desk) -> None:
    given = {"value": 9.5, "at": 1_772_366_400, "recommendation_id": desk.recommendation("u", "2")}
    assert desk.send(CLICK | {"type": "purchase"} | given)[0] == 202
    (row,) = desk.forwarded("events")
    assert row == {
        **{"event_id": "e2", "user_id": "u", "item_id": "2", "type": "purchase", "value": 9.5},
        "occurred_at": "2026-03-01T12:00:00.000000Z",
        "recommendation_id": given["recommendation_id"],
    }


def test_a_purchase_counts_as_liked_and_a_click_or_view_is_not_folded_in(desk: Desk) -> None:
    for number, kind in enumerate(("purchase", "click", "view")):
        desk.send({"event_id": f"e{number}", "user_id": "u", "item_id": kind, "type": kind})
    assert desk.recent("u") == [("purchase", 4.0)]


def test_sending_again_gives_the_same_answer_and_changes_nothing(desk: Desk) -> None:
    first = desk.send(RATING)
    desk.now += 100
    assert [desk.send(RATING), desk.send([RATING])[1]["results"][0]] == [first, first[1]]
    assert (len(desk.recent("u")), len(desk.forwarded("ratings")), len(desk.items("EVENT#"))) == (1, 1, 1)


def test_another_event_under_the_same_id_is_refused_and_the_first_stays(desk: Desk) -> None:
    desk.send(RATING)
    status, body = desk.send(RATING | {"value": 1})
    assert (status, body["type"], body["parameter"]) == (409, "urn:usher:problem:event-id-taken", "event_id")
    status, body = desk.send([CLICK, RATING | {"user_id": "other"}])
    assert status == 202 and [one["accepted"] for one in body["results"]] == [True, False]
    assert body["results"][1]["parameter"] == "[1].event_id"
    assert desk.recent("u") == [("1", 4.5)] and desk.recent("other") == []


def test_in_a_list_the_same_entry_twice_is_one_and_the_same_id_with_other_content_is_refused(desk: Desk) -> None:
    status, body = desk.send([RATING, RATING, RATING | {"value": 2}])
    assert status == 202 and [one["accepted"] for one in body["results"]] == [True, True, False]
    assert len(desk.forwarded("ratings")) == 1


def test_a_refused_entry_does_not_hold_back_the_others(desk: Desk) -> None:
    status, body = desk.send([RATING, RATING | {"event_id": "e3", "value": 9}, {"event_id": 7}, CLICK])
    results = body["results"]
    assert status == 202 and [one["accepted"] for one in results] == [True, False, False, True]
    assert [(one["event_id"], one.get("parameter")) for one in results] == [
        *(("e1", None), ("e3", "[1].value"), (None, "[2].user_id"), ("e2", None))
    ]


def test_a_list_that_is_refused_whole_is_a_problem_with_each_reason(desk: Desk) -> None:
    status, body = desk.send([RATING | {"value": 9}, CLICK | {"at": desk.now + 301}])
    assert (status, body["type"], body["parameter"]) == (422, "urn:usher:problem:nothing-accepted", "[0].value")
    assert [one["parameter"] for one in body["results"]] == ["[0].value", "[1].at"]
    assert desk.items("EVENT#") == []


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Events, "add"),
        (Profiles, "add"),
        (Outcomes, "judge"),
        (Streams, "forward"),
        (Events, "complete"),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_function_that_is_killed_at_any_step_leaves_nothing_that_sending_again_does_not_heal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, after: bool
) -> None:
    desk.open_experiment()
    desk.enrol("u")
    given = RATING | {"recommendation_id": desk.recommendation("u", "1")}
    real = getattr(owner, step)

    def dying(*arguments: Any, **named: Any) -> Any:
        if after:
            real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, dying)
        with pytest.raises(Killed):
            desk.send(given)
    desk.now += 5
    desk.service = desk.make()
    status, body = desk.send(given)
    assert (status, body["counted"], body["reason"]) == (202, True, None)
    assert desk.recent("u") == [("1", 4.5)]
    assert len({str(row) for row in desk.forwarded("ratings")}) == 1, "the same row, perhaps twice: prepare folds it"
    assert (desk.item(keys.event("e1"))["forwarded"], desk.exposure("u")["reward"]) == (True, 1)


@pytest.mark.parametrize("owner_and_step", [(Events, "add"), (Profiles, "add"), (Outcomes, "judge")])
def test_what_cannot_be_kept_is_told_as_503_and_the_rest_of_the_list_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, owner_and_step: tuple[type, str], metrics: Any
) -> None:
    owner, step = owner_and_step
    real = getattr(owner, step)

    def throttling(self: Any, *arguments: Any) -> Any:
        asked = str(arguments)
        return throttled() if "'e1'" in asked or RATING_HASH in asked else real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, throttling)
        status, body = desk.send([RATING, CLICK | {"user_id": "other", "type": "purchase"}])
    assert (status, body["type"]) == (503, "urn:usher:problem:not-kept")
    assert body["detail"].startswith("1 of 2 could not be stored or forwarded")
    assert metrics()["FeedbackUnkept"] == 1
    assert desk.item(keys.event("e2"))["forwarded"] is True
    assert not desk.item(keys.event("e1")).get("forwarded")
    assert desk.send([RATING, CLICK | {"user_id": "other", "type": "purchase"}])[0] == 202
    assert (desk.recent("u"), desk.recent("other")) == ([("1", 4.5)], [("2", 4.0)])
    assert (len(desk.forwarded("ratings")), len(desk.forwarded("events"))) == (1, 1)


RATING_HASH = "f01deac1ea4e08e3bf26f7b141cc8e8a"  # of "u"


class Firehose:
    """Answers PutRecordBatch as told: `answers` are sets of places that fail, or an error; then the real one does."""

    def __init__(self, real: Any, answers: list[Any]) -> None:
        self.real, self.answers, self.sizes = real, answers, list[int]()

    def put_record_batch(self, DeliveryStreamName: str, Records: list[Any]) -> Any:
        self.sizes.append(len(Records))
        failing = self.answers.pop(0) if self.answers else set()
        if isinstance(failing, Exception):
            raise failing
        good = [record for place, record in enumerate(Records) if place not in failing]
        if good:
            self.real.put_record_batch(DeliveryStreamName=DeliveryStreamName, Records=good)
        said = [{"ErrorCode": "ServiceUnavailableException"} if n in failing else {} for n in range(len(Records))]
        return {"FailedPutCount": len(failing), "RequestResponses": said}


def stalling(desk: Desk, *answers: Any) -> Firehose:
    firehose = Firehose(desk.firehose, list(answers))
    desk.service.streams = Streams(lambda: firehose, "usher-", desk.telemetry.unforwarded, lambda _: None)
    return firehose


def test_what_firehose_does_not_take_is_tried_once_more_and_alone(desk: Desk) -> None:
    firehose = stalling(desk, {0, 2})
    batch = [CLICK | {"event_id": f"c{n}"} for n in range(4)]
    assert desk.send(batch)[0] == 202
    assert firehose.sizes == [4, 2]
    assert sorted(row["event_id"] for row in desk.forwarded("events")) == ["c0", "c1", "c2", "c3"]


@pytest.mark.parametrize("answer", [{0}, ConnectTimeoutError(endpoint_url="x"), ClientError({}, "PutRecordBatch")])
def test_what_firehose_never_takes_is_503_and_sending_again_forwards_what_was_kept(
    desk: Desk, answer: Any, metrics: Any
) -> None:
    stalling(desk, answer, answer)  # the stream of events, which is asked first
    batch = [RATING, CLICK, RATING | {"event_id": "e4", "item_id": "9"}]
    assert desk.send(batch)[0] == 503, desk.logger.lines
    assert metrics()["FeedbackUnforwarded"] == 2
    assert desk.recent("u") == [("1", 4.5), ("9", 4.5)] and len(desk.forwarded("ratings")) == 2
    assert desk.item(keys.event("e2"))["forwarded"] is False
    desk.now += 60
    assert desk.send(batch)[0] == 202
    assert desk.recent("u") == [("1", 4.5), ("9", 4.5)] and len(desk.forwarded("ratings")) == 2
    (row,) = desk.forwarded("events")
    assert row["occurred_at"] == "2027-01-15T08:00:00.000000Z", "as it was first kept"


def test_what_a_slow_table_leaves_no_time_for_is_left_for_the_next_try(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Events.add

    def slow(self: Any, *arguments: Any) -> Any:
        desk.now += steps.BUDGET_SECONDS
        return real(self, *arguments)

    batch = [CLICK | {"event_id": f"c{n}"} for n in range(steps.THREADS * 4)]
    with monkeypatch.context() as patch:
        patch.setattr(Events, "add", slow)
        status, _ = desk.send(batch)
    assert status == 503
    assert 0 < len(desk.items("EVENT#")) < len(batch)
    assert desk.send(batch)[0] == 202 and len(desk.items("EVENT#")) == len(batch)


def test_of_two_who_bring_one_event_at_once_one_finishes_it(desk: Desk) -> None:
    desk.send(RATING)
    event = Feedback("e1", "u", "1", "rating", 4.5)
    result = FeedbackResult(True, None)
    assert desk.service.stored_events.complete(event.event_id, event.digest(), desk.now, result, desk.now) is False
    assert desk.item(keys.event("e1"))["counted"] is False


def test_a_defect_is_one_sentence_for_the_caller_and_a_trace_for_the_log(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("u")

    monkeypatch.setattr(Events, "add", broken)
    status, body = desk.send(RATING)
    assert (status, body["detail"]) == (500, "Usher failed on this request: look into the function's log")
    assert isinstance(desk.logger.lines[0][1], KeyError)


@pytest.mark.parametrize("step", ["add", "complete"])
def test_a_write_that_botocore_refuses_is_told_without_what_was_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refused(*_: Any) -> Any:
        raise ParamValidationError(report="Invalid type for parameter Key.pk, value: EVENT#secret")

    monkeypatch.setattr(Events, step, refused)
    assert desk.send(RATING)[0] == 503
    assert desk.logger.lines == [("event not stored", {"reason": "ParamValidationError"})]


def test_whoever_is_told_to_come_again_is_told_when(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Events, "add", throttled)
    assert desk.send(RATING)[0] == 503
    assert desk.headers["retry-after"] == "2"


def test_the_log_never_says_who_did_what(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    stalling(desk, ClientError({}, "PutRecordBatch"), ClientError({}, "PutRecordBatch"))
    named = {"event_id": "secret-event", "user_id": "secret-user", "item_id": "secret-item"}
    desk.send([RATING | named, CLICK | {**named, "event_id": "secret-2", "recommendation_id": "secret-id"}, named])
    told = capsys.readouterr().out + str(desk.logger.lines)
    assert "FeedbackUnforwarded" in told and "secret" not in told
