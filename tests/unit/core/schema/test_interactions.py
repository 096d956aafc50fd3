"""One definition of what an interaction is and counts as: the API, the lake, the models and the experiment share it."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usher.schema import interactions
from usher.schema.datasets import DATASETS
from usher_scorer.profiles import likes, weigh

PROJECT = Path(__file__).parents[4]
DEFINITION = PROJECT / "layers/core/python/usher/schema/interactions.py"
PRODUCT = ("layers/*/python", "containers", "functions", "cli", "demo", "benchmarks", "twin")
SQL = re.compile(r"BETWEEN\s+0\.5\s+AND\s+5|'(?:rating|purchase|click|view)'|\bkind\s*<\s*\d|\d\s+AS\s+kind")


def document() -> dict[str, Any]:
    text = (PROJECT / "layers/core/python/usher/api/openapi.json").read_text(encoding="utf-8")
    schemas: dict[str, Any] = json.loads(text)["components"]["schemas"]
    return schemas


@pytest.mark.parametrize(
    ("kind", "rating", "positive", "profile"),
    [
        ("rating", 0.5, False, 0.5),
        ("rating", 3.5, False, 3.5),
        ("rating", 4.0, True, 4.0),
        ("rating", 5.0, True, 5.0),
        ("purchase", None, True, 4.0),
        ("purchase", 0.99, True, 4.0),
        ("click", None, True, None),
        ("view", None, False, None),
        ("view", 12.0, False, None),
    ],
)
def test_a_kind_counts_as_documented(kind: str, rating: float | None, positive: bool, profile: float | None) -> None:
    assert interactions.is_positive(kind, rating) is positive
    assert interactions.profile_rating(kind, rating) == profile


@pytest.mark.parametrize("rating", [0.5, 3.7, 5])
def test_the_rating_scale_includes_both_ends(rating: float) -> None:
    assert interactions.on_scale(rating)


@pytest.mark.parametrize("number", [0.49, 5.01, -1.0, math.nan, math.inf])
def test_what_is_outside_the_scale_is_not_a_rating(number: float) -> None:
    assert not interactions.on_scale(number)


def test_the_scorer_agrees_on_what_is_positive() -> None:
    rows = [(kind, rating) for kind in interactions.KINDS for rating in (0.5, 3.9, 4.0, 5.0)]
    codes = np.array([interactions.KINDS.index(kind) for kind, _ in rows], np.int8)
    values = np.array([rating for _, rating in rows], np.float32)
    assert likes(values, codes).tolist() == [interactions.is_positive(kind, rating) for kind, rating in rows]


def test_every_kind_has_a_weight_and_stronger_events_weigh_more() -> None:
    events = weigh(np.zeros(3, np.float32), np.array([1, 2, 3], np.int8))
    assert len(interactions.EVENT_WEIGHTS) == len(interactions.KINDS)
    assert list(events) == sorted(events, reverse=True)
    assert len(interactions.WEIGHT_RATINGS) == len(interactions.RATING_WEIGHTS)
    ends = (interactions.WEIGHT_RATINGS[0], interactions.WEIGHT_RATINGS[-1])
    assert ends == (interactions.RATING_MIN, interactions.RATING_MAX)


def test_the_data_sets_have_the_scale_and_the_event_types() -> None:
    rating, kind = DATASETS["ratings"].field("rating"), DATASETS["events"].field("type")
    assert (rating.minimum, rating.maximum) == (interactions.RATING_MIN, interactions.RATING_MAX)
    assert sorted(kind.choices) == sorted(interactions.EVENT_TYPES)
    assert interactions.RATING_SCALE in rating.doc


def test_the_api_document_has_the_scale_the_kinds_and_the_liked_rating() -> None:
    schemas = document()
    session = schemas["SessionRequest"]["properties"]["session"]["items"]["properties"]["rating"]
    assert (session["minimum"], session["maximum"]) == (interactions.RATING_MIN, interactions.RATING_MAX)
    assert f"{interactions.LIKED_RATING:g}" in session["description"]
    feedback = schemas["Feedback"]["properties"]
    assert sorted(feedback["type"]["enum"]) == sorted(interactions.KINDS)
    assert interactions.RATING_SCALE in feedback["value"]["description"]


def copies(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) of each expression that repeats the scale, the threshold or the event types."""
    types = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}  # Literal["click", …]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Compare | ast.Call | ast.Tuple | ast.List | ast.Set | ast.Dict)
            and id(node) not in types
        ):
            inside = [part.value for part in ast.iter_child_nodes(node) if isinstance(part, ast.Constant)]
            if {0.5, 5.0} <= {value for value in inside if isinstance(value, int | float)}:
                yield node.lineno, "the rating scale"
            if len({"rating", "purchase", "click", "view"} & {v for v in inside if isinstance(v, str)}) > 1:
                yield node.lineno, "the event types"
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value == 4.0:
            names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            if any(re.search(r"POSITIVE|LIKED|THRESHOLD", name) for name in names):
                yield node.lineno, "the positive threshold"


def test_no_other_place_repeats_the_definition() -> None:
    files = [path for pattern in PRODUCT for folder in PROJECT.glob(pattern) for path in folder.rglob("*.py")]
    assert len(files) > 200
    found = {
        f"{path.relative_to(PROJECT)}:{line}": what
        for path in files
        if path != DEFINITION
        for line, what in copies(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_no_sql_repeats_the_definition() -> None:
    queries = [*PROJECT.glob("containers/**/*.sql"), *PROJECT.glob("containers/**/prepare/*.py")]
    assert queries
    assert not {path.name: found for path in queries if (found := SQL.findall(path.read_text(encoding="utf-8")))}


def test_the_search_for_copies_finds_them() -> None:
    bad = (
        "POSITIVE = 4.0\nok = 0.5 <= x <= 5\nz = np.clip(y, 0.5, 5.0)\n"
        "t = ('click', 'view')\nd = {'rating': 1, 'click': 2}"
    )
    assert sorted(line for line, _ in copies(ast.parse(bad))) == [1, 2, 3, 4, 5]
    assert len(SQL.findall("rating BETWEEN 0.5 AND 5 OR type = 'view' AND kind < 3")) == 3
