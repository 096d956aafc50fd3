"""GET /experiment: the newest experiment as the API shows it, without its secret salt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from usher.api.problems import Problem
from usher.store.experiment_state import ExperimentState
from usher.store.experiments import ROLES, Meta, newest_id, read_meta
from usher.store.router import Router, read_router

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def newest_experiment(
    table: Table, clock: Callable[[], float], unread: Callable[[Exception], None]
) -> dict[str, Any] | None:
    """The open experiment, else the last one that was closed, read consistently; None before the first.

    Problem when it cannot be read; unread is called with the error.
    """
    try:
        return _read(table, clock())
    except Exception as error:
        unread(error)
        raise Problem("no-answer-yet", "the experiment cannot be read now: try again in a minute") from error


def _read(table: Table, now: float) -> dict[str, Any] | None:
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
        "summary": ExperimentState.read(table, meta.experiment_id).summary or None,
        "outcome": meta.outcome or None,
        "reason": meta.reason or None,
    }


def _share(router: Router, meta: Meta, role: str) -> float:
    """The share of users that the role's model serves now; 0 when its variant holds another model by now."""
    variant = meta.variant(role)
    return router.weights[variant] if router.models[variant] == meta.models[role] else 0.0
