"""Rows that ingest validates and writes as Parquet in a CPU second, beside a plain loop; or its peak memory.

    python -m benchmarks.ingest [--rows 1000000] [--repeat 3]
    python -m benchmarks.ingest --memory [--megabytes 2048] [--bad-every 1000]

CSV, dirty CSV (1 line in 1,000 is bad), all quoted, JSON lines, and a csv.DictReader loop that checks the same and
writes nothing. Each is the best of a few repeats; CPU seconds are those of this process. --memory reads one large CSV,
which is generated while it is read, prints the peak resident memory of this process, and fails at 1 GB or more.
--bad-every 1 makes every line bad.
"""

from __future__ import annotations

import argparse
import csv
import io
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from usher.schema.datasets import TIME_MAX_US, dataset
from usher.schema.ids import check_id
from usher_lake.ingest import ingest_object
from usher_lake.landing import LandingObject

LIMIT_MB = 1000
LANDED_AT = datetime(2026, 3, 1, tzinfo=UTC)
HEADER = b"userId,movieId,rating,timestamp\n"


class Store:
    """S3 for ingest: returns one object, and keeps only the sizes of those that are written."""

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
    """Ratings in MovieLens' format by a multiplicative sequence; every `bad_every`th line is bad."""
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
    """A csv.DictReader loop with the same checks that writes nothing."""
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
    """The best CPU time of a few runs in seconds, and the result of `work`."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        found = work()
        best = min(best, time.process_time() - start)
    return best, found


class Stream:
    """A CSV of `size` bytes that repeats one block of rows, so that it is never in memory as a whole."""

    def __init__(self, size: int, bad_every: int) -> None:
        rows = ratings(20_000, bad_every)
        header, _, self._block = rows.partition(b"\n")
        self._left = size
        self._rest: bytes = header + b"\n"

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and self._left > 0:
            self._rest += self._block
        data, self._rest = self._rest[: min(size, self._left)], self._rest[size:]
        self._left -= len(data)
        return bytes(data)


class StreamStore(Store):
    """Returns a stream instead of an object in memory."""

    def __init__(self, size: int, bad_every: int) -> None:
        super().__init__(b"")
        self._size, self._bad_every = size, bad_every

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": Stream(self._size, self._bad_every), "ContentLength": self._size, "LastModified": LANDED_AT}


def peak_mb() -> float:
    """Peak resident memory of this process in MB (ru_maxrss is in KiB on Linux, in bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def measure_memory(size: int, bad_every: int) -> None:
    """Print rows, bytes, CPU seconds and peak memory of a CSV of `size` bytes."""
    store: Any = StreamStore(size, bad_every)
    start = time.process_time()
    landing = LandingObject("landing", "ratings/upload/large.csv", "", "e", size)
    entry = ingest_object(store, landing, "lake", lambda: 900.0)
    seconds = time.process_time() - start
    print(f"{size / 1e9:.2f} GB, {entry.rows_in:,} rows ({entry.rows_bad:,} bad) in {seconds:.0f} CPU s")
    print(f"{entry.files} data files, {sum(store.written.values()) / 1e6:,.0f} MB written")
    print(f"peak memory {peak_mb():,.0f} MB (limit {LIMIT_MB:,} MB)")
    if peak_mb() >= LIMIT_MB:
        sys.exit("too much memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure the peak memory of one large CSV instead")
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--bad-every", type=int, default=1000)
    options = parser.parse_args()
    if options.memory:
        measure_memory(options.megabytes << 20, options.bad_every)
        return
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
