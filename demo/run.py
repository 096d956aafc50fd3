"""Runs as they start by themselves: state by state, their verdicts, and the first model's answers to three people."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from cli.commands.recommend import ask, show
from cli.commands.report import Trial, trials
from cli.commands.runs import cost, verdict
from cli.errors import CommandError
from cli.formatting.console import out, printable, say
from cli.runs import executions
from cli.runs.executions import Run
from cli.target import Target

_POLL_SECONDS = 0.5
#: States that only choose take less; they would bury those that work.
_SHORT_SECONDS = 0.05
#: The known person: in MovieLens and in generated files alike.
KNOWN, UNKNOWN = "42", "somebody-new"


def follow(target: Target, wait_seconds: float, before: Collection[str] = ()) -> Run:
    """Print a run's states as they end; the run, once it has. CommandError when none starts or ends in time.

    before: ids of earlier runs, which are not meant.
    """
    deadline = time.monotonic() + wait_seconds
    told: set[tuple[str, datetime]] = set()
    started = False
    while True:
        newest = [run for run in executions.newest(target, len(before) + 1) if run.run_id not in before]
        if newest and not started:
            say(f"run {newest[0].run_id} starts by itself")
            started = True
        if newest:
            _tell_states(target, newest[0], told)
            if newest[0].ended_at is not None:
                return newest[0]
        if time.monotonic() > deadline:
            raise CommandError(f"{'the run has not ended' if newest else 'no run started'} in {wait_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def tell_result(target: Target, run: Run) -> bool:
    """Trials, verdict and cost; whether its model was deployed. CommandError when the run failed.

    A refusal is no failure: the gate says why, and the champion goes on, or nobody serves yet.
    """
    for line in trial_lines(trials(target, run.run_id)):
        say(line)
    say(f"verdict: {printable(verdict(run)) or run.said}; expected cost on AWS {cost(run)} USD")
    if run.said == "refused":
        return False
    if run.said != "succeeded":
        raise CommandError(f"run {run.run_id} {run.said}: {verdict(run)}")
    tell_endpoint(target, run.seconds(datetime.now(UTC)))
    return True


def tell_endpoint(target: Target, seconds: float) -> None:
    """How the endpoint stands, so many seconds after the run began."""
    endpoint = target.client("sagemaker").describe_endpoint(EndpointName=target.resources.endpoint_name)
    variants = ", ".join(
        f"{variant['VariantName']} at weight {variant['CurrentWeight']:g}" for variant in endpoint["ProductionVariants"]
    )
    say(f"endpoint {endpoint['EndpointStatus']} after {seconds:.1f} s: {variants}")


def recommend_to_three(target: Target, session: Sequence[tuple[str, float]]) -> None:
    """One known, one with a session of some ratings (item id, stars), one unknown."""
    say(f"\nusher recommend {KNOWN}")
    _recommend(target, KNOWN, [])
    say("\nusher recommend " + " ".join(f"--session {item}:{rating:g}" for item, rating in session))
    _recommend(target, "", session)
    say(f"\nusher recommend {UNKNOWN}")
    _recommend(target, UNKNOWN, [])


def trial_lines(found: list[Trial]) -> list[str]:
    """One line an algorithm: how many trials, and the best."""
    lines = []
    for algorithm in dict.fromkeys(trial.algorithm for trial in found):
        own = [trial for trial in found if trial.algorithm == algorithm]
        measured = [trial for trial in own if trial.objective is not None]
        best = f", best {measured[0].objective:.4f} with {measured[0].hyperparameters}" if measured else ""
        lines.append(printable(f"{algorithm}: {len(own)} trials{best}"))
    return lines


def _tell_states(target: Target, run: Run, told: set[tuple[str, datetime]]) -> None:
    for state in executions.states(target, run):
        key = (state.name, state.started_at)
        if (
            state.seconds is not None
            and key not in told
            and (state.seconds >= _SHORT_SECONDS or state.outcome != "done")
        ):
            told.add(key)
            marks = "" if state.outcome == "done" else f"  {state.outcome}"
            out().print(f"  {state.name:<24} {state.seconds:6.1f} s{marks}", markup=False)


def _recommend(target: Target, user: str, session: Sequence[tuple[str, float]]) -> None:
    asked: dict[str, Any] = {"user_id": user, "limit": 5}
    body = ask(target, asked, [(item, rating) for item, rating in session])
    show(target, body, user, list(session), with_liked=True)
