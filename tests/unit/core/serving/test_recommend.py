"""The read path: a bad request gets a problem that names its parameter, a failure the next level of the fallback."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from usher.api.signing_keys import current_key, valid_keys
from usher.schema.ids import hash_user_id
from usher.schema.settings import SettingsError
from usher.schema.signing import verify
from usher.serving import bootstrap, circuit_breaker
from usher.serving.bootstrap import make_service
from usher.store import keys
from usher.store.codec import stored
from usher.store.router import Router, write_router
from usher_scorer.bundle import Bundle

if TYPE_CHECKING:
    from tests.unit.core.serving.conftest import Api

NOW = 1_800_000_000
KEY = "k" * 64
IDLE = Router(1, NOW, "idle", "", "A", {"A": 1.0, "B": 0.0}, {"A": "rtest-1", "B": "rtest-1"})


def shown(body: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in body["items"]]


def keep_profile(api: Api, user_id: str, *rows: tuple[str, float, int]) -> None:
    recent = [{"item_id": item, "rating": rating, "at": at} for item, rating, at in rows]
    api.table.put_item(Item=keys.profile(hash_user_id(user_id)).item() | stored({"recent": recent}))


# Bad requests


BAD_QUERIES: list[tuple[str, dict[str, Any], str, str]] = [
    ("/recommendations", {}, "missing-parameter", "user_id"),
    ("/recommendations", {"user_id": ""}, "bad-parameter", "user_id"),
    ("/recommendations", {"user_id": "x" * 129}, "bad-parameter", "user_id"),
    ("/recommendations", {"user_id": "x" * 10_240}, "bad-parameter", "user_id"),
    ("/recommendations", {"user_id": "ü" * 65}, "bad-parameter", "user_id"),
    ("/recommendations", {"user_id": "a\x00b"}, "bad-parameter", "user_id"),
    ("/recommendations", {"user_id": ["1", "2"]}, "bad-parameter", "user_id"),
    ("/recommendations", {"user_id": "1", "limit": "0"}, "bad-parameter", "limit"),
    ("/recommendations", {"user_id": "1", "limit": "-1"}, "bad-parameter", "limit"),
    ("/recommendations", {"user_id": "1", "limit": "1000000000"}, "bad-parameter", "limit"),
    ("/recommendations", {"user_id": "1", "limit": "9" * 4000}, "bad-parameter", "limit"),
    ("/recommendations", {"user_id": "1", "limit": "ten"}, "bad-parameter", "limit"),
    ("/recommendations", {"user_id": "1", "limit": "1.5"}, "bad-parameter", "limit"),
    ("/recommendations", {"user_id": "1", "explain": "yes"}, "bad-parameter", "explain"),
    ("/recommendations", {"user_id": "1", "genre": "x" * 101}, "bad-parameter", "genre"),
    ("/recommendations", {"user_id": "1", "genre": "Comdy"}, "unknown-genre", "genre"),
    ("/recommendations", {"user_id": "1", "not_released_after": "soon"}, "bad-parameter", "not_released_after"),
    ("/recommendations", {"user_id": "1", "exclude": ["a"] * 501}, "bad-parameter", "exclude"),
    ("/recommendations", {"user_id": "1", "exclude": ["a", "b" * 129]}, "bad-parameter", "exclude[1]"),
    ("/recommendations", {"user_id": "1", "limt": "5"}, "unknown-parameter", "limt"),
    ("/similar", {}, "missing-parameter", "item_id"),
    ("/similar", {"item_id": "nobody-has-this"}, "unknown-item", "item_id"),
    ("/similar", {"item_id": "m1", "user_id": "1"}, "unknown-parameter", "user_id"),
    ("/popular", {"limit": "101"}, "bad-parameter", "limit"),
    ("/popular", {"genre": "Wstern"}, "unknown-genre", "genre"),
    ("/health", {"verbose": "1"}, "unknown-parameter", "verbose"),
    ("/fly", {}, "not-found", ""),
]


def test_a_bad_request_gets_a_problem_that_names_its_parameter(api: Api) -> None:
    for path, query, kind, parameter in BAD_QUERIES:
        _, body = api(path, **query)
        found = (body["type"], body.get("parameter", ""))
        assert found == (f"urn:usher:problem:{kind}", parameter), (path, str(query)[:200], body)
        assert len(json.dumps(body)) < 1200
    assert not api.told.defects


BAD_BODIES: list[tuple[Any, str, str]] = [
    ("{", "bad-body", ""),
    ('{"session": NaN}', "bad-body", ""),
    ("[" * 30_000, "bad-body", ""),
    ("[]", "bad-parameter", ""),
    ({}, "missing-parameter", "session"),
    ({"session": []}, "bad-parameter", "session"),
    ({"session": [{}]}, "missing-parameter", "session[0].item_id"),
    ({"session": [{"item_id": 1}]}, "bad-parameter", "session[0].item_id"),
    ({"session": [{"item_id": "\ud800"}]}, "bad-parameter", "session[0].item_id"),
    ({"session": [{"item_id": "m1", "rating": 9}]}, "bad-parameter", "session[0].rating"),
    ({"session": [{"item_id": "m1", "rating": True}]}, "bad-parameter", "session[0].rating"),
    ({"session": [{"item_id": "m1"}] * 201}, "bad-parameter", "session"),
    ({"session": [{"item_id": "m1"}], "limit": "5"}, "bad-parameter", "limit"),
    ({"session": [{"item_id": "m1"}], "user": "5"}, "unknown-parameter", "user"),
    (json.dumps({"session": [{"item_id": "m1"}], "genre": " " * 70_000}), "too-large", ""),
]


def test_a_bad_body_gets_a_problem_that_names_its_field(api: Api) -> None:
    for body, kind, parameter in BAD_BODIES:
        _, answer = api("/recommendations", body if isinstance(body, str) else json.dumps(body))
        found = (answer["type"], answer.get("parameter", ""))
        assert found == (f"urn:usher:problem:{kind}", parameter), (str(body)[:200], answer)
    assert not api.told.defects


def test_a_path_takes_the_methods_of_the_document_alone(api: Api) -> None:
    assert api("/recommendations", method="DELETE")[0] == 405
    assert api("/recommendations", method="DELETE")[1]["detail"] == "/recommendations takes GET and POST, not DELETE"


def test_a_query_string_that_is_no_utf8_is_refused(api: Api) -> None:
    event = {
        "rawPath": "/recommendations",
        "rawQueryString": "user_id=%ff",
        "requestContext": {"stage": "$default", "http": {"method": "GET"}},
    }
    assert api.send(event)[1]["type"] == "urn:usher:problem:bad-parameter"


def test_a_defect_is_told_to_the_log_and_not_to_the_caller(api: Api) -> None:
    status, body = api.send({"rawPath": "/health", "requestContext": {}})
    assert (status, body["detail"]) == (500, "Usher failed on this request: look into the function's log")
    assert [type(error) for error in api.told.defects] == [KeyError]


# The fallback chain


def test_before_the_first_model_nothing_can_answer_and_the_problem_says_so(api: Api) -> None:
    for key in (keys.ROUTER, keys.POPULAR):
        api.table.delete_item(Key=key.item())
    for path, query in (("/recommendations", {"user_id": "1"}), ("/similar", {"item_id": "m1"}), ("/popular", {})):
        status, body = api(path, **query)
        assert (status, body["type"]) == (503, "urn:usher:problem:no-answer-yet")
    assert api("/health")[0] == 503


def test_the_first_router_is_seen_at_once(api: Api) -> None:
    api.table.delete_item(Key=keys.ROUTER.item())
    assert api("/health")[0] == 503
    write_router(api.table, IDLE)
    assert api("/health")[0] == 200


@pytest.mark.parametrize("mode", ["down", "broken", "garbage", "gone", "odd"])
def test_a_variant_that_fails_gives_way_to_the_other_one(api: Api, mode: str) -> None:
    api.variants.modes["A"] = mode
    status, body = api("/recommendations", user_id="u0")
    assert (status, body["variant"], body["level"]) == (200, "B", "model")
    assert [variant for variant, _ in api.told.failed] == ["A"]


@pytest.mark.parametrize("mode", ["down", "broken", "garbage", "gone"])
def test_where_no_variant_answers_popularity_does(api: Api, mode: str) -> None:
    api.variants.modes = {"A": mode, "B": mode}
    status, body = api("/recommendations", user_id="u0", limit=5)
    assert (status, body["variant"], body["level"], len(body["items"])) == (200, None, "popular", 5)
    assert verify(body["recommendation_id"], [KEY.encode()]).variant == ""
    assert api("/similar", item_id="m1")[0] == 503


def test_a_variant_that_was_rolled_back_stands_in_for_nobody(api: Api) -> None:
    write_router(api.table, replace(IDLE, version=2, models={"A": "rtest-1", "B": "rolled-back"}))
    api.variants.modes["A"] = "down"
    assert api("/recommendations", user_id="u0")[1]["level"] == "popular"
    assert {variant for variant, _ in api.variants.asked} == {"A"}


def test_a_slow_variant_costs_its_time_out_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ENDPOINT", bootstrap.ENDPOINT.merge(type(bootstrap.ENDPOINT)(read_timeout=0.3)))
    api.variants.modes["A"] = "slow"
    assert api("/recommendations", user_id="u0")[1]["variant"] == "B"
    assert api("/recommendations", user_id="u0")[1]["variant"] == "B"
    assert [variant for variant, _ in api.variants.asked] == ["A", "B", "B"]
    api.variants.modes["A"] = "ok"
    api.now += circuit_breaker.SLOW_SECONDS
    assert api("/recommendations", user_id="u0")[1]["variant"] == "A"


def test_the_clients_never_retry_a_variant_and_give_up_within_seconds() -> None:
    assert bootstrap.ENDPOINT.retries["total_max_attempts"] == 1
    assert bootstrap.ENDPOINT.connect_timeout + bootstrap.ENDPOINT.read_timeout <= 2.5


def test_an_unknown_person_gets_what_is_popular(api: Api) -> None:
    _, body = api("/recommendations", user_id="nobody")
    assert (body["level"], body["variant"]) == ("popular", "A")
    assert shown(body) == shown(api("/popular")[1])


def test_a_known_person_gets_the_models_answer_without_what_they_rated(api: Api, bundle: Bundle) -> None:
    status, body = api("/recommendations", user_id="u0", limit=100)
    assert (status, body["level"], body["model_id"], body["user_id"]) == (200, "model", bundle.manifest.model_id, "u0")
    assert [item["rank"] for item in body["items"]] == list(range(1, len(body["items"]) + 1))
    rated = {bundle.catalogue.ids[item] for item in bundle.profiles.slice(0, 1).items.tolist()}
    assert rated and not rated & set(shown(body))


def test_fresh_feedback_is_folded_in_and_does_not_return(api: Api) -> None:
    keep_profile(api, "new", ("m1", 5.0, NOW - 9), ("m3", 5.0, NOW - 5), ("m5", 1.0, NOW))
    _, body = api("/recommendations", user_id="new", limit=100)
    assert body["level"] == "fold_in"
    assert not {"m1", "m3", "m5"} & set(shown(body))
    api.variants.modes = {"A": "down", "B": "down"}
    assert not {"m1", "m3", "m5"} & set(shown(api("/recommendations", user_id="new", limit=100)[1]))


def test_damaged_rows_of_a_profile_are_passed_over(api: Api) -> None:
    recent = [{"item_id": "m1", "rating": 99, "at": NOW}, {"rating": 4}, "x", {"item_id": "m3", "rating": 5, "at": NOW}]
    api.table.put_item(Item=keys.profile(hash_user_id("odd")).item() | stored({"recent": recent}))
    assert api("/recommendations", user_id="odd")[1]["level"] == "fold_in"
    assert api.variants.asked[-1][1]["profile"] == [["m3", 5.0, NOW]]


def test_a_session_is_folded_in_and_is_nobodys(api: Api) -> None:
    session = [{"item_id": item, "rating": 5} for item in ("m0", "m2", "m4", "m6")] + [{"item_id": "m8"}]
    status, body = api("/recommendations", {"session": session, "limit": 5, "explain": True})
    assert (status, body["level"], body["user_id"]) == (200, "fold_in", None)
    assert all("reason" in item for item in body["items"])
    assert not set(shown(body)) & {"m0", "m2", "m4", "m6", "m8"}
    assert verify(body["recommendation_id"], [KEY.encode()]).user == ""
    profile = api.variants.asked[-1][1]["profile"]
    assert profile[-1] == ["m8", 4.0, NOW]
    assert [row[2] for row in profile] == sorted(row[2] for row in profile)


def test_a_body_in_base64_says_the_same(api: Api) -> None:
    event = {
        "rawPath": "/v1/recommendations",
        "requestContext": {"stage": "v1", "http": {"method": "POST"}},
        "isBase64Encoded": True,
        "body": base64.b64encode(b'{"session": [{"item_id": "m0"}]}').decode(),
    }
    assert api.send(event)[0] == 200
    assert api.send({**event, "body": "&"})[1]["type"] == "urn:usher:problem:bad-body"


def test_the_last_rung_knows_genre_year_and_what_to_leave_out(api: Api) -> None:
    api.variants.modes = {"A": "down", "B": "down"}
    _, body = api("/recommendations", user_id="x", genre="cOMEDY", exclude=["m0", "m2"], limit=100)
    assert body["items"] and all("Comedy" in item["genres"] for item in body["items"])
    assert not {"m0", "m2"} & set(shown(body))
    assert api("/recommendations", user_id="x", genre="Comdy")[1]["parameter"] == "genre"
    dated = api("/recommendations", user_id="x", not_released_after="1999", limit=100)[1]
    assert dated["items"] and all("Comedy" in item["genres"] for item in dated["items"])  # the dramas are of 2010
    assert api("/recommendations", user_id="x", not_released_after="1989-12-31")[1]["items"] == []


def test_filters_reach_the_model(api: Api) -> None:
    query = {"genre": "drama", "exclude": ["m1", "a,b"], "not_released_after": "2012-01-01", "limit": 3}
    _, body = api("/recommendations", user_id="u0", **query)
    assert all("Drama" in item["genres"] for item in body["items"])
    asked = api.variants.asked[-1][1]
    assert asked["exclude"] == ["m1", "a,b"]
    assert (asked["k"], asked["not_released_after"]) == (3, "2012-01-01")


def test_similar_items_come_from_the_champion(api: Api) -> None:
    status, body = api("/similar", item_id="m1", limit=3)
    assert (status, body["variant"], len(body["items"])) == (200, "A", 3)
    assert "m1" not in shown(body)


def test_health_says_what_serves(api: Api) -> None:
    assert api("/health")[1] == {
        "status": "serving",
        "state": "idle",
        "version": 1,
        "models": {"A": "rtest-1", "B": "rtest-1"},
        "weights": {"A": 1, "B": 0},
    }


# State


def test_the_router_is_read_again_after_thirty_seconds(api: Api) -> None:
    assert api("/health")[1]["version"] == 1
    write_router(api.table, replace(IDLE, version=2))
    api.now += 29
    assert api("/health")[1]["version"] == 1
    api.now += 1
    assert api("/health")[1]["version"] == 2


def test_a_state_table_out_of_reach_leaves_the_last_router(api: Api) -> None:
    assert api("/recommendations", user_id="u0")[1]["level"] == "model"
    api.table.delete()
    api.now += 31
    assert api("/recommendations", user_id="u0")[1]["level"] == "model"
    assert {"router", "profile"} <= set(api.told.unread_)


def test_a_state_table_that_never_was_is_a_problem_not_a_trace(api: Api) -> None:
    api.table.delete()
    status, body = api("/recommendations", user_id="u0")
    assert (status, body["type"]) == (503, "urn:usher:problem:no-answer-yet")


def test_without_its_key_the_answer_comes_unsigned(api: Api) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="signing", SecretString="short")
    status, body = api("/recommendations", user_id="u0")
    assert (status, body["level"], body["recommendation_id"]) == (200, "model", None)
    assert api.told.unread_ == ["signing key"]


def test_two_keys_are_valid_during_a_rotation(api: Api) -> None:
    secrets = boto3.client("secretsmanager")
    assert valid_keys(secrets, "signing") == (KEY.encode(),)
    secrets.put_secret_value(SecretId="signing", SecretString="n" * 40)
    assert current_key(secrets, "signing") == b"n" * 40
    assert valid_keys(secrets, "signing") == (b"n" * 40, KEY.encode())


# The function back end


@pytest.fixture
def function_api(api: Api, tmp_path: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The same stack with the bundle in the function, from the lake bucket."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for path in bundle_folder.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), "lake", f"runs/rtest-1/bundle/{path.relative_to(bundle_folder)}")
    api.settings = replace(api.settings, serving_backend="function", lake_bucket="lake", endpoint_name="")
    return api


def test_both_back_ends_give_the_same_answer(function_api: Api) -> None:
    status, body = function_api("/recommendations", user_id="u0")
    assert status == 200 and not function_api.variants.asked
    settings = replace(function_api.settings, serving_backend="endpoint", endpoint_name="usher")
    other = replace(function_api, settings=settings, _service=None)
    assert other("/recommendations", user_id="u0")[1] == body
    assert function_api("/recommendations", user_id="u0", genre="Comdy")[1]["parameter"] == "genre"


def test_a_damaged_or_missing_bundle_gives_way_to_popularity(function_api: Api) -> None:
    boto3.client("s3").put_object(Bucket="lake", Key="runs/rtest-1/bundle/popularity/all.npy", Body=b"no array")
    assert function_api("/recommendations", user_id="u0")[1]["level"] == "popular"
    assert function_api.told.failed[0][1].startswith("BundleError")
    write_router(function_api.table, replace(IDLE, version=2, models={"A": "gone", "B": "gone"}))
    function_api.now += 31
    assert function_api("/recommendations", user_id="u0")[1]["level"] == "popular"
    assert "has 0 files" in function_api.told.failed[-1][1]


def test_a_bundle_never_writes_outside_its_folder(function_api: Api, tmp_path: Path) -> None:
    boto3.client("s3").put_object(Bucket="lake", Key="runs/rtest-1/bundle/../../../escaped", Body=b"x")
    assert function_api("/recommendations", user_id="u0")[1]["level"] == "popular"
    assert "unexpected key" in function_api.told.failed[0][1]
    assert not list(tmp_path.rglob("escaped"))


def test_bundles_that_no_variant_holds_are_removed(function_api: Api, tmp_path: Path) -> None:
    stale = tmp_path / "usher-bundles" / "old"
    stale.mkdir(parents=True)
    assert function_api("/recommendations", user_id="u0")[1]["level"] == "model"
    assert [path.name for path in (tmp_path / "usher-bundles").iterdir()] == ["rtest-1"]


@pytest.mark.parametrize(("backend", "name"), [("endpoint", "ENDPOINT_NAME"), ("function", "LAKE_BUCKET")])
def test_a_back_end_without_its_setting_is_refused(api: Api, backend: str, name: str) -> None:
    settings = replace(api.settings, serving_backend=backend, endpoint_name="", lake_bucket="")
    with pytest.raises(SettingsError, match=f"USHER_{name} is missing"):
        make_service(settings, api.told, time.time, lambda: api.scorer)
