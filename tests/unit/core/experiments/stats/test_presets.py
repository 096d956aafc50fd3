"""Presets are data: unknown and contradictory ones are refused, and each spends exactly its error rate."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.experiments.stats.presets import PRESETS, Preset, PresetError, Stage, plan_looks, preset


def test_an_unknown_preset_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(PresetError, match=r"unknown preset 'brave': it is one of default, patient, cautious, demo"):
        preset("brave")


def test_every_contradiction_is_named_at_once() -> None:
    with pytest.raises(PresetError) as error:
        Preset("odd", "", minimum_hours=400, alpha_harm=0, floor=0.7, outcome="money", margin_theta=-0.0501)
    for part in ("minimum_hours", "error rates", "shares", "outcome", "grid"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "stages", [(Stage(0.3, 100), Stage(0.1, 100)), (Stage(0.6, 100),), (Stage(0.1, 0),)], ids=["down", "over", "empty"]
)
def test_stages_that_do_not_lead_to_the_cap_are_refused(stages: tuple[Stage, ...]) -> None:
    with pytest.raises(PresetError, match="shares"):
        Preset("odd", "", stages=stages)


def test_a_cap_above_one_half_is_refused_because_the_looks_would_err_too_often() -> None:
    with pytest.raises(PresetError, match="shares"):
        Preset("odd", "", cap=0.65)


def test_guardrails_without_a_limit_are_refused() -> None:
    with pytest.raises(PresetError, match="limit"):
        Preset("odd", "", guardrail_limits={"errors": 0.01})


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_errs_in_at_most_three_and_a_half_percent_by_design(name: str) -> None:
    chosen = preset(name)
    assert chosen.alpha_looks + chosen.alpha_anytime <= 0.035
    assert chosen.spend(chosen.horizon_hours) == pytest.approx(chosen.alpha_looks)
    assert chosen.spend(2 * chosen.horizon_hours) == pytest.approx(chosen.alpha_looks)


@given(st.sampled_from(sorted(PRESETS)), st.floats(0, 600), st.floats(0, 600))
def test_spending_never_goes_back(name: str, one: float, other: float) -> None:
    chosen = preset(name)
    low, high = sorted((one, other))
    assert 0 <= chosen.spend(low) <= chosen.spend(high) <= chosen.alpha_looks + 1e-12


def test_the_looks_are_those_of_the_documentation() -> None:
    assert preset("default").looks == (24, 36, 48, 60, 96, 144, 192, 240, 288, 336)
    assert preset("cautious").looks[0] == 168
    assert preset("demo").looks[-1] == pytest.approx(2.8)


@given(st.integers(30, 2000), st.integers(0, 500))
def test_looks_lie_between_the_minimum_and_the_end(horizon: int, minimum: int) -> None:
    looks = plan_looks(float(horizon), float(min(minimum, horizon)))
    assert list(looks) == sorted(set(looks))
    assert looks[-1] == horizon
    assert all(hours >= min(minimum, horizon) for hours in looks)


def test_the_documentation_lists_every_preset_as_it_is() -> None:
    text = (Path(__file__).parents[5] / "docs" / "shifting.md").read_text(encoding="utf-8")
    section = text[text.index("## Presets") : text.index("## Measured")]
    rows = {cells[1].strip(" `"): cells[2:] for line in section.splitlines() if len(cells := line.split("|")) > 5}
    for name, chosen in PRESETS.items():
        horizon, minimum = (f"{hours / 24:g} d" for hours in (chosen.horizon_hours, chosen.minimum_hours))
        said = [cell.strip() for cell in rows[name]]
        if name == "demo":
            assert said[:2] == [f"{chosen.horizon_hours:.2g} h", f"{60 * chosen.minimum_hours:.0f} min"]
        else:
            assert said[0] == horizon
            assert said[1] in (minimum, f"{chosen.minimum_hours:g} h")
            assert said[2] in (str(len(chosen.looks)), "from 7 d on")
