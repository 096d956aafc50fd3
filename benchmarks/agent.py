"""Rows that the agent sends to a twin in a second and in a CPU second of the agent.

    python -m benchmarks.agent [--rows 200000] [--repeat 3]

The twin is started for the benchmark; its streams transform and deliver at the same time on the same cores. Rows are
joined in records (the default) or sent one a record; each figure is the best of a few repeats.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path

from cli.agent.batches import BILLED_BYTES
from cli.agent.bootstrap import Settings, stream, work
from cli.target import Target, of_twin
from demo.private_twin import private_twin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        private_twin(Path(folder), {"MinNewRows": str(given.rows**2)}, print) as running,
    ):
        target = of_twin(running)  # its run threshold is out of reach, so that no run takes the cores
        path = Path(folder) / "ratings.csv"
        path.write_text(rows(given.rows))
        for name, record_bytes in (("joined", BILLED_BYTES), ("alone", 0)):
            runs = [once(target, path, Path(folder) / f"{name}-{at}", record_bytes) for at in range(given.repeat)]
            print(f"{name:8} {max(runs)[0]:10,.0f} rows/s {max(cpu for _, cpu in runs):10,.0f} rows/CPU s")


def rows(count: int) -> str:
    """Seeded ratings in MovieLens' format."""
    drawn = random.Random(7)
    lines = [
        f"{drawn.randrange(10_000)},{drawn.randrange(9_000)},{drawn.randrange(1, 11) / 2},{1_500_000_000 + at}\n"
        for at in range(count)
    ]
    return "userId,movieId,rating,timestamp\n" + "".join(lines)


def once(target: Target, path: Path, checkpoint: Path, record_bytes: int) -> tuple[float, float]:
    """Send the file once: (rows a second, rows a CPU second of the agent)."""
    order = Settings(
        paths=[str(path)],
        dataset="ratings",
        stream=stream(target, "ratings"),
        checkpoint=checkpoint,
        record_bytes=record_bytes,
    )
    began, cpu = time.perf_counter(), time.process_time()
    done = work(target, order, threading.Event())
    return done.rows / (time.perf_counter() - began), done.rows / (time.process_time() - cpu)


if __name__ == "__main__":
    main()
