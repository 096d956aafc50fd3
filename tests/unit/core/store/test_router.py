"""The router: variants, versions, and that no writer overwrites another; what deploy makes of it."""

from __future__ import annotations

import array
import io
import json
import struct
from collections.abc import Iterator
from typing import Any

import boto3
import numpy as np
import pytest
from moto import mock_aws

from tests.unit.state_table import STATE_TABLE
from usher.errors import NotDeployable, RouterMoved, TableMissing
from usher.experiments.opening import Terms
from usher.runs import deployment
from usher.runs.planner import row_count
from usher.store import keys, popular
from usher.store.router import Router, read_router, write_router

NOW = 1_800_000_000
TERMS = Terms("default", 3600, 3600, 3600.0, 86400, 30.0)
IDLE = Router(3, NOW, "idle", "", "B", {"A": 0.0, "B": 1.0}, {"A": "old", "B": "champion"})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield


@pytest.fixture
def table(aws: None) -> Any:
    return boto3.resource("dynamodb").create_table(**STATE_TABLE)


@pytest.fixture
def s3(aws: None) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.mark.parametrize("state", ["testing", "frozen", "baking"])
def test_the_idle_variant_is_not_idle_while_an_experiment_is_open(state: Any) -> None:
    busy = Router(3, NOW, state, "xr1-1", "A", {"A": 0.9, "B": 0.1}, {"A": "a", "B": "b"})
    with pytest.raises(RouterMoved, match="experiment xr1-1 is open"):
        busy.with_idle_model("r2-1", NOW)


def test_of_two_writers_of_one_version_one_wins(table: Any) -> None:
    write_router(table, Router.first("r1-1", NOW))
    with pytest.raises(RouterMoved, match="version 1 was not written: the router is at version 1 already"):
        write_router(table, Router.first("r2-1", NOW))
    second = Router.first("r1-1", NOW).with_idle_model("r2-1", NOW)
    write_router(table, second)
    with pytest.raises(RouterMoved, match="the router is at version 2 already"):
        write_router(table, second)
    assert read_router(table) == second


def test_a_version_cannot_be_skipped(table: Any) -> None:
    with pytest.raises(RouterMoved, match="the router is at version none already"):
        write_router(table, IDLE)


def test_the_first_model_takes_both_variants_and_a_all_the_traffic() -> None:
    first = Router.first("r1-1", NOW)
    assert (first.models, first.weights) == ({"A": "r1-1", "B": "r1-1"}, {"A": 1.0, "B": 0.0})
    assert (first.idle_variant, first.variant_of("r1-1")) == ("B", "A")


def test_a_later_model_takes_the_idle_variant_whichever_it_is_at_weight_0() -> None:
    placed = IDLE.with_idle_model("r9-1", NOW + 1)
    assert (placed.version, placed.models) == (4, {"A": "r9-1", "B": "champion"})
    assert (placed.weights, placed.variant_of("r9-1")) == ({"A": 0.0, "B": 1.0}, "A")


def test_a_run_planned_on_another_router_is_not_placed(table: Any) -> None:
    with pytest.raises(RouterMoved, match="planned on version 4"):
        deployment.place(table, "r9-1", 4, TERMS, NOW)


def test_placing_a_model_twice_is_placing_it_once(table: Any) -> None:
    first = deployment.place(table, "r1-1", 0, TERMS, NOW)
    assert deployment.place(table, "r1-1", 0, TERMS, NOW + 9) == first
    second = deployment.place(table, "r2-1", 1, TERMS, NOW)
    assert deployment.place(table, "r2-1", 1, TERMS, NOW + 9) == second
    assert (second.version, second.models) == (2, {"A": "r1-1", "B": "r2-1"})
    assert (second.state, second.experiment_id, second.weights) == ("testing", "xr2-1", {"A": 0.95, "B": 0.05})


def test_a_name_that_sagemaker_would_refuse_is_refused_before_anything_starts() -> None:
    with pytest.raises(NotDeployable, match="choose a shorter endpoint name"):
        deployment.model_name("e" * 49, "r" + "a" * 10 + "-1")
    assert len(deployment.model_name("e" * 47, "r" + "a" * 10 + "-1")) == 61


def test_the_new_model_takes_the_variants_that_the_champion_does_not() -> None:
    assert deployment.variants(None, "") == {"A": "", "B": ""}
    assert deployment.variants(IDLE, "usher-champion") == {"A": "", "B": "usher-champion"}
    assert deployment.variants(IDLE, "") == {"A": "", "B": ""}  # its model is not known any more
    assert (deployment.weights(None), deployment.weights(IDLE)) == ({"A": 1.0, "B": 0.0}, IDLE.weights)


def npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        b"PK\x03\x04 something else",
        npy(np.zeros((2, 2), np.float32)),
        npy(np.arange(3)),
        npy(np.array(["a"])),
        npy(np.zeros(3, np.float32))[:-4],
        npy(np.zeros(3, np.float32)) + b"xxxx",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"__import__('os')    ",
    ],
)
def test_an_array_that_is_no_list_of_floats_is_refused(data: bytes) -> None:
    with pytest.raises(NotDeployable, match=r"popularity/all\.npy of the bundle cannot be read"):
        popular.parse_array(data)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_array_is_read_as_numpy_wrote_it(kind: Any) -> None:
    assert list(popular.parse_array(npy(np.array([0.5, -1, 3e6], kind)))) == [0.5, -1, 3e6]


def bundle(s3: Any, scores: Any, ids: str, lines: list[dict[str, Any]]) -> None:
    files = {
        "popularity/all.npy": npy(scores),
        "items.txt": ids.encode(),
        "items.jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode(),
    }
    for name, body in files.items():
        s3.put_object(Bucket="lake", Key=f"runs/r1-1/bundle/{name}", Body=body)


ITEMS = [
    {"title": "Heat", "genres": ["Crime"], "year": 1995},
    {"title": "Fargo", "genres": ["Crime", "Comedy"], "year": None},
    {"title": "none", "genres": [], "year": None},
]


def test_a_bundle_that_is_not_there_or_does_not_fit_is_refused(s3: Any) -> None:
    with pytest.raises(NotDeployable, match=r"all\.npy is missing"):
        popular.read_lists(s3, "lake", "r1-1")
    bundle(s3, np.zeros(2, np.float32), "a\nb\nc\n", ITEMS)
    with pytest.raises(NotDeployable, match="2 scores, 3 ids, 3 items"):
        popular.read_lists(s3, "lake", "r1-1")


def test_the_popularity_lists_are_the_bundles_best_first(s3: Any, table: Any) -> None:
    bundle(s3, np.array([0.1, 0.9, 0.5], np.float32), "1\n2\u2028x\n3\n", ITEMS)
    lists = popular.read_lists(s3, "lake", "r1-1")
    assert [item["item_id"] for item in lists["all"]] == ["2\u2028x", "3", "1"]
    assert {genre: [item["title"] for item in items] for genre, items in lists["genres"].items()} == {
        "Crime": ["Fargo", "Heat"],
        "Comedy": ["Fargo"],
    }
    popular.write_lists(table, "r1-1", lists)
    kept = table.get_item(Key=keys.POPULAR.item())["Item"]
    assert (kept["model_id"], json.loads(kept["lists"])) == ("r1-1", lists)


def test_lists_are_bounded_and_too_long_ones_refused(table: Any) -> None:
    many = [{"item_id": str(n), "title": "t" * 200, "genres": [f"g{n % 100}"]} for n in range(10_000)]
    lists = popular.make_lists(array.array("d", range(10_000)), many)
    assert len(lists["all"]) == popular.ALL_ITEMS
    assert len(lists["genres"]) == popular.GENRES_MAX
    assert all(len(items) == popular.GENRE_ITEMS for items in lists["genres"].values())
    with pytest.raises(NotDeployable, match="titles are too long"):
        popular.write_lists(table, "r1-1", lists)


def iceberg(s3: Any, snapshots: list[dict[str, Any]]) -> Any:
    glue = boto3.client("glue")
    glue.create_database(DatabaseInput={"Name": "usher"})
    s3.put_object(Bucket="lake", Key="lake/ratings/metadata/1.json", Body=json.dumps({"snapshots": snapshots}))
    location = {"metadata_location": "s3://lake/lake/ratings/metadata/1.json"}
    glue.create_table(DatabaseName="usher", TableInput={"Name": "ratings", "Parameters": location})
    glue.create_table(DatabaseName="usher", TableInput={"Name": "plain", "Parameters": {}})
    return glue


def test_rows_of_a_snapshot_are_counted_without_what_was_deleted(s3: Any) -> None:
    summary = {"total-records": "100", "total-position-deletes": "3"}
    glue = iceberg(s3, [{"snapshot-id": 2**62 + 1, "summary": summary}, {"snapshot-id": 1, "summary": {}}])
    assert row_count(glue, s3, "usher", "ratings", 2**62 + 1) == 97


@pytest.mark.parametrize(
    ("dataset", "snapshot", "words"),
    [
        ("ratings", 2, "snapshot 2 of usher.ratings has expired"),
        ("none", 1, "no table usher.none"),
        ("plain", 1, "is not an Iceberg table"),
    ],
)
def test_a_snapshot_that_is_not_there_is_said_to_be(s3: Any, dataset: str, snapshot: int, words: str) -> None:
    glue = iceberg(s3, [{"snapshot-id": 1, "summary": {}}])
    with pytest.raises(TableMissing, match=words):
        row_count(glue, s3, "usher", dataset, snapshot)
