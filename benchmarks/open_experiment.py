"""An experiment on a twin, opened and closed by hand: what the read path sees of one, without a second run.

The same items under the same keys as deploy_experiment writes, with half of the traffic for each variant.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from usher.store import keys
from usher.store.codec import stored
from usher.store.router import Router, read_router, write_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

    from cli.target import Target


@dataclass(frozen=True, slots=True)
class Opened:
    """An experiment that is open, and the table that its exposures go to."""

    id: str
    table: Table

    def exposures(self) -> list[dict[str, Any]]:
        """All of them, by a scan: a twin's table is small."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page: Any = self.table.scan(ConsistentRead=True, **more)
            found += [item for item in page["Items"] if item["sk"] == f"EXPOSURE#{self.id}"]
            if "LastEvaluatedKey" not in page:
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@contextlib.contextmanager
def experiment(target: Target) -> Iterator[Opened]:
    """Open an experiment between the two variants, and close it again; both need a model."""
    dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.endpoint, config=target.config)
    table = dynamodb.Table(target.resources.state_table)
    standing = read_router(table)
    assert standing is not None and standing.state == "idle", f"the router is {standing}"
    name = f"xbenchmark-{secrets.token_hex(4)}"
    table.put_item(Item=keys.experiment(name).item() | stored(_meta(standing)))
    half = {"A": 0.5, "B": 0.5}
    _write(table, replace(standing, state="testing", experiment_id=name, weights=half))
    time.sleep(_cache_seconds(target) + 1.0)
    try:
        yield Opened(name, table)
    finally:
        _write(table, standing)


def _cache_seconds(target: Target) -> float:
    """After so long each environment of the function has read the router again."""
    names: Any = target.client("cloudformation").describe_stack_resource(
        StackName=target.stack_name, LogicalResourceId="RecommendItems"
    )
    name = names["StackResourceDetail"]["PhysicalResourceId"]
    told: Any = target.client("lambda").get_function_configuration(FunctionName=name)
    return float(told["Environment"]["Variables"]["USHER_ROUTER_CACHE_SECONDS"])


def _meta(standing: Router) -> dict[str, Any]:
    return {
        **{"salt": secrets.token_hex(16), "started_at": int(time.time()), "preset": "default", "status": "open"},
        **{"attribution_seconds": 3600, "epoch_seconds": 3600, "settle_seconds": 60, "hour_seconds": 3600},
        **{"bake_seconds": 86400, "champion": standing.champion, "challenger": standing.idle_variant},
        "models": {
            "champion": standing.models[standing.champion],
            "challenger": standing.models[standing.idle_variant],
        },
    }


def _write(table: Table, router: Router) -> None:
    standing = read_router(table)
    assert standing is not None
    write_router(table, replace(router, version=standing.version + 1, opened_at=int(time.time())))
