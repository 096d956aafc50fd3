"""`usher simulate`: what it refuses, what it shows, and a page that needs nothing else."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cli.formatting.charts import Chart, Line, svg, ticks
from cli.main import run
from cli.simulation import output
from cli.simulation.one_experiment import DecisionPoint, simulate_one
from cli.simulation.output import page
from cli.simulation.world import World
from usher.experiments.stats.presets import PRESETS

DEFAULT = PRESETS["default"]


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["simulate", "--seconds", "0", *arguments], debug=False)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "brave"), "unknown preset 'brave': it is one of default, patient, cautious, demo"),
        (("--base-rate", "0.9", "--lift", "0.5"), "a conversion rate would reach 135%"),
        (("--window-hours", "100", "--preset", "demo"), "a window of 100 h never closes"),
        (("--epoch-minutes", "1000", "--preset", "demo"), "exceeds preset demo"),
        (("--plan", "--html", "x.html"), "--html and --plan exclude each other"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("--lift", "-2"), ("--users-per-hour", "0"), ("--base-rate", "nan"), ("--runs", "1")]
)
def test_a_value_out_of_range_is_a_wrong_call(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert arguments[0] in err


def test_a_page_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = call(capsys, "--lift", "-0.2", "--html", str(tmp_path / "no" / "page.html"))
    assert code == 1
    assert "cannot write" in err


def test_a_worse_challenger_is_seen_to_be_retired(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--lift", "-0.2")
    assert code == 0
    assert "retire: worse" in out.splitlines()[-1]
    assert "share   0%" in out.splitlines()[-1]


def test_a_better_challenger_is_seen_to_be_promoted(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "--lift", "0.1", "--drift", "0.3")
    assert "promote: better" in out.splitlines()[-1]


def test_a_challenger_that_errs_is_rolled_back_within_the_first_hour(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "--error-rate", "0.5")
    assert out.splitlines()[-1].strip().startswith("0.")
    assert "roll back" in out


def test_json_is_the_whole_answer(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = call(capsys, "--lift", "-0.2", "--json")
    decisions = json.loads(out)
    assert decisions[-1]["decision"] == "retire"
    assert decisions[-1]["weight"] == 0
    assert err == ""


def test_a_plan_states_power_and_duration(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(
        capsys,
        "--plan",
        "--json",
        "--runs",
        "20",
        "--preset",
        "demo",
        "--users-per-hour",
        "20000",
        "--epoch-minutes",
        "6",
    )
    assert code == 0
    planned = json.loads(out)
    assert [row["label"] for row in planned["lifts"]][:2] == ["none", "+1%"]
    assert planned["lifts"][-1]["promoted"] > planned["lifts"][0]["promoted"]
    assert all(0 < row["mean_hours"] <= 2.8 + 1e-9 for row in planned["presets"] + planned["lifts"])


def test_a_plan_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "--plan", "--runs", "20", "--preset", "demo", "--epoch-minutes", "6")
    assert "true lift" in out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80


class _Outside(HTMLParser):
    """Collects whatever a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "data")]
        self.found += [tag] if tag in ("script", "link", "iframe", "img") else []


def test_the_page_needs_nothing_from_outside_and_its_pictures_are_well_formed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    call(capsys, "--lift", "0.1", "--html", str(path))
    text = path.read_text(encoding="utf-8")
    outside = _Outside()
    outside.feed(text)
    assert outside.found == []
    assert "http:" not in text and "https:" not in text
    assert "url(" not in text
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(pictures) == 4
    for picture in pictures:
        ElementTree.fromstring(picture)  # noqa: S314 - our own text, parsed to see that it is well-formed
        numbers = re.findall(r"-?\d+\.\d+|nan|inf", picture)
        assert all(math.isfinite(float(number)) for number in numbers)


def test_the_page_of_an_experiment_that_ended_at_a_minute_is_made() -> None:
    history = list(simulate_one(World(), DEFAULT, seed=1, error_rate=0.9))
    assert history[-1].decision.decision == "roll_back"
    assert "roll back after" in page("<b>", [("a & b", "<i>")], DEFAULT, history)
    assert "<b>" not in page("<b>", [("a & b", "<i>")], DEFAULT, history)


def test_every_step_can_be_shown() -> None:
    history: list[DecisionPoint] = list(simulate_one(World(users_per_hour=20, lift=0.3), DEFAULT, seed=2))
    for step in history:
        assert output.frame(step, DEFAULT)
        assert 0 <= step.decision.weight <= 1


def test_a_chart_cuts_what_lies_outside_and_leaves_gaps_where_nothing_is() -> None:
    line = Line("a", [0, 1, 2], [math.nan, 5, 500], "a")
    picture = svg(Chart("t", 2, 0, 10, [line]))
    assert "nan" not in picture
    assert picture.count("L704.0 12.0") == 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.1, 0.1), (0, 336), (0, 0.2), (-4, 6)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    values = ticks(low, high)
    assert 3 <= len(values) <= 7
    assert low - 1e-9 <= values[0] < values[-1] <= high + 1e-9
