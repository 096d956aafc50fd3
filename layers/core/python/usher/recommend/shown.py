"""GET /experiment: the newest experiment, in plain numbers; what it keeps secret (its salt) is not among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from usher.decimals import loaded
from usher.records import keys
from usher.records.ids import experiment_id
from usher.router import Router, read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

_ROLES = ("champion", "challenger")


def newest_experiment(table: Table) -> dict[str, Any] | None:
    """The open experiment, else the last one that was closed; None before the first.

    An experiment is named after its challenger's run, and what it left stands in the slots: so the newest one is named
    after the model of one slot or the other.
    """
    router = read_router(table)
    if router is None:
        return None
    names = [experiment_id(model) for model in dict.fromkeys(router.models.values())]
    if router.experiment_is_open:
        names = [router.experiment_id]
    found = [meta for name in names if (meta := _item(table, keys.experiment(name)))]
    if not found:
        return None
    meta = max(found, key=lambda item: float(item["started_at"]))
    name = str(meta["pk"]).partition("#")[2]
    return _shown(name, meta, _item(table, keys.experiment_state(name)) or {}, router)


def _shown(name: str, meta: Mapping[str, Any], state: Mapping[str, Any], router: Router) -> dict[str, Any]:
    is_open = router.experiment_is_open and router.experiment_id == name
    slots = {role: meta[role] for role in _ROLES}
    models = {role: meta["models"][role] for role in _ROLES}
    shares = {r: router.weights[slots[r]] if router.models[slots[r]] == models[r] else 0.0 for r in _ROLES}
    return {
        "experiment_id": name,
        "status": meta["status"],
        "state": router.state if is_open else "steady",
        "opened_at": meta["started_at"],
        "preset": meta["preset"],
        "models": models,
        "slots": slots,
        "weights": shares,
        "summary": state.get("summary"),
        "outcome": meta.get("outcome") or None,
        "reason": meta.get("reason") or None,
    }


def _item(table: Table, key: keys.Key) -> dict[str, Any] | None:
    found: dict[str, Any] | None = loaded(table.get_item(Key=key.item(), ConsistentRead=True).get("Item"))
    return found
