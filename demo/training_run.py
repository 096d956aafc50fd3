"""Follow a training run state by state, print its verdict, and show recommendations of the first model."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from cli import runs
from cli.commands.recommend import ask, show
from cli.commands.report import trials
from cli.commands.runs import cost, verdict
from cli.errors import CommandError
from cli.experiments.records import router_of
from cli.formatting.run_report import Trial
from cli.formatting.terminal import out, printable, say
from cli.runs import Run
from cli.target import Target

_POLL_SECONDS = 0.5
#: Shorter states, such as choices, are not printed.
_SHORT_SECONDS = 0.05
#: User 42 has ratings in MovieLens and in generated data.
KNOWN_USER, UNKNOWN_USER = "42", "new-user"


def follow(target: Target, wait_seconds: float, before: Collection[str] = ()) -> Run:
    """Print a run's states as they end; returns the run when it has ended.

    before: ids of earlier runs. Raises CommandError when no run starts or ends in time.
    """
    deadline = time.monotonic() + wait_seconds
    printed: set[tuple[str, datetime]] = set()
    started = False
    while True:
        newest = [run for run in runs.newest(target, len(before) + 1) if run.run_id not in before]
        if newest and not started:
            say(f"run {newest[0].run_id} starts")
            started = True
        if newest:
            _print_states(target, newest[0], printed)
            if newest[0].ended_at is not None:
                return newest[0]
        if time.monotonic() > deadline:
            problem = f"run {newest[0].run_id} has not ended" if newest else "no run has started"
            raise CommandError(f"{problem} after {wait_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def _print_states(target: Target, run: Run, printed: set[tuple[str, datetime]]) -> None:
    for state in runs.states(target, run):
        key = (state.name, state.started_at)
        if (
            state.seconds is not None
            and key not in printed
            and (state.seconds >= _SHORT_SECONDS or state.outcome != "done")
        ):
            printed.add(key)
            marks = "" if state.outcome == "done" else f"  {state.outcome}"
            out().print(f"  {state.name:<24} {state.seconds:6.1f} s{marks}", markup=False)


def print_result(target: Target, run: Run) -> bool:
    """Print trials, verdict and cost; returns whether the model was deployed. Raises CommandError when the run failed.

    A refusal by the gate is not a failure.
    """
    for line in trial_lines(trials(target, run.run_id)):
        say(line)
    say(f"verdict: {printable(verdict(run)) or run.overall_status}; estimated cost on AWS {cost(run)} USD")
    if run.overall_status == "refused":
        return False
    if run.overall_status != "succeeded":
        raise CommandError(f"run {run.run_id} {run.overall_status}: {verdict(run)}")
    place, weights = _serving(target)
    variants = ", ".join(f"variant {name} with weight {weight:g}" for name, weight in weights.items())
    say(f"{place} {run.seconds(datetime.now(UTC)):.1f} s after the start: {variants}")
    return True


def _serving(target: Target) -> tuple[str, Mapping[str, float]]:
    """Where the models are, and the variants' weights: the endpoint's, or the router's when the function serves."""
    sagemaker, name = target.client("sagemaker"), target.resources.endpoint_name
    found = sagemaker.list_endpoints(NameContains=name)["Endpoints"]
    if all(endpoint["EndpointName"] != name for endpoint in found):
        router = router_of(target)
        return "in the function, without an endpoint,", router.weights if router else {}
    endpoint = sagemaker.describe_endpoint(EndpointName=name)
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in endpoint["ProductionVariants"]}
    return f"endpoint {endpoint['EndpointStatus']}", weights


def trial_lines(found: list[Trial]) -> list[str]:
    """For each algorithm its number of trials and the best one."""
    lines = []
    for algorithm in dict.fromkeys(trial.algorithm for trial in found):
        own = [trial for trial in found if trial.algorithm == algorithm]
        measured = [trial for trial in own if trial.objective is not None]
        best = f", best {measured[0].objective:.4f} with {measured[0].hyperparameters}" if measured else ""
        lines.append(printable(f"{algorithm}: {len(own)} trials{best}"))
    return lines


def print_recommendations(target: Target, session: Sequence[tuple[str, float]]) -> None:
    """Show lists for a known user, for a session (item id, stars), and for an unknown user."""
    requests: list[tuple[str, list[tuple[str, float | None]]]]
    requests = [(KNOWN_USER, []), ("", list(session)), (UNKNOWN_USER, [])]
    for user, ratings in requests:
        options = user or " ".join(f"--session {item}:{stars:g}" for item, stars in ratings)
        say(f"\nusher recommend {options}")
        body = ask(target, {"user_id": user, "limit": 5}, ratings)
        show(target, body, user, ratings, with_liked=True)
