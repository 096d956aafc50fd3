"""Whose request it is, for any router that can stand; when a variant is passed over; what the metrics say of both."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.cloudwatch.emf import parse
from usher.experiments.metrics import KINDS
from usher.experiments.stats.presets import GUARDRAIL_KINDS
from usher.schema.ids import hash_user_id
from usher.serving.assignment import Assignment, BadRouter, WeightError, assign, check_router
from usher.serving.circuit_breaker import BROKEN_SECONDS, FAILURES, SLOW_SECONDS, Breaker
from usher.serving.fallback import SLOW_MS, Answer, AskResult, in_order
from usher.serving.metrics import Telemetry
from usher.store.experiments import Meta
from usher.store.exposures import Exposure
from usher.store.router import Router, Variant

NOW = 1_800_000_000.0
MODELS = {"A": "r1-1", "B": "r2-1"}


def router(**changes: Any) -> Router:
    fields: dict[str, Any] = {
        **{"version": 3, "opened_at": 0, "state": "testing", "experiment_id": "xr2-1", "champion": "A"},
        **{"weights": {"A": 0.5, "B": 0.5}, "models": MODELS},
    }
    return Router(**fields | changes)


variants = st.sampled_from(["A", "B"])
routers = st.builds(
    lambda state, champion, b: router(state=state, champion=champion, weights={"A": 1 - b, "B": b}),
    st.sampled_from(["testing", "frozen", "baking"]),
    variants,
    st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
)


def meta(salt: str, champion: Variant) -> Meta:
    fields: dict[str, Any] = {
        **{"started_at": 1, "attribution_seconds": 3600, "epoch_seconds": 1, "settle_seconds": 1, "hour_seconds": 1},
        **{"bake_seconds": 1, "preset": "default", "models": {}},
    }
    return Meta("xr2-1", salt, champion=champion, challenger="B" if champion == "A" else "A", **fields)


experiments = st.builds(meta, st.text(min_size=1, max_size=8), variants)
exposures = st.none() | st.builds(Exposure, variants, st.integers(0, 9), st.floats(NOW - 9000, NOW + 9000))
users = st.integers(0, 10**6).map(lambda n: hash_user_id(str(n)))


@given(routers, experiments, users, exposures)
def test_nobody_is_given_a_variant_without_traffic_and_only_testing_enrols(
    standing: Router, experiment: Meta, who: str, exposure: Exposure | None
) -> None:
    given = assign(check_router(standing), experiment, who, exposure, NOW)
    assert standing.weights[given.variant] > 0
    assert given.experiment == "xr2-1"
    assert not given.enrols or (standing.state == "testing" and exposure is None)
    assert given == assign(standing, experiment, who, exposure, NOW)


@given(routers, experiments, users, exposures)
def test_an_exposure_binds_inside_its_window_while_its_variant_has_traffic(
    standing: Router, experiment: Meta, who: str, exposure: Exposure | None
) -> None:
    given = assign(standing, experiment, who, exposure, NOW)
    if exposure and 0 <= NOW - exposure.enrolled_at < 3600 and standing.weights[exposure.variant] > 0:
        assert given.variant == exposure.variant
    else:
        assert given.variant == assign(standing, experiment, who, None, NOW).variant


@given(routers, experiments, users)
def test_nobody_known_and_no_experiment_mean_the_champion(standing: Router, experiment: Meta, who: str) -> None:
    assert assign(standing, experiment, "", None, NOW) == Assignment(standing.champion)
    assert assign(standing, None, who, None, NOW) == Assignment(standing.champion)


def test_a_variant_without_traffic_stands_in_only_for_its_own_model() -> None:
    assert in_order(router(), "B") == ("B", "A")
    assert in_order(router(weights={"A": 1.0, "B": 0.0}), "A") == ("A",)
    assert in_order(router(weights={"A": 1.0, "B": 0.0}, models={"A": "r", "B": "r"}), "A") == ("A", "B")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ({"champion": "C"}, BadRouter),
        ({"models": {"A": "r"}}, BadRouter),
        ({"weights": {"A": 1.0}}, BadRouter),
        ({"weights": {"A": 1.0, "B": 0.5}}, WeightError),
        ({"weights": {"A": -0.5, "B": 1.5}}, WeightError),
        ({"weights": {"A": float("nan"), "B": 1.0}}, WeightError),
    ],
)
def test_a_router_that_cannot_stand_is_refused(damage: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        check_router(router(**damage))


# The breaker


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


def test_some_quick_failures_in_a_row_break_a_variant_and_one_answer_mends_it() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FAILURES - 1):
        breaker.failed("B", "m", slow=False)
    breaker.answered("B")
    for _ in range(FAILURES - 1):
        breaker.failed("B", "m", slow=False)
    assert not breaker.skips("B", "m")
    breaker.failed("B", "m", slow=False)
    assert breaker.skips("B", "m")
    assert not breaker.skips("A", "m")
    clock.now += BROKEN_SECONDS
    assert not breaker.skips("B", "m")  # the probe
    breaker.failed("B", "m", slow=False)
    assert breaker.skips("B", "m")
    clock.now += BROKEN_SECONDS
    breaker.answered("B")
    breaker.failed("B", "m", slow=False)
    assert not breaker.skips("B", "m")


def test_one_time_out_breaks_a_variant_even_where_no_other_may_serve() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed("A", "m", slow=True)
    assert breaker.skips("A", "m", alone=True)
    clock.now += SLOW_SECONDS
    assert not breaker.skips("A", "m", alone=True)


def test_where_no_other_may_serve_quick_failures_are_tried_on() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES):
        breaker.failed("A", "m", slow=False)
    assert breaker.skips("A", "m")
    assert not breaker.skips("A", "m", alone=True)


def test_a_new_model_in_a_broken_variant_starts_without_a_record() -> None:
    breaker = Breaker(Clock())
    breaker.failed("B", "old", slow=True)
    assert breaker.skips("B", "old")
    assert not breaker.skips("B", "new")
    breaker.failed("B", "new", slow=False)
    assert not breaker.skips("B", "new")


# What counts against a variant


@pytest.mark.parametrize(
    ("variant", "seconds", "items", "faults"),
    [
        ("B", SLOW_MS / 1000, [{"item_id": "1"}], ()),
        ("B", SLOW_MS / 1000 + 0.001, [{"item_id": "1"}], ("slow",)),
        ("B", 0.1, [], ("empty",)),
        ("B", 9.9, [], ("slow", "empty")),
        ("A", 9.9, [], ("errors",)),
        (None, 0.0, [], ("errors",)),
    ],
)
def test_a_request_counts_against_the_variant_whose_it_was(
    variant: Variant | None, seconds: float, items: list[Any], faults: tuple[str, ...]
) -> None:
    answer = Answer("model", "m", variant, items) if variant else None
    assert AskResult(answer, seconds).faults("B") == faults


def test_what_the_weights_split_is_counted_by_experiment_and_variant_the_rest_by_variant_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Telemetry("recommend_items", None)
    told.variant_asked(Assignment("B", "xr2-1", enrols=True), ("errors",))
    told.variant_asked(Assignment("A"), ("slow", "empty"))
    split, plain = capsys.readouterr().out.splitlines()
    assert _data(split) == {
        (name, dimensions): value
        for name, value in {"VariantRequests": 1, "VariantErrors": 1, "VariantSlow": 0, "VariantEmpty": 0}.items()
        for dimensions in ((("experiment", "xr2-1"), ("variant", "B")), (("variant", "B"),))
    }
    assert _data(plain) == {
        (name, (("variant", "A"),)): value
        for name, value in {"VariantRequests": 1, "VariantErrors": 0, "VariantSlow": 1, "VariantEmpty": 1}.items()
    }
    metrics = json.loads(split)["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    assert {(metric["Unit"], metric["StorageResolution"]) for metric in metrics} == {("Count", 1)}


def test_the_metrics_are_those_that_the_guardrails_read(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("recommend_items", None).variant_asked(Assignment("A", "xr2-1"), ())
    names = {name for name, _ in _data(capsys.readouterr().out)}
    assert names == {"VariantRequests", *KINDS.values()}
    assert set(KINDS) == set(GUARDRAIL_KINDS)


def _data(line: str) -> dict[tuple[str, Any], float]:
    """What CloudWatch reads in a line: (metric, dimensions) → value."""
    ((namespace, data),) = parse(line)
    assert namespace == "Usher"
    return {(datum.name, datum.dimensions): _sum(datum.value) for datum in data}


def _sum(value: Any) -> float:
    return float(sum(value)) if isinstance(value, list) else float(value)


def test_an_exposure_that_was_not_written_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    class Log:
        def warning(self, *_: Any, **__: Any) -> None:
            """Nothing."""

    Telemetry("recommend_items", Log()).unwritten("exposure", OSError("away"))
    assert json.loads(capsys.readouterr().out)["StateUnwritten"] == 1
