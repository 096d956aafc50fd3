"""Latency of feedback through HTTP on the twin: single events and lists of a hundred.

    python -m benchmarks.feedback

The twin needs no model: the router is written by hand, an experiment is opened, and all users are enrolled, so that a
click with its signed id makes all of the writes that feedback can make. Requests run one after the other; the CPU time
of the processes that take part is printed beside the latency, because it does not depend on other load.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.running_twin import by_kind, processes
from cli.target import Choice, Target, find
from demo.api_client import ApiClient
from twin import lifecycle
from usher.api.signing_keys import current_key
from usher.schema.ids import hash_user_id
from usher.schema.signing import Recommendation, sign
from usher.store import keys
from usher.store.codec import stored
from usher.store.router import Router

REQUESTS, WARM_UP, USERS = 300, 30, 100
BATCHES, BATCH = 10, 100
EXPERIMENT = "xbenchmark-feedback"
#: After this the function has read the router again.
ROUTER_CACHE_SECONDS = 31.0


class Bench:
    """A twin and a client that sends feedback to it."""

    def __init__(self, target: Target, twin: lifecycle.RunningTwin) -> None:
        self._twin, self._client = twin, ApiClient.of(target)
        dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.endpoint)
        self.table = dynamodb.Table(target.resources.state_table)
        stack = target.client("cloudformation").describe_stacks(StackName=target.stack_name)["Stacks"][0]
        secret = next(out["OutputValue"] for out in stack["Outputs"] if out["OutputKey"] == "SigningSecretArn")
        self._key = current_key(target.client("secretsmanager"), secret)

    def event(self, n: int, kind: str, **fields: Any) -> dict[str, Any]:
        """The event of request n, by one of USERS users."""
        subject = {"user_id": f"user-{n % USERS}", "item_id": f"item-{n}"}
        return {"event_id": uuid.uuid4().hex, **subject, "type": kind, **fields}

    def outcome(self, n: int) -> dict[str, Any]:
        """A click that follows a recommendation."""
        event = self.event(n, "click")
        recommendation = Recommendation(
            EXPERIMENT, 2, "B", hash_user_id(event["user_id"]), int(time.time()), "r", (event["item_id"],)
        )
        return event | {"recommendation_id": sign(recommendation, self._key)}

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
        shares = ", ".join(f"{kind} {value:.1f}" for kind, value in spent.items())
        cpu = f"CPU {sum(spent.values()):6.1f} ms ({shares})"
        print(f"{name:26} p50 {cuts[49]:7.1f} ms   p95 {cuts[94]:7.1f} ms   {cpu}")

    def _send(self, body: Any) -> float:
        """Seconds until the request is accepted; a busy machine may need a second attempt."""
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
        """An open experiment with all users enrolled; afterwards the previous router is restored."""
        before = self.table.get_item(Key=keys.ROUTER.item()).get("Item")
        router = Router(10**6, int(time.time()), "testing", EXPERIMENT, "A", {"A": 0.5, "B": 0.5}, {"A": "r", "B": "r"})
        fields = {name: getattr(router, name) for name in Router.__dataclass_fields__}
        self.table.put_item(Item=keys.experiment(EXPERIMENT).item() | {"attribution_seconds": 3600})
        for user in range(USERS):
            key = keys.exposure(hash_user_id(f"user-{user}"), EXPERIMENT).item()
            self.table.put_item(Item=key | stored({"variant": "B", "version": 2, "enrolled_at": time.time()}))
        self.table.put_item(Item=keys.ROUTER.item() | stored(fields))
        time.sleep(ROUTER_CACHE_SECONDS)
        try:
            yield
        finally:
            self.table.delete_item(Key=keys.ROUTER.item())
            if before is not None:
                self.table.put_item(Item=before)


def main() -> None:
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
    print(f"{converted} of {USERS} users counted, each once")


def _list(bench: Bench, n: int) -> list[dict[str, Any]]:
    return [bench.event(n * BATCH + place, "rating", value=4.5) for place in range(BATCH)]


if __name__ == "__main__":
    main()
