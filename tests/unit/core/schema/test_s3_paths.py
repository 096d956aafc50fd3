"""Keys, places and settings: made in one way only, and read back or refused in words."""

from __future__ import annotations

import pytest

from usher.schema import s3_paths
from usher.schema.settings import Settings, SettingsError
from usher.store import keys


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ratings",
        "ratings/upload",
        "ratings/upload/",
        "films/upload/a.csv",
        "ratings/other/a.csv",
        "/ratings/upload/a",
    ],
)
def test_a_key_outside_of_the_landing_layout_is_refused_with_the_layout(key: str) -> None:
    with pytest.raises(ValueError, match=r"is not <dataset>/upload/<name> or <dataset>/stream/<name>"):
        s3_paths.parse_landing_key(key)


def test_a_landing_key_is_taken_apart_and_put_together() -> None:
    key = s3_paths.upload_key("ratings", "a/b.csv")
    assert s3_paths.parse_landing_key(key) == ("ratings", "upload", "a/b.csv")
    assert s3_paths.parse_landing_key(s3_paths.stream_prefix("events") + "x.gz").origin == "stream"


def test_everything_of_a_table_lies_under_its_prefix() -> None:
    assert s3_paths.data_key("ratings", "d" * 32, 7).startswith(s3_paths.table_prefix("ratings") + "/data/")
    assert s3_paths.data_key("ratings", "d" * 32, 7).endswith("-0007.parquet")
    assert s3_paths.quarantine_key("ratings", "2026-03-01", "d") == "quarantine/ratings/dt=2026-03-01/d.jsonl"
    assert s3_paths.run_prefix("r1") == "runs/r1/"


def test_no_two_items_of_the_state_table_share_a_key() -> None:
    made = [
        *(keys.RUN_LOCK, keys.RUN_PROGRESS, keys.ROUTER, keys.POPULAR),
        *(keys.landing_object("x"), keys.run("x"), keys.event("x"), keys.profile("x"), keys.exposure("x", "x")),
        *(keys.experiment("x"), keys.experiment_state("x"), keys.stratum("x", 1), keys.decision("x", "2026")),
    ]
    assert len(set(made)) == len(made)
    assert keys.RUN_LOCK.item() == {"pk": "RUN", "sk": "LOCK"}


def test_strata_sort_as_their_versions_do() -> None:
    versions = [1, 9, 10, 99, 100, 12_345]
    assert sorted(keys.stratum("x", version).sk for version in versions) == [
        keys.stratum("x", version).sk for version in versions
    ]


def test_exposures_are_spread_over_all_shards() -> None:
    shards = {keys.exposure_shard("x", 1, f"{number:08x}" + "0" * 24) for number in range(64)}
    assert len(shards) == keys.EXPOSURE_SHARDS


def test_all_faults_of_the_settings_are_told_at_once() -> None:
    environ = {"USHER_MIN_NEW_ROWS": "0", "USHER_BUDGET_USD": "much", "USHER_SERVING_BACKEND": "carrier pigeon"}
    with pytest.raises(SettingsError) as told:
        Settings.read(environ, "lake_bucket")
    for part in (
        "USHER_LAKE_BUCKET is missing",
        "USHER_MIN_NEW_ROWS is '0'",
        "USHER_BUDGET_USD",
        "USHER_SERVING_BACKEND",
    ):
        assert part in str(told.value)


@pytest.mark.parametrize("text", ["inf", "nan", "-1"])
def test_a_budget_is_a_finite_amount(text: str) -> None:
    with pytest.raises(SettingsError, match="USHER_BUDGET_USD"):
        Settings.read({"USHER_BUDGET_USD": text})


def test_settings_are_read_with_their_defaults() -> None:
    found = Settings.read({"USHER_LAKE_BUCKET": "lake", "USHER_QUIET_SECONDS": "60"}, "lake_bucket")
    assert (found.lake_bucket, found.quiet_seconds, found.min_new_rows) == ("lake", 60, 1000)
