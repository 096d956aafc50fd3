"""CPU time of a tick of an experiment: without counting, at the end of an epoch, and counting a large stratum.

    python -m benchmarks.tick [--users 100000]

The AWS APIs run in another process: moto for the ticks, and prepared pages of one megabyte for the stratum, so that
the function alone is measured. DynamoDB's own time (some 50 ms a page) comes on top.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import http.server
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import boto3

from usher.experiments.controller import ExperimentController
from usher.experiments.opening import Terms, open_experiment
from usher.experiments.strata import StratumCounter
from usher.experiments.tick import TickRequest
from usher.schema.settings import Settings
from usher.store import keys
from usher.store.experiments import Meta
from usher.store.router import Router, write_router
from usher.store.strata import Epoch

TICKS = 30
MODELS = ("raaaaaaaaaa-1", "rbbbbbbbbbb-1")
EXPERIMENT = f"x{MODELS[1]}"
PAGE_BYTES = 1_000_000
SETTINGS = Settings(state_table="state", endpoint_name="usher", serving_backend="function", shift_rule_name="ticks")
_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "eu-west-1"}


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000, help="exposures of the stratum that is counted")
    users = parser.parse_args().users
    os.environ.update(_ENVIRONMENT)
    with _served(_moto) as endpoint:
        for what, seconds in ticks(endpoint).items():
            print(f"{what:<34} {statistics.median(seconds) * 1e3:7.0f} ms CPU (median of {len(seconds)})")
    with _served(_pages, users) as endpoint:
        wall, cpu, counted = count(endpoint)
    print(f"{f'a stratum of {counted:,} users':<34} {wall:7.1f} s, {cpu:.1f} s CPU")


def ticks(endpoint: str) -> dict[str, list[float]]:
    """CPU seconds of each tick, by kind."""
    dynamodb = boto3.resource("dynamodb", endpoint_url=endpoint)
    table = _table(dynamodb)
    cloudwatch, events = (boto3.client(name, endpoint_url=endpoint) for name in ("cloudwatch", "events"))
    events.put_rule(Name="ticks", ScheduleExpression="rate(1 minute)", State="ENABLED")
    begin = int(time.time()) // 60 * 60 - 86400
    first = Router.first(MODELS[0], begin)
    write_router(table, first)
    open_experiment(table, first, MODELS[1], Terms("default", 3600, 3600, 3600.0, 86400, 30.0), begin)
    controller = ExperimentController(table, {"cloudwatch": cloudwatch, "events": events, "sagemaker": None}, SETTINGS)
    found: dict[str, list[float]] = {"a tick that changes nothing": [], "a tick that closes an epoch": []}
    for number in range(1, TICKS + 1):
        for kind, at in zip(found, (begin + number * 3600 - 60.0, begin + number * 3600.0), strict=True):
            _answers(cloudwatch, at - 90)
            started = time.process_time()
            controller.tick(TickRequest(str(at)), at)
            found[kind].append(time.process_time() - started)
    return found


def _answers(cloudwatch: Any, at: float) -> None:
    """A minute's requests of both variants."""
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    for variant, requests in (("A", 30), ("B", 3)):
        dimensions = [{"Name": "experiment", "Value": EXPERIMENT}, {"Name": "variant", "Value": variant}]
        data = {"MetricName": "VariantRequests", "Dimensions": dimensions, "Timestamp": moment, "Value": requests}
        cloudwatch.put_metric_data(Namespace="Usher", MetricData=[data])


def count(endpoint: str) -> tuple[float, float, int]:
    """Seconds by the clock and of CPU, and how many were counted."""
    table = boto3.resource("dynamodb", endpoint_url=endpoint).Table("state")
    counter = StratumCounter(table, _meta())
    wall, cpu = time.perf_counter(), time.process_time()
    found = counter.count(Epoch(2, {"champion": 0.5, "challenger": 0.5}, 1_800_000_000, 1_800_003_600))
    assert not found.faults
    counted = sum(tally.n for tally in found.roles.values())
    return time.perf_counter() - wall, time.process_time() - cpu, counted


def _meta() -> Meta:
    models = dict(zip(("champion", "challenger"), MODELS, strict=True))
    return Meta(EXPERIMENT, "salt", 1_800_000_000, 3600, 3600, 60, 3600.0, 86400, "default", "A", "B", models)


def _table(dynamodb: Any) -> Any:
    names = ("pk", "sk", "GSI1pk")
    index = [{"AttributeName": "GSI1pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    return dynamodb.create_table(
        TableName="state",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        GlobalSecondaryIndexes=[{"IndexName": "GSI1", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}],
        BillingMode="PAY_PER_REQUEST",
    )


# ── servers in processes of their own ────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _served(target: Any, *given: Any) -> Iterator[str]:
    """Run `target` in a process that sends its address; it is ended afterwards."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(theirs, *given), daemon=True)
    process.start()
    try:
        yield str(ours.recv())
    finally:
        process.terminate()
        process.join()


def _moto(pipe: Connection) -> None:
    import logging  # noqa: PLC0415 - in its own process

    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - in its own process

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    pipe.send(f"http://127.0.0.1:{server.get_host_and_port()[1]}")
    while True:
        time.sleep(60)


def _pages(pipe: Connection, users: int) -> None:
    """A Query's answers: by shard and page."""
    shards = [_shard(users // keys.EXPOSURE_SHARDS, shard) for shard in range(keys.EXPOSURE_SHARDS)]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 2 * PAGE_BYTES  # header and body leave together

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            shard = int(asked["ExpressionAttributeValues"][":shard"]["S"].rsplit("#", 1)[1])
            page = int(asked.get("ExclusiveStartKey", {}).get("pk", {}).get("S", "0"))
            body = shards[shard][page]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()


def _shard(users: int, shard: int) -> list[bytes]:
    """Pages of one shard. A page's megabyte is of whole items; what the projection leaves of them is less."""
    size = PAGE_BYTES // 300  # an exposure's item and its index entry
    starts = range(0, users, size)
    pages = []
    for page, start in enumerate(starts):
        items = [_exposure(shard, number) for number in range(start, min(start + size, users))]
        answer: dict[str, Any] = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if page + 1 < len(starts):
            answer["LastEvaluatedKey"] = {"pk": {"S": str(page + 1)}}
        pages.append(json.dumps(answer).encode())
    return pages


def _exposure(shard: int, number: int) -> dict[str, Any]:
    draw = hashlib.sha256(f"{shard} {number}".encode()).digest()
    item = {"variant": {"S": "AB"[draw[0] & 1]}, "enrolled_at": {"N": f"{1_800_000_000 + number % 3600}.123456"}}
    if draw[1] < 26:
        item |= {"converted_at": {"N": f"{1_800_000_010 + number % 3600}.5"}, "reward": {"N": "1"}}
    return item


if __name__ == "__main__":
    main()
