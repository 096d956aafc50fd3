"""Latency of a recommendation: inside the handler, and through HTTP on the twin.

    python -m benchmarks.recommend [--twin]

The handler runs without AWS calls: router, lists, key and the scorer's response are given. What is measured is reading
and validating the request, the variant, the fallback chain, the signature and the response. On the twin an experiment
is opened by hand: first exposures are written, and enrolled users are read with their exposure.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.target import Choice, find
from demo.api_client import ApiClient
from twin import lifecycle
from usher.api.responses import respond
from usher.api.ttl_cache import TtlCache
from usher.serving.circuit_breaker import Breaker
from usher.serving.fallback import Variants
from usher.serving.service import Service, UserServing, handle
from usher.store.experiments import Meta
from usher.store.exposures import Exposure
from usher.store.popular import PopularLists
from usher.store.profiles import ProfileRating, Users, UserState
from usher.store.router import Router, Variant

#: Requests through HTTP, each of another user, and requests before them that are not measured.
USERS, WARM_UP = 300, 20


class Ready:
    """A scoring back end that responds with given items."""

    def __init__(self, items: int) -> None:
        self._items = [
            {"item_id": str(n), "title": f"Title {n} (1999)", "genres": ["Drama", "Crime"], "score": 1 / (n + 1)}
            for n in range(items)
        ]

    def ask(self, variant: Variant, model: str, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"model_id": "r1-1", "level": "model", "items": self._items}


class KnownUsers(Users):
    """Users whose state needs no read: twenty recent ratings, and an enrolment."""

    def __init__(self) -> None:
        recent = tuple(ProfileRating(str(n), 4.0, float(n)) for n in range(20))
        self._state = UserState(recent, Exposure("A", 3, time.time()))

    def read(self, user_id_hash: str, experiment_id: str) -> UserState:  # noqa: ARG002
        return self._state


def ready_service() -> Service:
    """The service during an experiment, with all values that would come from AWS."""

    def given(value: Any) -> TtlCache[Any]:
        return TtlCache(lambda: value, 3600.0, time.time)

    router = Router(3, 0, "testing", "xr1-1", "A", {"A": 0.5, "B": 0.5}, {"A": "r1-1", "B": "r2-1"})
    experiment = Meta("xr1-1", "salt", 1, 3600, 3600, 60, 3600, 86400, "default", "A", "B", {})
    serving = UserServing(
        users=KnownUsers(),
        experiment_of=lambda _: experiment,
        variants=Variants(Ready(10), Breaker(time.time), time.perf_counter, lambda *_: None),
        on_asked=lambda *_: None,
        clock=time.time,
    )
    return Service(given(router), given(PopularLists("r1-1", (), {})), given(b"k" * 64), serving, lambda: None)


def handler_ms(requests: int = 2000) -> list[float]:
    """Milliseconds of each request, no AWS calls: ten items, twenty recent ratings, an experiment open."""
    service = ready_service()
    found = []
    for n in range(requests):
        event = {
            "rawPath": "/recommendations",
            "rawQueryString": f"user_id={n}&limit=10&exclude=1&exclude=2",
            "requestContext": {"stage": "$default", "http": {"method": "GET"}},
        }
        started = time.perf_counter()
        response, _ = respond(functools.partial(handle, event, lambda: service), lambda _: None)
        found.append((time.perf_counter() - started) * 1000)
        assert response["statusCode"] == 200, response
    return found


def through_http(path: Callable[[int], str], requests: int = USERS) -> list[float]:
    """Milliseconds of signed requests to the twin of this folder, one after the other. path: of request n.

    Prints the CPU time of the processes that take part, which does not depend on other load.
    """
    from benchmarks.running_twin import by_kind, processes  # noqa: PLC0415

    client = ApiClient.of(find(Choice()))
    twin = lifecycle.running(Path.cwd())
    assert twin is not None, "no twin runs for this folder"
    for n in range(-WARM_UP, 0):
        assert client.get(path(n)).status == 200
    before, own = by_kind((p, p.cpu_seconds()) for p in processes(twin)), time.process_time()
    found = []
    for n in range(requests):
        reply = client.get(path(n))
        assert reply.status == 200, reply.body
        found.append(reply.seconds * 1000)
    after = by_kind((p, p.cpu_seconds()) for p in processes(twin))
    spent = {kind: sum(after[kind]) - sum(before[kind]) for kind in after} | {"client": time.process_time() - own}
    shares = ", ".join(f"{kind} {seconds / requests * 1000:.1f}" for kind, seconds in spent.items())
    print(f"CPU ms a request: {shares}; total {sum(spent.values()) / requests * 1000:.1f}")
    return found


def on_the_twin() -> None:
    """No experiment, then first exposures (each a conditional write), then the same users again."""
    from benchmarks.running_twin import experiment  # noqa: PLC0415

    report("through HTTP, no experiment open", through_http(_path))
    with experiment(find(Choice())) as opened:
        report("through HTTP, first exposures", through_http(_path))
        enrolled = len(opened.exposures())
        assert enrolled == USERS, f"{enrolled} exposures of {USERS} users"
        report("through HTTP, enrolled", through_http(_path))
    print(f"{enrolled} users enrolled, each once")


def _path(n: int) -> str:
    """A request of user n + 1; the warm-up enrols no user."""
    return f"/recommendations?user_id={n + 1}&limit=10" if n >= 0 else "/popular?limit=10"


def report(name: str, found: list[float]) -> None:
    cuts = statistics.quantiles(found, n=100)
    print(f"{name:32} p50 {cuts[49]:7.2f} ms   p95 {cuts[94]:7.2f} ms   p99 {cuts[98]:7.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twin", action="store_true", help="ask the running twin of this folder, too")
    arguments = parser.parse_args()
    report("inside the handler", handler_ms())
    if arguments.twin:
        on_the_twin()


if __name__ == "__main__":
    main()
