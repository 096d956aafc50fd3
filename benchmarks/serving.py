"""`serve` under concurrent requests: requests a second, p50 and p99, with one BLAS thread and with one for each core.

usage: python -m benchmarks.serving [--clients 16] [--seconds 10] [--bundle FOLDER]

Each client sends its next request, `recommend` for a user of the bundle, as soon as it has the response. Without
--bundle a model of MovieLens' latest-small is fitted first. The clients run in this process and share the cores with
the server, so a busy machine shows in both figures; the load average is printed beside them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.protocol_data import data_folder, load
from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import load_entry_point
from usher_models.__main__ import BLAS_VARIABLES
from usher_models.artifacts import TrainingResult
from usher_models.container import parse
from usher_models.evaluation.build_bundle import Prepared, build_bundle

BODIES = 500
TARGET_PER_SECOND, TARGET_P99_SECONDS = 200.0, 0.3
START_SECONDS = 60.0


def fit_bundle(folder: Path) -> None:
    """A bundle of MovieLens' latest-small with fm and ranker, with fewer sweeps: serving costs the same."""
    ratings, items = load(data_folder())
    split_us = int(np.quantile(ratings.time_us, 0.9))
    inside = ratings.time_us >= split_us
    summary = {"run_id": "benchmark", "snapshots": {}, "split_at_us": split_us}
    users = tuple(map(str, range(ratings.users)))
    prepared = Prepared(summary, ratings.take(~inside), ratings.take(inside), items, users)
    trained = []
    for name, given in (("fm", {"epochs": "40"}), ("ranker", {})):
        algorithm, rows = ALGORITHMS[name], prepared.before
        artifact = load_entry_point(algorithm.fit)(rows, items, parse(given, algorithm))
        trained.append(TrainingResult(name, artifact, given, {}, len(items), len(rows), int(rows.time_us.max())))
    build_bundle(prepared, trained, folder)


def make_bodies(bundle: Path) -> list[bytes]:
    """A request for each of up to 500 users, in the bundle's order."""
    users = (bundle / "users.txt").read_text(encoding="utf-8").splitlines()[:BODIES]
    return [json.dumps({"op": "recommend", "user_id": user, "k": 10}).encode() for user in users]


def measure(bundle: Path, bodies: Sequence[bytes], clients: int, seconds: float, threads: int) -> list[float]:
    """The latencies, in seconds, of all requests that `clients` got answered by a server of its own."""
    with tempfile.TemporaryDirectory() as root, socket.socket() as probe:
        Path(root, "model").symlink_to(bundle.resolve())
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": root, "SAGEMAKER_BIND_TO_PORT": str(port)}
        environment |= dict.fromkeys(BLAS_VARIABLES, str(threads))
        with subprocess.Popen([sys.executable, "-m", "usher_models", "serve"], env=environment) as server:
            try:
                wait_until_healthy(port)
                latencies: list[list[float]] = [[] for _ in range(clients)]
                end = time.monotonic() + seconds
                workers = [
                    threading.Thread(target=ask, args=(port, bodies, n, end, own)) for n, own in enumerate(latencies)
                ]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
            finally:
                server.terminate()
        return sorted(latency for own in latencies for latency in own)


def ask(port: int, bodies: Sequence[bytes], client: int, end: float, latencies: list[float]) -> None:
    """One client, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    place = client * 31
    while time.monotonic() < end:
        began = time.perf_counter()
        connection.request("POST", "/invocations", bodies[place % len(bodies)])
        response = connection.getresponse()
        content = response.read()
        if response.status != http.client.OK:
            raise SystemExit(f"the server answered {response.status}: {content[:200]!r}")
        latencies.append(time.perf_counter() - began)
        place += 1
    connection.close()


def wait_until_healthy(port: int) -> None:
    """Return once /ping answers 200."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise SystemExit(f"the server is not healthy after {START_SECONDS:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--bundle", type=Path)
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as scratch:
        bundle = given.bundle or Path(scratch) / "bundle"
        if given.bundle is None:
            fit_bundle(bundle)
        bodies = make_bodies(bundle)
        print(f"{given.clients} clients, {cores} cores, load average before: {os.getloadavg()[0]:.1f}")
        for threads in (1, max(2, cores), 1, max(2, cores)):
            latencies = measure(bundle, bodies, given.clients, given.seconds, threads)
            rate = len(latencies) / given.seconds
            p50, p99 = np.quantile(latencies, [0.5, 0.99])
            target = "" if threads > 1 else f"  (target: {TARGET_PER_SECOND:.0f}/s, p99 {TARGET_P99_SECONDS} s)"
            print(
                f"{threads} BLAS thread(s): {rate:6.1f} requests/s, p50 {p50:.3f} s, p99 {p99:.3f} s, "
                f"load {os.getloadavg()[0]:.1f}{target}"
            )


if __name__ == "__main__":
    main()
