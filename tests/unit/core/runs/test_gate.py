"""The gate's rules, each with the facts that trip it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from usher.runs.gate import judge

GOOD: dict[str, Any] = {
    "window": {"users": 115},
    "metrics": {
        "candidate": {"ndcg@10": 0.17, "rmse": 0.92},
        "popularity": {"ndcg@10": 0.115},
        "champion": {"ndcg@10": 0.165},
    },
    "intervals": {"candidate-champion": {"ndcg@10": {"mean": 0.005, "low": -0.01, "high": 0.02}}},
    "leaks": [],
}


@pytest.fixture
def facts() -> dict[str, Any]:
    return copy.deepcopy(GOOD)


def test_a_candidate_whose_interval_lies_below_0_is_worse(facts: dict[str, Any]) -> None:
    facts["intervals"]["candidate-champion"]["ndcg@10"] = {"mean": -0.02, "low": -0.03, "high": -0.001}
    verdict = judge(facts, 50)
    assert (verdict.name, verdict.passed) == ("worse", False)
    assert "0.0200 below the champion's" in verdict.reason
    assert "[-0.0300, -0.0010]" in verdict.reason
    assert verdict.numbers["high"] == -0.001


def test_a_candidate_that_touches_0_from_below_is_not_refused(facts: dict[str, Any]) -> None:
    facts["intervals"]["candidate-champion"]["ndcg@10"] = {"mean": -0.02, "low": -0.04, "high": 0.0}
    assert judge(facts, 50).passed


def test_a_candidate_below_popularity_is_refused_though_it_beats_the_champion(facts: dict[str, Any]) -> None:
    facts["metrics"]["candidate"]["ndcg@10"] = 0.1149
    verdict = judge(facts, 50)
    assert verdict.name == "popularity"
    assert verdict.numbers == {"candidate": 0.1149, "popularity": 0.115}


def test_a_leak_is_refused_before_anything_else(facts: dict[str, Any]) -> None:
    facts["leaks"] = ["the candidate was fitted on rows of the window"]
    facts["metrics"]["candidate"]["ndcg@10"] = None
    verdict = judge(facts, 10_000)
    assert verdict.name == "leak"
    assert "fitted on rows of the window" in verdict.reason


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.9", True])
@pytest.mark.parametrize("metric", ["ndcg@10", "rmse"])
def test_a_metric_that_is_not_a_number_is_refused(facts: dict[str, Any], metric: str, value: Any) -> None:
    facts["metrics"]["candidate"][metric] = value
    verdict = judge(facts, 50)
    assert verdict.name == "nan"
    assert metric in verdict.reason


def test_a_candidate_without_the_metric_is_refused(facts: dict[str, Any]) -> None:
    del facts["metrics"]["candidate"]["ndcg@10"]
    assert judge(facts, 50).name == "nan"


@pytest.mark.parametrize(("users", "name"), [(0, "insufficient"), (49, "insufficient"), (50, "pass")])
def test_fewer_users_than_the_minimum_are_insufficient(facts: dict[str, Any], users: int, name: str) -> None:
    facts["window"]["users"] = users
    assert judge(facts, 50).name == name


def test_an_empty_window_is_insufficient_and_not_nan(facts: dict[str, Any]) -> None:
    facts["window"]["users"] = 0
    facts["metrics"] = {"candidate": {}, "popularity": {}}
    assert judge(facts, 50).name == "insufficient"


def test_without_a_champion_the_comparison_is_left_out_and_the_reason_says_so(facts: dict[str, Any]) -> None:
    del facts["metrics"]["champion"]
    facts["intervals"] = {}
    verdict = judge(facts, 50)
    assert verdict.passed
    assert "no champion" in verdict.reason


def test_a_champion_without_an_interval_raises(facts: dict[str, Any]) -> None:
    facts["intervals"] = {}
    with pytest.raises(ValueError, match=r"candidate-champion\.ndcg@10 is missing"):
        judge(facts, 50)


@pytest.mark.parametrize("missing", ["window", "metrics", "intervals", "leaks"])
def test_malformed_facts_raise_and_name_what_is_missing(facts: dict[str, Any], missing: str) -> None:
    del facts[missing]
    with pytest.raises(ValueError, match=missing):
        judge(facts, 50)


def test_a_pass_names_its_numbers(facts: dict[str, Any]) -> None:
    verdict = judge(facts, 50)
    assert verdict.passed
    for number in ("0.1700", "115 users", "0.1150", "+0.0050 [-0.0100, +0.0200]"):
        assert number in verdict.reason
    assert verdict.numbers["champion"] == 0.165
