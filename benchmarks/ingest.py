"""How many rows a CPU second checks and writes as Parquet, beside what else one could do; prints a table.

    python -m benchmarks.ingest [--rows 1000000] [--repeat 3]

CSV, dirty CSV (1 line in 1,000 is bad), all quoted, JSON lines, and a csv.DictReader loop that checks the same and
writes nothing. Each is the best of a few repeats; CPU seconds are this process's, so a busy machine disturbs little.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from usher.schema.datasets import TIME_MAX_US, dataset
from usher.schema.ids import check_id
from usher_lake.ingest import ingest_object
from usher_lake.landing import LandingObject

LANDED_AT = datetime(2026, 3, 1, tzinfo=UTC)
HEADER = b"userId,movieId,rating,timestamp\n"


class Store:
    """S3 as far as ingest needs it: gives one object, takes the others and forgets their bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.written: dict[str, int] = {}

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._data), "ContentLength": len(self._data), "LastModified": LANDED_AT}

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:
        self.written[Key] = len(Body)

    def create_multipart_upload(self, *, Key: str, **_: Any) -> dict[str, str]:
        self.written[Key] = 0
        return {"UploadId": Key}

    def upload_part(self, *, Key: str, Body: bytes, **_: Any) -> dict[str, str]:
        self.written[Key] += len(Body)
        return {"ETag": "e"}

    def complete_multipart_upload(self, **_: Any) -> None:
        return

    def abort_multipart_upload(self, **_: Any) -> None:
        return


def ratings(rows: int, bad_every: int = 0) -> bytes:
    """Ratings as MovieLens has them, a multiplicative sequence for variety; every `bad_every`th line is bad."""
    bad = (b"1,2,9,964982703", b"1,2,3.5", b'1,"2,3.5,964982703', b"1,2\xff,3.5,964982703", b"1,,3.5,964982703")
    lines = [
        b"%d,%d,%.1f,%d"
        % (number * 7919 % 162_541, number * 104_729 % 59_047, (number % 10 + 1) / 2, 964_982_703 + number * 31)
        for number in range(rows)
    ]
    for place in range(bad_every - 1, rows, bad_every) if bad_every else ():
        lines[place] = bad[place // bad_every % len(bad)]
    return HEADER + b"\n".join(lines) + b"\n"


def quoted(data: bytes) -> bytes:
    return b"\n".join(b'"' + line.replace(b",", b'","') + b'"' for line in data.splitlines()) + b"\n"


def json_lines(data: bytes) -> bytes:
    rows = (line.split(b",") for line in data.splitlines()[1:])
    return b"".join(b'{"user_id":"%s","item_id":"%s","rating":%s,"rated_at":%s}\n' % tuple(row) for row in rows)


def usher(data: bytes, name: str = "ratings.csv") -> tuple[int, int]:
    """Rows accepted and quarantined."""
    store: Any = Store(data)
    landing = LandingObject("landing", f"ratings/upload/{name}", "", "etag", len(data))
    entry = ingest_object(store, landing, "lake", lambda: 900.0)
    return entry.rows_ok, entry.rows_bad


def dict_reader(data: bytes) -> tuple[int, int]:
    """The loop that one would write first: the same checks, and nothing written."""
    good = bad = 0
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace", newline="")
    rating = dataset("ratings").field("rating")
    for row in csv.DictReader(text):
        try:
            user, item, value, at = row["userId"], row["movieId"], float(row["rating"]), int(row["timestamp"])
            fine = check_id(user) is None and check_id(item) is None and None not in row
            fine = fine and (rating.minimum or 0) <= value <= (rating.maximum or 0)
            fine = fine and 0 <= at * 1_000_000 < TIME_MAX_US
        except (ValueError, TypeError, AttributeError):
            fine = False
        good, bad = good + fine, bad + (not fine)
    return good, bad


def measure(work: Callable[[], tuple[int, int]], repeat: int) -> tuple[float, tuple[int, int]]:
    """The best CPU time of a few runs, in seconds, and what the work gave."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        found = work()
        best = min(best, time.process_time() - start)
    return best, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    clean, dirty = ratings(options.rows), ratings(options.rows, bad_every=1000)
    lines, in_quotes = json_lines(clean), quoted(clean)
    contenders: list[tuple[str, Callable[[], tuple[int, int]], str]] = [
        ("usher, CSV clean", lambda: usher(clean), ">= 800,000"),
        ("usher, CSV dirty (1 in 1,000)", lambda: usher(dirty), ">= 350,000"),
        ("usher, CSV all quoted", lambda: usher(in_quotes), ""),
        ("usher, JSON lines", lambda: usher(lines, "ratings.jsonl"), ""),
        ("csv.DictReader, clean, nothing written", lambda: dict_reader(clean), "a fifth of the first"),
        ("csv.DictReader, dirty, nothing written", lambda: dict_reader(dirty), "loses half the rows"),
    ]
    print(f"{options.rows:,} rows; best of {options.repeat}\n")
    print(f"{'':40} {'rows/CPU s':>12} {'accepted':>10} {'bad':>7}  target")
    for name, work, target in contenders:
        seconds, (good, bad) = measure(work, options.repeat)
        print(f"{name:40} {options.rows / seconds:12,.0f} {good:10,} {bad:7,}  {target}")


if __name__ == "__main__":
    main()
