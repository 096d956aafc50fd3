"""An outcome counts once for a user, in time, with a valid id of the open experiment; all else is distinguished."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from usher.errors import OperatorError
from usher.schema.ids import hash_user_id
from usher.store import keys

if TYPE_CHECKING:
    from tests.unit.core.feedback.conftest import Desk

Metrics = Callable[[], dict[str, int]]
NOW = 1_800_000_000.0
WINDOW = 3600
TRAFFIC = {"Requests", "FeedbackAccepted"}


@pytest.fixture
def testing(desk: Desk) -> Desk:
    """An experiment is open, and `u` is enrolled in it."""
    desk.open_experiment()
    desk.enrol("u")
    return desk


def click(desk: Desk, event_id: str = "e1", **fields: Any) -> tuple[bool, str | None]:
    """(counted, reason) of a click of `u` on item 1, which says what it followed unless told otherwise."""
    given = {"event_id": event_id, "user_id": "u", "item_id": "1", "type": "click", **fields}
    if "recommendation_id" not in given:
        given["recommendation_id"] = desk.recommendation("u")
    status, body = desk.send({name: value for name, value in given.items() if value is not None})
    assert (status, body["accepted"]) == (202, True)
    return body["counted"], body["reason"]


def outcomes(metrics: Metrics) -> dict[str, int]:
    return {name: value for name, value in metrics().items() if name not in TRAFFIC}


@pytest.mark.parametrize(("kind", "value"), [("click", None), ("purchase", 3.5), ("rating", 4.0), ("rating", 5)])
def test_an_outcome_converts_the_exposure_once(testing: Desk, metrics: Metrics, kind: str, value: Any) -> None:
    testing.now += 60
    assert click(testing, type=kind, value=value) == (True, None)
    assert outcomes(metrics) == {"OutcomesCounted": 1, "EnrolledOutcomes": 1, "JoinedOutcomes": 1}
    exposure = testing.exposure("u")
    assert (exposure["converted_at"], exposure["reward"], exposure["variant"]) == (NOW + 60, 1, "B")
    testing.now += 60
    assert click(testing, "e2") == (False, "this user has an outcome already: an experiment counts each user once")
    assert outcomes(metrics) == {"OutcomesReplayed": 1, "EnrolledOutcomes": 1, "JoinedOutcomes": 1}
    assert testing.exposure("u") == exposure


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "view"}, "a view is not an outcome"),
        ({"type": "rating", "value": 3.5}, "a rating below 4 is not an outcome"),
    ],
)
def test_what_is_no_outcome_counts_for_nothing_and_lowers_nothing(
    testing: Desk, metrics: Metrics, fields: dict[str, Any], reason: str
) -> None:
    assert click(testing, **fields) == (False, reason)
    assert outcomes(metrics) == {}
    assert "converted_at" not in testing.exposure("u")


def other_items(desk: Desk) -> str:
    return desk.recommendation("u", "7", "8")


@pytest.mark.parametrize(
    ("recommendation", "reason", "metric"),
    [
        (lambda _: None, "has no recommendation_id", "OutcomesUnjoined"),
        (lambda desk: desk.recommendation("u", key="z" * 64), "no valid signature", "OutcomesForged"),
        (lambda desk: desk.recommendation("u")[::-1], "signature|damaged", "OutcomesForged"),
        (lambda _: "nonsense", "signature|damaged", "OutcomesForged"),
        (lambda desk: desk.recommendation("someone"), "another user", "OutcomesForeign"),
        (other_items, "does not contain this item", "OutcomesUnjoined"),
        (lambda desk: desk.recommendation("u", experiment=""), "outside of any experiment", "OutcomesUnjoined"),
        (lambda desk: desk.recommendation("u", experiment="xr0-1"), "is closed", "OutcomesLate"),
    ],
)
def test_an_outcome_without_a_valid_id_is_kept_counts_for_nothing_and_lowers_the_join_rate(
    testing: Desk, metrics: Metrics, recommendation: Callable[[Desk], str | None], reason: str, metric: str
) -> None:
    counted, said = click(testing, recommendation_id=recommendation(testing))
    assert not counted and any(part in (said or "") for part in reason.split("|"))
    assert outcomes(metrics) == {metric: 1, "EnrolledOutcomes": 1}
    assert "converted_at" not in testing.exposure("u")
    assert testing.item(keys.event("e1"))["forwarded"] is True
    assert click(testing, "e2") == (True, None), "a later one with its id counts"


def test_who_is_not_enrolled_neither_counts_nor_lowers_the_join_rate(desk: Desk, metrics: Metrics) -> None:
    desk.open_experiment()
    counted, reason = click(desk, recommendation_id=None)
    assert not counted and "not enrolled" in (reason or "")
    assert outcomes(metrics) == {}
    assert click(desk, "e2")[0] is False
    assert desk.exposure("u") == {}, "an outcome never makes an exposure"


@pytest.mark.parametrize(("after", "counted"), [(0.0, True), (WINDOW, True), (WINDOW + 0.001, False)])
def test_an_outcome_counts_when_it_arrives_within_the_window_whatever_its_clock_says(
    testing: Desk, metrics: Metrics, after: float, counted: bool
) -> None:
    testing.now += after
    assert click(testing, at=NOW)[0] is counted
    assert outcomes(metrics) == (
        {"OutcomesCounted": 1, "EnrolledOutcomes": 1, "JoinedOutcomes": 1} if counted else {"OutcomesLate": 1}
    )


def test_a_clock_that_is_ahead_does_not_cost_an_outcome(testing: Desk) -> None:
    testing.now += WINDOW - 10
    assert click(testing, at=testing.now + 299) == (True, None)
    assert testing.exposure("u")["converted_at"] == testing.now


def test_late_without_an_id_is_no_outcome_of_an_enrolled_person_any_more(testing: Desk, metrics: Metrics) -> None:
    testing.now += WINDOW + 1
    assert click(testing, recommendation_id=None)[0] is False
    assert outcomes(metrics) == {}


@pytest.mark.parametrize("state", ["frozen", "baking"])
def test_an_experiment_that_is_frozen_or_bakes_still_counts_who_is_enrolled(desk: Desk, state: str) -> None:
    desk.open_experiment(state=state)
    desk.enrol("u")
    assert click(desk) == (True, None)


def test_without_an_open_experiment_nothing_counts_and_forged_ids_still_show(desk: Desk, metrics: Metrics) -> None:
    assert click(desk, recommendation_id=None) == (False, "no experiment is open")
    assert click(desk, "e2", recommendation_id=desk.recommendation("u")) == (
        *(False, "it is late: the experiment of its recommendation is closed"),
    )
    assert outcomes(metrics) == {"OutcomesLate": 1}
    assert click(desk, "e3", recommendation_id="x.y.z")[0] is False
    assert click(desk, "e4", recommendation_id=desk.recommendation("v", experiment=""))[0] is False
    assert outcomes(metrics) == {"OutcomesForged": 1, "OutcomesForeign": 1}


def test_an_experiment_that_has_just_opened_is_known_by_the_ids_that_name_it(desk: Desk) -> None:
    assert click(desk, recommendation_id=None) == (False, "no experiment is open")  # and the router is read
    desk.now += 6
    desk.open_experiment()
    desk.enrol("u")
    assert click(desk, "e2") == (True, None)


def test_both_keys_are_valid_during_a_rotation_and_a_new_one_is_known_soon(testing: Desk, metrics: Metrics) -> None:
    assert click(testing) == (True, None)
    testing.secrets.put_secret_value(SecretId=testing.secret, SecretString="n" * 64)
    for user, key in [("new", "n" * 64), ("old", "k" * 64)]:
        testing.enrol(user)
        testing.now += 6
        given = {"user_id": user, "recommendation_id": testing.recommendation(user, key=key)}
        assert click(testing, f"e-{user}", **given) == (True, None)
    testing.secrets.put_secret_value(SecretId=testing.secret, SecretString="m" * 64)
    testing.enrol("late")
    testing.now += 301
    given = {"user_id": "late", "recommendation_id": testing.recommendation("late")}
    assert click(testing, "e-late", **given)[0] is False, "a key that was retired signs nothing"
    assert outcomes(metrics)["OutcomesForged"] == 1


def test_forged_ids_do_not_read_the_secret_each_time(testing: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    real = testing.service.outcomes.keys._read
    monkeypatch.setattr(testing.service.outcomes.keys, "_read", lambda: (reads.append(1), real())[1])
    for number in range(20):
        click(testing, f"e{number}", recommendation_id="x.y.z")
    assert len(reads) == 1


def test_keys_that_cannot_be_read_are_503_and_the_outcome_counts_when_it_comes_again(testing: Desk) -> None:
    def away() -> Any:
        raise OperatorError("the signing secret has 3 bytes")

    real, testing.service.outcomes.keys._read = testing.service.outcomes.keys._read, away
    given = {"event_id": "e1", "user_id": "u", "item_id": "1", "type": "click"}
    given["recommendation_id"] = testing.recommendation("u")
    assert testing.send(given)[0] == 503
    testing.service.outcomes.keys._read = real
    assert testing.send(given)[1]["counted"] is True


@pytest.mark.parametrize("seconds", [None, "soon", -1, 0])
def test_an_experiment_whose_record_is_damaged_counts_nothing_and_loses_nothing(desk: Desk, seconds: Any) -> None:
    desk.open_experiment()
    desk.enrol("u")
    fields = {} if seconds is None else {"attribution_seconds": seconds}
    desk.table.put_item(Item=keys.experiment("xr1-1").item() | fields)
    counted, reason = click(desk)
    assert not counted and "nothing counts: the record of experiment xr1-1" in (reason or "")
    assert desk.item(keys.event("e1"))["forwarded"] is True


def test_a_router_that_was_damaged_by_hand_counts_nothing_and_loses_nothing(testing: Desk) -> None:
    testing.table.put_item(Item=keys.ROUTER.item() | {"version": "seven"})
    assert click(testing) == (False, "nothing counts: the router's item is damaged")
    assert testing.item(keys.event("e1"))["forwarded"] is True


def test_an_exposure_that_says_nothing_of_its_time_is_none(desk: Desk) -> None:
    desk.open_experiment()
    desk.table.put_item(Item=keys.exposure(hash_user_id("u"), "xr1-1").item())
    assert click(desk)[0] is False and click(desk, "e2", recommendation_id=None)[0] is False
    assert "converted_at" not in desk.exposure("u")


def test_another_experiments_exposure_is_not_touched(testing: Desk) -> None:
    testing.enrol("u", "xr0-1")
    assert click(testing) == (True, None)
    assert "converted_at" not in testing.exposure("u", "xr0-1")


def test_metrics_are_kept_by_experiment_so_that_the_join_rate_can_be_read(
    testing: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    click(testing)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "JoinedOutcomes" in line]
    assert '"Dimensions":[["service"],["experiment"]]' in line and '"experiment":"xr1-1"' in line
    assert '"service":"ingest_feedback"' in line and '"StorageResolution":1' in line
