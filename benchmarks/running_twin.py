"""What benchmarks do with a running twin: measure its processes from /proc, and open an experiment by hand.

The experiment has the items that deploy_experiment writes, with half of the traffic for each variant.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.lifecycle import RunningTwin
from usher.store import keys
from usher.store.codec import stored
from usher.store.router import Router, read_router, write_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

    from cli.target import Target


@dataclass(frozen=True)
class Process:
    """kind: twin (moto, the API, the runtime API), serve (a variant) or function (an environment of a function)."""

    pid: int
    kind: str

    def resident_mib(self) -> float:
        """0 when it has ended."""
        try:
            text = Path(f"/proc/{self.pid}/statm").read_text()
        except OSError:
            return 0.0
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_seconds(self) -> float:
        """User and system time so far; 0 when it has ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes(twin: RunningTwin, function: str = "recommend_items") -> list[Process]:
    """The twin itself, its model servers, and its environments of a function."""
    named = f"POWERTOOLS_SERVICE_NAME={function}\0".encode()
    found = [Process(twin.pid, "twin")]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == twin.pid and named in text:
            found.append(Process(int(folder.name), "function"))
        elif parent == twin.pid and b"\0serve\0" in text:
            found.append(Process(int(folder.name), "serve"))
    return found


def by_kind(values: Iterable[tuple[Process, float]]) -> dict[str, list[float]]:
    """The values of each kind, the largest first."""
    found: dict[str, list[float]] = {}
    for process, value in values:
        found.setdefault(process.kind, []).append(value)
    return {kind: sorted(each, reverse=True) for kind, each in found.items()}


@dataclass(frozen=True, slots=True)
class OpenExperiment:
    """An open experiment and the table of its exposures."""

    id: str
    table: Table

    def exposures(self) -> list[dict[str, Any]]:
        """All exposures, by a scan: the table is small."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page: Any = self.table.scan(ConsistentRead=True, **more)
            found += [item for item in page["Items"] if item["sk"] == f"EXPOSURE#{self.id}"]
            if "LastEvaluatedKey" not in page:
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@contextlib.contextmanager
def experiment(target: Target) -> Iterator[OpenExperiment]:
    """Open an experiment between the two variants, which both need a model, and close it afterwards."""
    dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.client_endpoint)
    table = dynamodb.Table(target.resources.state_table)
    router = read_router(table)
    assert router is not None and router.state == "idle", f"the router is {router}"
    name = f"xbenchmark-{secrets.token_hex(4)}"
    table.put_item(Item=keys.experiment(name).item() | stored(_meta(router)))
    half = {"A": 0.5, "B": 0.5}
    _write(table, replace(router, state="testing", experiment_id=name, weights=half))
    time.sleep(_cache_seconds(target) + 1.0)
    try:
        yield OpenExperiment(name, table)
    finally:
        _write(table, router)


def _cache_seconds(target: Target) -> float:
    """Seconds after which each environment of the function has read the router again."""
    names: Any = target.client("cloudformation").describe_stack_resource(
        StackName=target.stack_name, LogicalResourceId="RecommendItems"
    )
    name = names["StackResourceDetail"]["PhysicalResourceId"]
    configuration: Any = target.client("lambda").get_function_configuration(FunctionName=name)
    return float(configuration["Environment"]["Variables"]["USHER_ROUTER_CACHE_SECONDS"])


def _meta(router: Router) -> dict[str, Any]:
    return {
        **{"salt": secrets.token_hex(16), "started_at": int(time.time()), "preset": "default", "status": "open"},
        **{"attribution_seconds": 3600, "epoch_seconds": 3600, "settle_seconds": 60, "hour_seconds": 3600},
        **{"bake_seconds": 86400, "champion": router.champion, "challenger": router.idle_variant},
        "models": {
            "champion": router.models[router.champion],
            "challenger": router.models[router.idle_variant],
        },
    }


def _write(table: Table, router: Router) -> None:
    stored_router = read_router(table)
    assert stored_router is not None
    write_router(table, replace(router, version=stored_router.version + 1, opened_at=int(time.time())))
