"""What feedback costs: start-up CPU of its handler, and through HTTP on the twin, alone and in lists of a hundred.

    python -m benchmarks.feedback [--twin]

The twin needs no model: the router is written by hand, an experiment is opened, and everybody is enrolled, so that each
click with its signed id makes all of the writes that feedback can make. One request waits for the other; the CPU time
of all who take part, which is printed beside the latency, is what a quiet machine needs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.twin_processes import by_kind, processes
from cli.target import Choice, Target, find
from demo.api_client import ApiClient
from twin import lifecycle
from usher.api.signing_keys import current_key
from usher.schema.ids import user_hash
from usher.schema.signing import Recommendation, sign
from usher.store import keys
from usher.store.codec import stored
from usher.store.router import Router

REQUESTS, WARM_UP, PEOPLE = 300, 30, 100
BATCHES, BATCH = 10, 100
EXPERIMENT = "xbenchmark-feedback"
#: The function reads the router again after this, with a bit to spare.
SEEN_SECONDS = 31.0
_START_UPS = {
    "bare Python": "",
    "boto3": "import boto3",
    "the handler's modules": "import aws_lambda_powertools, usher.feedback.responses, usher.feedback.bootstrap",
    "and its clients": """
import time, boto3
from usher.feedback.metrics import Telemetry
from usher.feedback.bootstrap import make_service
from usher.schema.settings import Settings
from aws_lambda_powertools import Logger
service = make_service(Settings(state_table="t", stream_prefix="p"), Telemetry("s", Logger(service="s")), time.time)
service.streams._firehose()
""",
}
_ENVIRONMENT = {
    **{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"},
    **{"AWS_DEFAULT_REGION": "eu-west-1", "PATH": "/usr/bin:/bin"},
}
_CPU = "import sys, time; print(time.process_time(), file=sys.stderr)"


def start_up(code: str, repeat: int = 5) -> float:
    """CPU seconds of a fresh interpreter that runs `code`, the best of `repeat`."""
    found = []
    for _ in range(repeat):
        command = [sys.executable, "-c", f"{code}\n{_CPU}"]
        result = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=True)
        found.append(float(result.stderr.splitlines()[-1]))
    return min(found)


class Bench:
    """A twin, and who sends feedback to it."""

    def __init__(self, target: Target, twin: lifecycle.RunningTwin) -> None:
        self._twin, self._client = twin, ApiClient.of(target)
        dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.endpoint)
        self.table = dynamodb.Table(target.resources.state_table)
        stack = target.client("cloudformation").describe_stacks(StackName=target.stack_name)["Stacks"][0]
        secret = next(out["OutputValue"] for out in stack["Outputs"] if out["OutputKey"] == "SigningSecretArn")
        self._key = current_key(target.client("secretsmanager"), secret)

    def event(self, n: int, kind: str, **fields: Any) -> dict[str, Any]:
        """Request n's event, of one of PEOPLE."""
        whom = {"user_id": f"person-{n % PEOPLE}", "item_id": f"item-{n}"}
        return {"event_id": uuid.uuid4().hex, **whom, "type": kind, **fields}

    def outcome(self, n: int) -> dict[str, Any]:
        """A click that follows a recommendation."""
        event = self.event(n, "click")
        said = Recommendation(
            EXPERIMENT, 2, "B", user_hash(event["user_id"]), int(time.time()), "r", (event["item_id"],)
        )
        return event | {"recommendation_id": sign(said, self._key)}

    def measure(self, name: str, body: Callable[[int], Any], requests: int) -> None:
        """Milliseconds of requests, one after the other, and the CPU time that they take."""
        for n in range(WARM_UP if requests == REQUESTS else 1):
            self._send(body(n))
        before, own, found = self._cpu(), time.process_time(), []
        for n in range(requests):
            found.append(self._send(body(n)) * 1000)
        after = self._cpu()
        spent = {kind: (after[kind] - before[kind]) / requests * 1000 for kind in after}
        spent["client"] = (time.process_time() - own) / requests * 1000
        cuts = statistics.quantiles(found, n=100)
        told = ", ".join(f"{kind} {value:.1f}" for kind, value in spent.items())
        print(f"{name:26} p50 {cuts[49]:7.1f} ms   p95 {cuts[94]:7.1f} ms   CPU {sum(spent.values()):6.1f} ms ({told})")

    def _send(self, body: Any) -> float:
        """Seconds until it is accepted; a machine that is busy with other things may need a second try."""
        started = time.perf_counter()
        while (reply := self._client.post("/feedback", body)).status == 503:
            print(f"again: {reply.body['detail']}", file=sys.stderr)
        assert reply.status == 202, reply.body
        return time.perf_counter() - started

    def _cpu(self) -> dict[str, float]:
        found = by_kind((process, process.cpu_seconds()) for process in processes(self._twin, "ingest_feedback"))
        return {kind: sum(values) for kind, values in found.items()}

    @contextmanager
    def experiment(self) -> Iterator[None]:
        """An open experiment, everybody in it; afterwards the router that stood before."""
        before = self.table.get_item(Key=keys.ROUTER.item()).get("Item")
        router = Router(10**6, int(time.time()), "testing", EXPERIMENT, "A", {"A": 0.5, "B": 0.5}, {"A": "r", "B": "r"})
        fields = {name: getattr(router, name) for name in Router.__dataclass_fields__}
        self.table.put_item(Item=keys.experiment(EXPERIMENT).item() | {"attribution_seconds": 3600})
        for person in range(PEOPLE):
            key = keys.exposure(user_hash(f"person-{person}"), EXPERIMENT).item()
            self.table.put_item(Item=key | stored({"variant": "B", "version": 2, "enrolled_at": time.time()}))
        self.table.put_item(Item=keys.ROUTER.item() | stored(fields))
        time.sleep(SEEN_SECONDS)
        try:
            yield
        finally:
            self.table.delete_item(Key=keys.ROUTER.item())
            if before is not None:
                self.table.put_item(Item=before)


def on_the_twin() -> None:
    """A rating, a view, a click that counts or comes again, and lists."""
    twin = lifecycle.running(Path.cwd())
    assert twin is not None, "no twin runs for this folder"
    bench = Bench(find(Choice()), twin)
    bench.measure("a rating", lambda n: bench.event(n, "rating", value=4.5), REQUESTS)
    bench.measure("a view", lambda n: bench.event(n, "view"), REQUESTS)
    bench.measure("100 ratings in a list", lambda n: _list(bench, n), BATCHES)
    with bench.experiment():
        bench.measure("a click with its id", bench.outcome, REQUESTS)
    converted = sum("converted_at" in item for item in bench.table.scan(ConsistentRead=True)["Items"])
    print(f"{converted} of {PEOPLE} people counted, each once")


def _list(bench: Bench, n: int) -> list[dict[str, Any]]:
    return [bench.event(n * BATCH + place, "rating", value=4.5) for place in range(BATCH)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twin", action="store_true", help="ask the running twin of this folder, too")
    arguments = parser.parse_args()
    bare = start_up("")
    for name, code in _START_UPS.items():
        print(f"{name:26} {start_up(code) - bare:7.3f} s CPU over bare Python")
    if arguments.twin:
        on_the_twin()


if __name__ == "__main__":
    main()
