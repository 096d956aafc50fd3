"""Peak memory of a large CSV through ingest: the object is made as it is read, so that only ingest's memory counts.

    python -m benchmarks.memory [--megabytes 2048] [--bad-every 1000]

Prints rows, bytes, seconds and this process's peak resident memory, and fails when that is 1 GB or more.
`--bad-every 1` makes every line bad.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks import ingest as bench
from usher_lake.ingest import ingest_object
from usher_lake.landing import LandingObject

LIMIT_MB = 1000


class Stream:
    """A CSV of `size` bytes that never is in memory as a whole: one block of rows over and over."""

    def __init__(self, size: int, bad_every: int) -> None:
        rows = bench.ratings(20_000, bad_every)
        header, _, self._block = rows.partition(b"\n")
        self._left = size
        self._rest: bytes = header + b"\n"

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and self._left > 0:
            self._rest += self._block
        data, self._rest = self._rest[: min(size, self._left)], self._rest[size:]
        self._left -= len(data)
        return bytes(data)


class Store(bench.Store):
    """Gives the stream instead of an object in memory."""

    def __init__(self, size: int, bad_every: int) -> None:
        super().__init__(b"")
        self._size, self._bad_every = size, bad_every

    def get_object(self, **_: Any) -> dict[str, Any]:
        body = Stream(self._size, self._bad_every)
        return {"Body": body, "ContentLength": self._size, "LastModified": datetime(2026, 3, 1, tzinfo=UTC)}


def peak_mb() -> float:
    """Peak resident memory of this process in MB (ru_maxrss is in KiB on Linux, in bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--bad-every", type=int, default=1000)
    options = parser.parse_args()
    size = options.megabytes << 20
    store: Any = Store(size, options.bad_every)
    start = time.process_time()
    entry = ingest_object(
        store, LandingObject("landing", "ratings/upload/large.csv", "", "e", size), "lake", lambda: 900.0
    )
    seconds = time.process_time() - start
    print(f"{size / 1e9:.2f} GB, {entry.rows_in:,} rows ({entry.rows_bad:,} bad) in {seconds:.0f} CPU s")
    print(f"{entry.files} data files, {sum(store.written.values()) / 1e6:,.0f} MB written")
    print(f"peak memory {peak_mb():,.0f} MB (limit {LIMIT_MB:,} MB)")
    if peak_mb() >= LIMIT_MB:
        sys.exit("too much memory")


if __name__ == "__main__":
    main()
