"""Deploy: which model stands in which variant, under which names; and the router that says so."""

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

#: SageMaker's models, configs and endpoints have names of at most 63 characters; a retry adds two.
_NAME_MAX = 61


def model_name(endpoint: str, run_id: str) -> str:
    """The name of a run's SageMaker model and endpoint config; NotDeployable when it would be too long."""
    name = f"{endpoint}-{run_id}"
    if len(name) > _NAME_MAX:
        raise NotDeployable(
            f"the model name {name!r} has {len(name)} characters, {_NAME_MAX} are allowed: name the endpoint shorter"
        )
    return name


def variants(router: Router | None, champion_model_name: str) -> dict[str, str]:
    """The SageMaker model of each variant; empty stands for the new one, which takes both when it is the first."""
    if router is None or not champion_model_name:
        return dict.fromkeys(VARIANTS, "")
    return {variant: champion_model_name if variant == router.champion else "" for variant in VARIANTS}


def weights(router: Router | None) -> dict[str, float]:
    """The variants' weights: what the router says, or all traffic to A for the first model."""
    return dict(router.weights) if router else {"A": 1.0, "B": 0.0}


def place(table: Table, model: str, seen_version: int, terms: Terms, now: int) -> Router:
    """Write the router with `model` in both variants, the first time; later as the challenger of an experiment. Once.

    seen_version: the router's version when the run was planned, 0 for none; RouterMoved when it is another by now.
    """
    standing = read_router(table)
    if standing and standing.models[standing.idle_variant] == model and _is_placed(standing, model, seen_version):
        return standing  # a second try after a first that was not heard of
    if (standing.version if standing else 0) != seen_version:
        raise RouterMoved(
            f"the router is at version {standing.version if standing else 0}, the run of {model} was planned on "
            f"version {seen_version}: its config may not fit the variants any more; the next run plans anew"
        )
    if standing:
        return open_experiment(table, standing, model, terms, now)
    router = Router.first(model, now)
    write_router(table, router)
    return router


def _is_placed(standing: Router, model: str, seen_version: int) -> bool:
    """Whether the router shows what an earlier try wrote: the first model, or its experiment, which ticks move on."""
    return standing.version == seen_version + 1 or standing.experiment_id == experiment_id(model)


def record(runs: Runs, run_id: str, event: Mapping[str, Any]) -> None:
    """Write down what the next plan starts from: the model's names, and each algorithm's hyperparameters."""
    trained: Sequence[Mapping[str, Any]] = event["trained"]
    runs.record(
        run_id,
        model_name=str(event["model_name"]),
        model_package_arn=str(event["model_package_arn"]),
        hyperparameters={str(one["name"]): dict(one["hyperparameters"]) for one in trained},
    )
