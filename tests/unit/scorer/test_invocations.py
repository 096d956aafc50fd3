"""POST /invocations: what cannot be understood gets a code and a sentence, never a stack trace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from usher_scorer.bundle import Bundle
from usher_scorer.errors import RequestError
from usher_scorer.invocations import BODY_MAX_BYTES, K_MAX, invoke, problem


def ask(bundle: Bundle, **body: Any) -> dict[str, Any]:
    return invoke(bundle, json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"op": NaN}', b"[" * 200_000])
def test_what_is_no_json_object_is_refused(bundle: Bundle, body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        invoke(bundle, body)
    assert caught.value.code == "bad_json"


def test_a_huge_body_is_refused_unread(bundle: Bundle) -> None:
    with pytest.raises(RequestError) as caught:
        invoke(bundle, b" " * (BODY_MAX_BYTES + 1))
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("op", [None, "recomend", 3, ["recommend"]])
def test_an_unknown_operation_names_the_known_ones(bundle: Bundle, op: Any) -> None:
    with pytest.raises(RequestError, match="it is one of recommend, similar, popular, score"):
        ask(bundle, op=op)


@pytest.mark.parametrize("k", [0, -1, 10**9, K_MAX + 1, 2.5, "10", True, None, [1]])
def test_a_number_of_items_out_of_range_is_refused(bundle: Bundle, k: Any) -> None:
    with pytest.raises(RequestError, match=f"a whole number from 1 to {K_MAX}") as caught:
        ask(bundle, op="recommend", user_id="u0", k=k)
    assert caught.value.code == "bad_k"


@pytest.mark.parametrize(
    "profile",
    [
        "m1",
        [["m1", 5.0]],
        [["m1", 0.4, 1]],
        [["m1", 5.1, 1]],
        [["m1", "5", 1]],
        [["m1", True, 1]],
        [["m1", 5, -1]],
        [["m1", 5, 1e300]],
        [[1, 5, 1]],
        [["", 5, 1]],
        [["x" * 129, 5, 1]],
        [["m1", 5, 1]] * 1001,
    ],
)
def test_a_profile_of_another_shape_is_refused(bundle: Bundle, profile: Any) -> None:
    with pytest.raises(RequestError) as caught:
        ask(bundle, op="recommend", profile=profile)
    assert caught.value.code.startswith("bad_profile")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", 42),
        ("user_id", ""),
        ("user_id", "x" * 129),
        ("exclude", "m1"),
        ("exclude", [1]),
        ("genre", 3),
        ("genre", "x" * 2000),
        ("not_released_after", 2005),
        ("explain", "yes"),
    ],
)
def test_a_field_of_another_kind_is_named(bundle: Bundle, field: str, value: Any) -> None:
    with pytest.raises(RequestError, match=field):
        ask(bundle, op="recommend", **{field: value})


@pytest.mark.parametrize(
    "instances",
    [
        "x",
        [1],
        [{}],
        [{"features": "0,1"}],
        [{"features": [0]}],
        [{"features": [0, 1, 2]}],
        [{"features": [0.5, 1]}],
        [{"features": [True, 1]}],
        [{"features": [-1, 0]}],
        [{"features": [0, 10**9]}],
        [{"features": [10**9, 0]}],
    ],
)
def test_instances_of_another_shape_are_refused(bundle: Bundle, instances: Any) -> None:
    with pytest.raises(RequestError) as caught:
        ask(bundle, instances=instances)
    assert caught.value.code == "bad_instances"


def test_a_problem_has_code_and_message() -> None:
    assert problem(RequestError("bad_k", "no")) == {"error": {"code": "bad_k", "message": "no"}}


def test_every_operation_has_a_result(bundle: Bundle) -> None:
    answer = ask(bundle, op="recommend", user_id="u0", k=3, explain=True)
    assert set(answer) == {"model_id", "level", "items"}
    assert set(answer["items"][0]) == {"item_id", "title", "genres", "score", "reason"}
    assert len(ask(bundle, op="similar", item_id="m2", k=4)["items"]) == 4
    assert len(ask(bundle, op="popular", genre="drama", k=4)["items"]) == 4
    assert len(ask(bundle, op="popular", recent=True)["items"]) == 10
    assert len(ask(bundle, op="score", user_id="u0", items=["m1", "m2"])["scores"]) == 2


def test_the_built_ins_form_scores_as_the_operation_does(bundle: Bundle) -> None:
    pairs = [(0, 1), (3, 2), (0, 4)]
    answer = ask(bundle, instances=[{"features": list(pair)} for pair in pairs])
    one_by_one = [ask(bundle, op="score", user_id=f"u{u}", items=[f"m{i}"])["scores"][0] for u, i in pairs]
    assert [entry["score"] for entry in answer["predictions"]] == pytest.approx(one_by_one)
    assert ask(bundle, instances=[]) == {"predictions": []}


def test_answers_are_json_without_nan(bundle: Bundle) -> None:
    for user in bundle.users:
        json.dumps(ask(bundle, op="recommend", user_id=user, k=500, explain=True), allow_nan=False)
