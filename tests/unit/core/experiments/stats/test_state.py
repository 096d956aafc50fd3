"""The state's stored form: it round-trips exactly, stays small, and a bad one is refused in one line."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.experiments.stats import state as states
from usher.experiments.stats.codec import SCHEMA, StateError, from_item, to_item
from usher.experiments.stats.decisions import close_epoch
from usher.experiments.stats.guardrails import RequestCounts
from usher.experiments.stats.presets import PRESETS, Preset
from usher.experiments.stats.rules import epoch_rules
from usher.experiments.stats.state import Counts, State, new_state
from usher.experiments.stats.strata import RoleCount, Stratum

DEFAULT = PRESETS["default"]


def lived(preset: Preset, epochs: int, seed: int = 1) -> State:
    """A state after some epochs of one experiment."""
    rng = np.random.default_rng(seed)
    state = new_state(preset)
    for epoch in range(epochs):
        state = states.begin_epoch(state, np.array([epoch + 1.0]), preset)
        users = rng.poisson(2000)
        challenger = rng.binomial(users, state.weight[0])
        exposed = np.array([[users - challenger, challenger]])
        converted = rng.binomial(exposed, 0.1)
        rewards = converted.astype(float)
        state = states.count_stratum(state, preset, Counts(exposed, converted, rewards, rewards, state.weight))
        bad = rng.binomial(exposed[:, None, :], 0.001, (1, 3, 2)).astype(float)
        state = states.check_minute(state, np.array([epoch * 60]), RequestCounts(exposed.astype(float), bad), preset)
        state, _ = epoch_rules(state, preset, np.array([False]))
    return state


def same(one: State, other: State) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(State))


def edited(name: str, value: Any) -> dict[str, Any]:
    return {**to_item(lived(DEFAULT, 30)), name: value}


def test_a_state_written_by_a_newer_version_is_refused() -> None:
    with pytest.raises(StateError, match=rf"has schema {SCHEMA + 1}, this version reads up to {SCHEMA}"):
        from_item(edited("schema", SCHEMA + 1), DEFAULT)


@pytest.mark.parametrize("schema", [None, "1", True, 0, 1.5])
def test_what_says_no_schema_is_no_state(schema: Any) -> None:
    with pytest.raises(StateError, match="not the state of an experiment"):
        from_item(edited("schema", schema), DEFAULT)


@pytest.mark.parametrize("name", [field.name for field in fields(State)])
def test_a_state_that_lacks_a_field_is_refused(name: str) -> None:
    item = to_item(new_state(DEFAULT))
    del item[name]
    with pytest.raises(StateError, match=f"lacks {name}"):
        from_item(item, DEFAULT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_likelihood", "AAAA"),
        ("log_likelihood", "é" * 480),
        ("log_likelihood", 3),
        ("exposed", [1]),
        ("exposed", [1, 2.5]),
        ("exposed", "12"),
        ("stage", "two"),
        ("last_version", 10**40),
        ("weight", "half"),
        ("weight", None),
        ("sample_ratio_broken", "no"),
    ],
)
def test_a_field_that_cannot_be_read_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(StateError, match=f"stored state's {name} cannot be read") as error:
        from_item(edited(name, value), DEFAULT)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", "1.5"),
        ("weight", "nan"),
        ("weight", "-0.1"),
        ("stage", 9),
        ("stage", -1),
        ("converted", [10**9, 10**9]),
        ("exposed", [-1, 5]),
        ("information", "-3.0"),
        ("score", "inf"),
        ("hours", "nan"),
    ],
)
def test_a_state_edited_by_hand_that_cannot_be_true_is_refused(name: str, value: Any) -> None:
    with pytest.raises(StateError, match="is inconsistent"):
        from_item(edited(name, value), DEFAULT)


def test_nan_in_the_evidence_is_refused() -> None:
    state = lived(DEFAULT, 3)
    state.log_likelihood[0, 3] = np.nan
    with pytest.raises(StateError, match="log_likelihood"):
        from_item(to_item(state), DEFAULT)


def test_a_state_of_another_presets_calendar_is_refused() -> None:
    with pytest.raises(StateError, match="look_information"):
        from_item(to_item(new_state(DEFAULT)), PRESETS["patient"])


@given(st.sampled_from(sorted(PRESETS)), st.integers(0, 40), st.integers(0, 1000))
@settings(max_examples=15)
def test_a_state_round_trips_exactly_through_json(name: str, epochs: int, seed: int) -> None:
    state = lived(PRESETS[name], epochs, seed)
    assert same(from_item(json.loads(json.dumps(to_item(state))), PRESETS[name]), state)


@pytest.mark.parametrize("name", PRESETS)
def test_a_stored_state_is_under_four_kilobytes(name: str) -> None:
    assert len(json.dumps(to_item(lived(PRESETS[name], 340)))) <= 4096


def test_the_stored_form_holds_text_and_whole_numbers_only() -> None:
    """DynamoDB's resource API refuses Python floats."""
    for value in to_item(lived(DEFAULT, 30)).values():
        assert isinstance(value, str | bool | int | list)
        assert not isinstance(value, list) or all(isinstance(number, int) for number in value)


def test_functions_leave_the_state_they_were_given_as_it_was() -> None:
    state = lived(DEFAULT, 24)
    before = to_item(state)
    lived(DEFAULT, 1)
    later = states.begin_epoch(state, np.array([60.0]), DEFAULT)
    epoch_rules(later, DEFAULT, np.array([False]))
    states.check_minute(later, np.array([9999]), RequestCounts(np.ones((1, 2)), np.zeros((1, 3, 2))), DEFAULT)
    assert to_item(state) == before


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.floats(0, 1), st.floats(0, 1)), max_size=6))
@settings(max_examples=30)
def test_every_prefix_of_strata_gives_a_valid_state_and_the_whole_is_the_sum(
    drawn: list[tuple[int, int, float, float]],
) -> None:
    strata = [
        Stratum(number, 0.5, RoleCount(a, round(a * one)), RoleCount(b, round(b * other)))
        for number, (a, b, one, other) in enumerate(drawn)
    ]
    state = new_state(DEFAULT)
    for stratum in strata:
        state = close_epoch(state, [stratum], 1.0, DEFAULT).state
        assert same(from_item(to_item(state), DEFAULT), state)
    whole = close_epoch(new_state(DEFAULT), strata, 1.0, DEFAULT).state
    assert state.log_likelihood == pytest.approx(whole.log_likelihood)
    assert state.last_version == whole.last_version
