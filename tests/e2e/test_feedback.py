"""Feedback counts in the user's next request, in the experiment and in the lake: on a whole twin, through its API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cli import api_client
from cli.target import Target
from usher.schema.ids import hash_user_id
from usher.store import keys
from usher.store.codec import stored
from usher.store.popular import write_lists
from usher.store.router import Router, write_router

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECONDS = 90.0
MODEL, EXPERIMENT = "rfeedback00-1", "xrfeedback00-1"
#: The bundles serve from the function itself, and an experiment that opens is seen at once.
PARAMETERS = {"ServingBackend": "function", "RouterCacheSeconds": "0.1", "AttributionSeconds": "3600"}


def module_of(path: Path, name: str) -> ModuleType:
    """A conftest, which is no module to import."""
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A twin of this module, with no model yet."""
    twins = module_of(ROOT / "tests/e2e/conftest.py", "feedback_twin")
    state = tmp_path_factory.mktemp("feedback")
    parameters = [part for each in PARAMETERS.items() for part in ("--parameter", "=".join(each))]
    process = twins.start(state, "--speed", "60", *parameters)
    try:
        yield Shop(twins.wait_until_ready(process, state))
    finally:
        twins.end(process)


class Shop:
    """A client of the API, as a shop is one."""

    def __init__(self, twin: Any) -> None:
        self.twin = twin
        self.target = Target(twin.session, twin.running.stack_name, "the twin", endpoint=twin.endpoint)
        self.table = twin.session.resource("dynamodb", endpoint_url=twin.endpoint).Table(twin.outputs["StateTable"])

    def recommend(self, user: str) -> dict[str, Any]:
        return api_client.get(self.target, "/recommendations", {"user_id": user, "limit": 5})

    def send(self, user: str, item: str, kind: str, **fields: Any) -> dict[str, Any]:
        """One event; the API's result."""
        given = {"event_id": uuid.uuid4().hex, "user_id": user, "item_id": item, "type": kind, **fields}
        answer = api_client.exchange(self.target, "POST", "/feedback", json.dumps(given).encode())
        assert answer.status == 202, answer
        return dict(answer.body)

    def command(self, *words: str) -> str:
        """`usher …`'s output."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        ran = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            env={**clean, **self.twin.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def serve(self, folder: Path) -> None:
        """What deploying a run's bundle leaves: its files, and the router."""
        s3, bucket = self.twin.client("s3"), self.twin.outputs["LakeBucket"]
        for path in folder.rglob("*"):
            if path.is_file():
                s3.upload_file(str(path), bucket, f"runs/{MODEL}/bundle/{path.relative_to(folder)}")
        write_router(self.table, Router.first(MODEL, int(time.time())))

    def lake(self, dataset: str, user: str) -> list[dict[str, Any]]:
        """The rows of one user."""
        from usher_lake.tables import load_table, open_catalog  # noqa: PLC0415 - PyIceberg takes a second

        table = load_table(open_catalog(), self.twin.outputs["Database"], dataset)
        found: list[dict[str, Any]] = table.scan(row_filter=f"user_id = '{user}'").to_arrow().to_pylist()
        return found

    def metric(self, name: str, dimension: str, value: str) -> float:
        """The sum of one of Usher's metrics."""
        points = self.twin.client("cloudwatch").get_metric_statistics(
            Namespace="Usher",
            MetricName=name,
            Dimensions=[{"Name": dimension, "Value": value}],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 3600,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def eventually(probe: Callable[[], Any]) -> Any:
    until = time.monotonic() + SECONDS
    while not (found := probe()):
        assert time.monotonic() < until, f"nothing within {SECONDS:.0f} s"
        time.sleep(0.2)
    return found


def test_before_any_model_what_was_rated_does_not_come_back_from_the_popularity_lists(shop: Shop) -> None:
    items = [{"item_id": f"p{n}", "title": f"Popular {n}", "genres": ["Drama"]} for n in range(8)]
    write_lists(shop.table, "r0", {"all": items, "genres": {}})
    before = shop.recommend("early")
    assert (before["level"], ids(before)) == ("popular", ["p0", "p1", "p2", "p3", "p4"])
    shop.send("early", "p0", "rating", value=2.0)
    shop.send("early", "p2", "purchase")
    shop.send("early", "p3", "click")
    assert ids(shop.recommend("early")) == ["p1", "p3", "p4", "p5", "p6"]
    assert ids(shop.recommend("another")) == ids(before)


@pytest.fixture(scope="module")
def serving(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop, once a model serves."""
    world = module_of(ROOT / "tests/unit/small_world.py", "feedback_world")
    folder = tmp_path_factory.mktemp("model") / "bundle"
    prepared = world.prepare_world(world.small_world(), world.make_items(world.ITEMS), 240, MODEL)
    world.build_bundle(
        prepared, [world.fit_result(name, prepared.before, prepared.items) for name in world.SMALL], folder
    )
    shop.serve(folder)
    eventually(lambda: shop.recommend("u0")["level"] == "model")
    return shop


def test_a_rating_counts_in_the_very_next_request_and_the_item_does_not_come_back(serving: Shop) -> None:
    before = serving.recommend("u2")
    assert before["level"] == "model"
    first, *others = ids(before)
    told = serving.command("feedback", "u2", first, "--rating", "4.5", "--recommendation", before["recommendation_id"])
    assert "not counted: no experiment is open" in told
    after = serving.recommend("u2")
    assert (after["level"], first in ids(after)) == ("fold_in", False)
    assert set(ids(after)) & set(others)
    second = ids(after)[0]
    serving.send("u2", second, "rating", value=0.5)
    assert not {first, second} & set(ids(serving.recommend("u2")))


def test_somebody_new_is_known_after_a_few_ratings(serving: Shop) -> None:
    assert serving.recommend("stranger")["level"] == "popular"
    comedies = [f"m{n}" for n in range(0, 12, 2)]
    for item in comedies:
        serving.send("stranger", item, "rating", value=5)
    after = serving.recommend("stranger")
    assert after["level"] == "fold_in" and not set(comedies) & set(ids(after))
    assert all(int(item.removeprefix("m")) % 2 == 0 for item in ids(after)), "the other taste"


def test_feedback_becomes_rows_of_the_lake(serving: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in serving.twin.environment.items():
        monkeypatch.setenv(name, value)
    serving.send("laker", "m1", "rating", value=3.5, at="2026-03-01T12:00:00.250Z")
    clicked = serving.send("laker", "m2", "click", recommendation_id="never signed")
    assert "no valid signature" in clicked["reason"] or "damaged" in clicked["reason"]
    (rating,) = eventually(lambda: serving.lake("ratings", "laker"))
    assert (rating["item_id"], rating["rating"]) == ("m1", 3.5)
    assert rating["rated_at"].isoformat() == "2026-03-01T12:00:00.250000+00:00"
    (event,) = eventually(lambda: serving.lake("events", "laker"))
    assert (event["event_id"], event["type"], event["item_id"]) == (clicked["event_id"], "click", "m2")
    assert event["recommendation_id"] == "never signed"


def test_in_an_open_experiment_a_recommendation_enrols_and_one_outcome_counts(serving: Shop) -> None:
    now = int(time.time())
    meta = {
        **{"salt": "5a17", "started_at": now, "attribution_seconds": 3600, "epoch_seconds": 3600, "settle_seconds": 60},
        **{"hour_seconds": 3600, "bake_seconds": 60, "preset": "default", "status": "open"},
        **{"champion": "A", "challenger": "B", "models": {"champion": MODEL, "challenger": MODEL}},
    }
    serving.table.put_item(Item=keys.experiment(EXPERIMENT).item() | stored(meta))
    write_router(
        serving.table, Router(2, now, "testing", EXPERIMENT, "A", {"A": 0.5, "B": 0.5}, {"A": MODEL, "B": MODEL})
    )
    exposure = keys.exposure(hash_user_id("u4"), EXPERIMENT).item()

    def enrolled() -> Any:
        shown = serving.recommend("u4")
        return shown if "Item" in serving.table.get_item(Key=exposure, ConsistentRead=True) else None

    shown = eventually(enrolled)
    claim = {"recommendation_id": shown["recommendation_id"]}
    unjoined = serving.send("u4", ids(shown)[0], "click")
    assert (unjoined["counted"], unjoined["reason"]) == (False, "it has no recommendation_id")
    foreign = serving.send("u5", ids(shown)[0], "click", **claim)
    assert not foreign["counted"] and "made for another user" in foreign["reason"]
    assert serving.send("u4", ids(shown)[1], "click", **claim)["counted"] is True
    again = serving.send("u4", ids(shown)[2], "purchase", **claim)
    assert not again["counted"] and "has an outcome already" in again["reason"]
    item = serving.table.get_item(Key=exposure, ConsistentRead=True)["Item"]
    assert (item["reward"], item["variant"] in ("A", "B")) == (1, True)
    for name, total in [
        ("EnrolledOutcomes", 3),
        ("JoinedOutcomes", 2),
        ("OutcomesForeign", 1),
        ("OutcomesReplayed", 1),
    ]:
        eventually(lambda name=name, total=total: serving.metric(name, "experiment", EXPERIMENT) == total)
