"""The report page: foreign text is escaped, nothing is loaded, missing values leave gaps."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from cli.formatting.charts import horizontal_bars, intervals
from cli.formatting.run_report import Trial, page
from usher_models.evaluation.program import evaluate_models
from usher_scorer.bundle import Bundle

EVIL = "<script>alert('x')</script>\"&"
VOID = {"meta", "rect", "line", "circle", "p", "li"}


@pytest.fixture(scope="module")
def evaluation(prepared: Any, trained: Any, bundle: Bundle) -> dict[str, Any]:
    """A candidate against itself as the champion, so that the page has every section."""
    return evaluate_models(prepared, trained, bundle, bundle)


class Tags(HTMLParser):
    """Checks that every opened tag is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(text: str) -> str:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert not tags.seen & {"script", "iframe", "object", "link", "img"}
    return text


def test_foreign_text_is_escaped(evaluation: dict[str, Any]) -> None:
    facts = copy.deepcopy(evaluation)
    for one in facts["examples"]:
        one["user_id"] = EVIL
        one["liked_before"] = one["liked_later"] = [EVIL]
        one["shown"] = [{"title": EVIL, "hit": True}]
    facts["leaks"] = [EVIL]
    facts["model_id"] = facts["champion_model_id"] = facts["trained_until"] = EVIL
    facts["algorithms"] = {EVIL: {"hyperparameters": {EVIL: EVIL}, "metrics": {EVIL: 1.0}}}
    facts["prepared"]["snapshots"] = {EVIL: EVIL}
    text = checked(page(facts))
    assert text.count("&lt;script&gt;") > 8
    assert "alert('x')" not in text


def test_the_page_loads_nothing(evaluation: dict[str, Any]) -> None:
    text = page(evaluation)
    assert not re.search(r"https?:|src=|@import|url\(", text)
    assert "default-src 'none'" in text


def test_null_metrics_and_a_missing_champion_leave_gaps(evaluation: dict[str, Any]) -> None:
    facts = copy.deepcopy(evaluation)
    facts["champion_model_id"] = None
    for result in (facts["metrics"], facts["slices"]):
        del result["champion"]
    facts["metrics"]["candidate"]["ndcg@10"] = None
    facts["intervals"], facts["examples"], facts["algorithms"] = {}, [], {}
    text = checked(page(facts))
    assert "it is the first" in text
    assert "Examples" not in text and "minus the others" not in text


def test_every_number_of_the_evaluation_is_on_the_page(evaluation: dict[str, Any]) -> None:
    text = checked(page(evaluation))
    for model, metrics in evaluation["metrics"].items():
        assert model.replace("_", " ") in text
        for name, value in metrics.items():
            assert name in text
            assert f"{value:.4f}" in text or f"{value:,}" in text
    interval = evaluation["intervals"]["candidate-popularity"]["ndcg@10"]
    assert f"({interval['low']:+.4f} to {interval['high']:+.4f})" in text
    for one in evaluation["examples"]:
        assert one["user_id"] in text
    assert "num_factors=4" in text


@pytest.mark.parametrize(
    ("low", "high", "more_is_better", "style"),
    [(0.1, 0.3, True, "good"), (0.1, 0.3, False, "bad"), (-0.3, -0.1, True, "bad"), (-0.3, -0.1, False, "good"),
     (-0.1, 0.3, True, "open"), (0.0, 0.0, True, "open")],
)  # fmt: skip
def test_an_interval_is_coloured_by_what_it_shows(low: float, high: float, more_is_better: bool, style: str) -> None:
    drawn = intervals([("x", {"mean": (low + high) / 2, "low": low, "high": high}, more_is_better)])
    assert f'circle class="{style}"' in drawn


def test_no_bars_and_bars_of_zero_are_drawn() -> None:
    assert horizontal_bars([]) == ""
    assert 'width="1.0"' in horizontal_bars([("a", "candidate", 0.0)])


def test_verdict_and_trials_are_on_the_page(evaluation: dict[str, Any]) -> None:
    trial = Trial("fm", "r1-fm-hpo-001", "Completed", 0.25, f"num_factors={EVIL}")
    text = checked(page(evaluation, f"refused. worse: it is {EVIL}", trials=[trial]))
    assert '<p class="verdict bad">refused. worse: it is &lt;script&gt;' in text and "0.2500" in text
    assert "num_factors=&lt;script&gt;" in text
    assert '<p class="verdict good">' in page(evaluation, "succeeded", passed=True)
    assert "Nothing was tuned" in page(evaluation)
