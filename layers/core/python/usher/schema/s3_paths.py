"""Where things lie in the two buckets: the landing bucket (producers write) and the lake bucket (Usher writes)."""

from __future__ import annotations

from typing import NamedTuple

from usher.schema.datasets import DATASETS

#: What Firehose could not have transformed: its records are quarantine, never rows.
STREAM_ERRORS = "stream-errors"
#: What a landing key's second part may be: Firehose's deliveries, what it could not deliver, and users' uploads.
ORIGINS = ("stream", STREAM_ERRORS, "upload")


class LandingKey(NamedTuple):
    """`<dataset>/<stream|stream-errors|upload>/<name>`."""

    dataset: str
    origin: str
    name: str


def parse_landing_key(key: str) -> LandingKey:
    """Take a landing key apart; ValueError saying what is expected."""
    dataset, _, rest = key.partition("/")
    origin, _, name = rest.partition("/")
    if dataset not in DATASETS or origin not in ORIGINS or not name:
        known = ", ".join(DATASETS)
        raise ValueError(
            f"landing key {key!r} is not <dataset>/upload/<name> or <dataset>/stream/<name> (data sets: {known})"
        )
    return LandingKey(dataset, origin, name)


def upload_key(dataset: str, name: str) -> str:
    return f"{dataset}/upload/{name}"


def stream_prefix(dataset: str) -> str:
    return f"{dataset}/stream/"


def stream_errors_prefix(dataset: str) -> str:
    return f"{dataset}/{STREAM_ERRORS}/"


def stream_dataset(stream: str, prefix: str) -> str:
    """The data set of a delivery stream, from its name; ValueError for any other. prefix: of the streams' names."""
    dataset = stream.removeprefix(prefix)
    if not stream.startswith(prefix) or dataset not in DATASETS:
        known = ", ".join(prefix + name for name in DATASETS)
        raise ValueError(f"delivery stream {stream!r} is not one of {known}")
    return dataset


def table_prefix(dataset: str) -> str:
    """Everything of one Iceberg table: Lake Formation's credentials reach a single prefix."""
    return f"lake/{dataset}"


def data_key(dataset: str, digest: str, part: int) -> str:
    """One Parquet file of a landing object; the same object always gives the same keys."""
    return f"{table_prefix(dataset)}/data/{digest}-{part:04d}.parquet"


def quarantine_prefix(dataset: str) -> str:
    return f"quarantine/{dataset}/"


def quarantine_key(dataset: str, day: str, digest: str) -> str:
    """day: YYYY-MM-DD, the day of the landing object, so that a second reading writes the same key."""
    return f"{quarantine_prefix(dataset)}dt={day}/{digest}.jsonl"


def run_prefix(run_id: str) -> str:
    return f"runs/{run_id}/"
