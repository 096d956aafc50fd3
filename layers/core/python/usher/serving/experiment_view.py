"""GET /experiment: the newest experiment as the API shows it, without its secret salt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usher.store.experiment_history import read_state
from usher.store.experiments import ROLES, Meta, newest_id, read_meta
from usher.store.router import Router, read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def newest_experiment(table: Table, now: float) -> dict[str, Any] | None:
    """The open experiment, else the last one that was closed; None before the first.

    StateError when its record is inconsistent. All is read consistently, so that every change shows at once.
    """
    router = read_router(table)
    name = newest_id(table, router, now) if router is not None else None
    meta = read_meta(table, name, now) if name is not None else None
    if router is None or meta is None:
        return None
    return {
        "experiment_id": meta.experiment_id,
        "status": meta.status,
        "state": router.state if router.experiment_id == meta.experiment_id else "idle",
        "opened_at": meta.started_at,
        "preset": meta.preset,
        "models": {role: meta.models[role] for role in ROLES},
        "variants": {role: meta.variant(role) for role in ROLES},
        "weights": {role: _share(router, meta, role) for role in ROLES},
        "summary": (read_state(table, meta.experiment_id) or {}).get("summary"),
        "outcome": meta.outcome or None,
        "reason": meta.reason or None,
    }


def _share(router: Router, meta: Meta, role: str) -> float:
    """The share of users that the role's model serves now; 0 when its variant holds another model by now."""
    variant = meta.variant(role)
    return router.weights[variant] if router.models[variant] == meta.models[role] else 0.0
