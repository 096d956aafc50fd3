"""Deploy: which variant gets a new model, under which SageMaker names; and the router that routes to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from usher.errors import NotDeployable, RouterMoved
from usher.experiments.opening import Terms, open_experiment
from usher.schema.ids import experiment_id
from usher.store.router import VARIANTS, Router, read_router, write_router
from usher.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

#: SageMaker's names of models, configs and endpoints have at most 63 characters; a retry adds two.
_NAME_MAX = 61


def model_name(endpoint: str, run_id: str) -> str:
    """The name of a run's SageMaker model and endpoint config; NotDeployable when it would be too long."""
    name = f"{endpoint}-{run_id}"
    if len(name) > _NAME_MAX:
        raise NotDeployable(
            f"the model name {name!r} has {len(name)} characters, at most {_NAME_MAX} are allowed: "
            "choose a shorter endpoint name"
        )
    return name


def variants(router: Router | None, champion_model_name: str) -> dict[str, str]:
    """The SageMaker model of each variant; empty for the new model, which takes both variants when it is the first."""
    if router is None or not champion_model_name:
        return dict.fromkeys(VARIANTS, "")
    return {variant: champion_model_name if variant == router.champion else "" for variant in VARIANTS}


def weights(router: Router | None) -> dict[str, float]:
    """The variants' weights: the router's, or all traffic to A for the first model."""
    return dict(router.weights) if router else {"A": 1.0, "B": 0.0}


def place(table: Table, model: str, seen_version: int, terms: Terms, now: int) -> Router:
    """Deploy `model` in the router (idempotent): the first in both variants, a later one as an experiment's challenger.

    seen_version: the router's version when the run was planned, 0 for none; RouterMoved when it has changed since.
    """
    current = read_router(table)
    if current and current.models[current.idle_variant] == model and _is_placed(current, model, seen_version):
        return current
    version = current.version if current else 0
    if version != seen_version:
        raise RouterMoved(
            f"the router is at version {version}, but the run of model {model} was planned on version {seen_version}: "
            "its endpoint config may not fit the variants any more; start another run"
        )
    if current:
        return open_experiment(table, current, model, terms, now)
    router = Router.first(model, now)
    write_router(table, router)
    return router


def _is_placed(current: Router, model: str, seen_version: int) -> bool:
    """Whether an earlier try has written the router: with the first model, or the model's experiment."""
    return current.version == seen_version + 1 or current.experiment_id == experiment_id(model)


def record(runs: Runs, run_id: str, event: Mapping[str, Any]) -> None:
    """Record what the next plan starts from: the model's names, and each algorithm's hyperparameters."""
    trained: Sequence[Mapping[str, Any]] = event["trained"]
    runs.record(
        run_id,
        model_name=str(event["model_name"]),
        model_package_arn=str(event["model_package_arn"]),
        hyperparameters={str(one["name"]): dict(one["hyperparameters"]) for one in trained},
    )
