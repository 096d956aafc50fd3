"""The program `prepare`: splits a snapshot's rows by time and writes Parquet; the rules are in prepare.sql."""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from usher.schema.interactions import (
    EVENT_TYPES,
    KINDS,
    POSITIVE_EVENT_TYPES,
    RATING,
    RATING_MAX,
    RATING_MIN,
    RATING_SCALE,
    VIEW,
)
from usher_models.container import Paths
from usher_models.errors import DataError
from usher_models.prepare.sources import COLUMNS, Plan, RowStream, iso, read_plan

SUMMARY_SCHEMA = 1
SPLITS = ("train", "validation", "test")


def prepare(paths: Paths) -> dict[str, Any]:
    """Write prepared/{train,validation,test,items,users}/ and summary.json; DataError for data that cannot be split.

    Reads processing/input/plan/plan.json; each data set from the plan's snapshot, else from processing/input/<data
    set>/.
    """
    plan = read_plan(paths.processing_input("plan") / "plan.json")
    output = paths.processing_output("prepared")
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as database:
        database.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        database.execute("SET temp_directory = ?", [spill])
        for name in COLUMNS:
            _load(database, name, RowStream(name, plan, paths.processing_input(name)))
        _check_ratings(database)
        _check_events(database)
        _check_positives(database)
        database.execute("SET VARIABLE trained_until_us = ?::BIGINT", [plan.trained_until_us])
        database.execute("SET VARIABLE kinds = ?::VARCHAR[]", [list(KINDS)])
        database.execute("SET VARIABLE rating_code = ?::TINYINT", [RATING])
        database.execute("SET VARIABLE view_code = ?::TINYINT", [VIEW])
        database.execute(resources.files(__package__).joinpath("prepare.sql").read_text(encoding="utf-8"))
        summary = _summary(database, plan)
        _check_split(summary)
        _write(database, output)
    (output / "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return summary


def _load(database: duckdb.DuckDBPyConnection, name: str, stream: RowStream) -> None:
    """CREATE TABLE <name>_in; an error of the stream is raised as it was, without DuckDB's wrapping."""
    database.register("incoming", stream.reader())
    try:
        database.execute(f"CREATE TABLE {name}_in AS SELECT * FROM incoming")  # noqa: S608 - our own names, no input
    except duckdb.Error as error:
        raise stream.failure or error from None
    database.unregister("incoming")


def _check_ratings(database: duckdb.DuckDBPyConnection) -> None:
    """DataError for ratings that ingest would have quarantined: the lake is damaged."""
    total, bad, example = _one(
        database,
        "SELECT count(*), count(*) FILTER (WHERE wrong), any_value(rating) FILTER (WHERE wrong) FROM (SELECT rating, "
        "(user_id IS NULL OR item_id IS NULL OR rated_at_us IS NULL OR rating IS NULL OR isnan(rating) "
        "OR rating NOT BETWEEN ? AND ?) AS wrong FROM ratings_in)",
        [RATING_MIN, RATING_MAX],
    )
    if bad:
        raise DataError(
            f"{bad} of {total} ratings lack an id or a time, or are not a number from {RATING_SCALE} "
            f"(one is {example}): check that the column holds ratings, not row numbers or other labels"
        )


def _check_events(database: duckdb.DuckDBPyConnection) -> None:
    """DataError for events that ingest would have quarantined."""
    total, bad, example = _one(
        database,
        "SELECT count(*), count(*) FILTER (WHERE wrong), any_value(type) FILTER (WHERE wrong) FROM (SELECT type, "
        "(event_id IS NULL OR user_id IS NULL OR item_id IS NULL OR occurred_at_us IS NULL OR type IS NULL "
        "OR NOT list_contains(?, type)) AS wrong FROM events_in)",
        [list(EVENT_TYPES)],
    )
    if bad:
        raise DataError(
            f"{bad} of {total} events lack an id or a time, or are not a purchase, click or view (one is {example!r}): "
            "check the events that were uploaded"
        )


def _check_positives(database: duckdb.DuckDBPyConnection) -> None:
    """DataError for a snapshot without a positive interaction: views are not enough to learn preferences from."""
    ratings, events, views = _one(
        database,
        "SELECT (SELECT count(*) FROM ratings_in), count(*) FILTER (WHERE list_contains($positive, type)), "
        "count(*) FILTER (WHERE NOT list_contains($positive, type)) FROM events_in",
        {"positive": list(POSITIVE_EVENT_TYPES)},
    )
    if not ratings + events:
        beside = f" ({views} views are not enough)" if views else ""
        raise DataError(
            f"the snapshot has no ratings, purchases or clicks{beside}, so nothing can be trained: upload ratings or "
            "events first"
        )


def _check_split(summary: dict[str, Any]) -> None:
    if not summary["rows"]["train"]:
        raise DataError(
            f"none of the {sum(summary['rows'].values())} rows lies before the split at {summary['split_at']}: "
            "they have (nearly) the same time, or there are too few; upload more rows, of different times"
        )


def _summary(database: duckdb.DuckDBPyConnection, plan: Plan) -> dict[str, Any]:
    split_at_us, validation_at_us = _one(database, "SELECT split_at_us, validation_at_us FROM split")
    counts = dict(database.execute("SELECT part, count(*) FROM rows GROUP BY part").fetchall())
    users, items, last_us = _one(
        database,
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM items), (SELECT max(rated_at_us) FROM latest)",
    )
    kinds = dict(database.execute("SELECT kind, count(*) FROM rows GROUP BY kind").fetchall())
    repeated = _one(database, "SELECT (SELECT count(*) FROM events_in) - (SELECT count(*) FROM events)")[0]
    return {
        "schema": SUMMARY_SCHEMA,
        "run_id": plan.run_id,
        "snapshots": dict(plan.snapshots),
        "rows": {part: int(counts.get(part, 0)) for part in SPLITS},
        "kinds": {name: int(kinds.get(number, 0)) for number, name in enumerate(KINDS)},
        "repeated_events": int(repeated),
        "left_out": dict(plan.left_out),
        "users": users,
        "items": items,
        "split_at_us": split_at_us,
        "split_at": iso(split_at_us),
        "validation_at": iso(validation_at_us),
        "last_at": iso(last_us),
        "champion_trained_until_us": plan.trained_until_us,
    }


def _write(database: duckdb.DuckDBPyConnection, output: Path) -> None:
    tables = {part: f"SELECT * EXCLUDE (part) FROM rows WHERE part = '{part}'" for part in SPLITS}  # noqa: S608 - our own names, no input
    tables |= {"items": "SELECT * FROM items ORDER BY item", "users": 'SELECT * FROM users ORDER BY "user"'}
    for name, query in tables.items():
        (output / name).mkdir(parents=True, exist_ok=True)
        target = str(output / name / "part-0.parquet").replace("'", "''")
        database.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _one(database: duckdb.DuckDBPyConnection, query: str, values: Any = None) -> tuple[Any, ...]:
    row = database.execute(query, values).fetchone()
    if row is None:
        raise AssertionError(f"a query of one row returned no row: {query}")
    return row
