"""Watch the demo's experiment: print each change of the traffic and each decision until it closes; save its record."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.commands.experiment import write_page
from cli.errors import CommandError
from cli.experiments import presentation, records
from cli.experiments.records import Experiment, mapping, number
from cli.formatting.terminal import printable, remark, say
from cli.target import Target
from demo.simulated_users.sessions import SessionCounts
from usher.store.experiments import ROLES

if TYPE_CHECKING:
    from usher.store.router import Router

PAGE, RECORD = "experiment.html", "experiment.json"
_POLL_SECONDS = 1.0
_TOLERANCE = 1e-6
#: Decisions read by each poll: reading all items of the experiment every second would keep a core of the twin busy.
_RECENT = 20


@dataclass(slots=True)
class ObservedExperiment:
    """What has been seen of an experiment. shares: router version → challenger's share; printed: decision keys."""

    experiment_id: str
    began: float = field(default_factory=time.monotonic)
    shares: dict[int, float] = field(default_factory=dict)
    printed: set[str] = field(default_factory=set)
    last: Experiment | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def outcome(self) -> str:
        """promoted, rolled_back, retired, futile or inconclusive; empty while it is open."""
        return str(self.last.meta.get("outcome", "")) if self.last else ""

    @property
    def reason(self) -> str:
        return str(self.last.meta.get("reason", "")) if self.last else ""

    @property
    def users(self) -> int:
        """Users that the newest decision counted, of both roles."""
        numbers = self.last.numbers if self.last else {}
        found = [number(numbers, f"users_{role}") for role in ROLES]
        return 0 if any(map(math.isnan, found)) else int(sum(found))


def wait_until_open(target: Target, run_id: str, wait_seconds: float) -> ObservedExperiment:
    """The experiment that a run opened. Raises CommandError when it is not there in time."""
    from usher.schema import ids  # noqa: PLC0415 - only when a command runs

    wanted, deadline = ids.experiment_id(run_id), time.monotonic() + wait_seconds
    while records.read(target, wanted, 1) is None:
        if time.monotonic() > deadline:
            raise CommandError(f"run {run_id} did not open experiment {wanted} within {wait_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
    return ObservedExperiment(wanted)


def follow(target: Target, observed: ObservedExperiment, wait_seconds: float) -> None:
    """Print changes until the experiment closes. Raises CommandError when it stays open too long or is deleted."""
    deadline = time.monotonic() + wait_seconds
    while observed.last is None or not observed.last.is_closed:
        if time.monotonic() > deadline:
            raise CommandError(f"experiment {observed.experiment_id} is still open after {wait_seconds:.0f} s")
        router, found = records.router_of(target), records.read(target, observed.experiment_id, _RECENT)
        if found is None or router is None:
            raise CommandError(f"the record of experiment {observed.experiment_id} or the router was deleted")
        observe(observed, found, router)
        time.sleep(_POLL_SECONDS)
    observed.last = records.read(target, observed.experiment_id) or observed.last  # all decisions, for the page


def observe(observed: ObservedExperiment, found: Experiment, router: Router) -> None:
    """Take in the current state and print what is new. Raises CommandError when the router's weights are not shares."""
    observed.last = found
    for item in found.decisions:
        if item["sk"] not in observed.printed:
            observed.printed.add(item["sk"])
            if item["decision"] != "continue" or _moves_weights(item):
                say(_decision_line(found, item))
    if router.version not in observed.shares:
        observed.shares[router.version] = router.weights[found.variant("challenger")]
        total = sum(router.weights.values())
        if not math.isclose(total, 1.0, abs_tol=_TOLERANCE) or not all(0 <= w <= 1 for w in router.weights.values()):
            raise CommandError(f"router version {router.version} has weights that sum to {total:g}: {router.weights}")


def _moves_weights(item: Any) -> bool:
    return mapping(item.get("weights_before")) != mapping(item.get("weights_after"))


def _decision_line(found: Experiment, item: Any) -> str:
    """`12.0 s  16 min  challenger 25%  120 + 30 users  continue: …`"""
    numbers = mapping(item.get("numbers"))
    users = [number(numbers, f"users_{role}") for role in ROLES]
    elapsed = records.moment_of(item) - found.started_at
    counted = f"{users[0]:,.0f} + {users[1]:,.0f} users" if sum(users) > 0 else ""
    return printable(
        f"  {elapsed:5.1f} s  {presentation.hours_text(found.hours(records.moment_of(item))):>7}  "
        f"challenger {found.share(item):4.0%}  {counted:>18}  {item['decision']}: {item.get('reason', '')}"
    )


def describe(target: Target, experiment_id: str) -> str:
    """Which models compete, and how much faster than on AWS the experiment runs."""
    found = records.read(target, experiment_id, 1)
    preset = presentation.preset_of(found) if found is not None else None
    if found is None or preset is None:
        return f"experiment {experiment_id}"
    seconds = preset.horizon_hours * found.hour_seconds
    return (
        f"experiment {experiment_id}: champion {found.model('champion')} in variant {found.variant('champion')}, "
        f"challenger {found.model('challenger')} in variant {found.variant('challenger')}. Preset {preset.name}: it "
        f"ends after {seconds:.0f} s at the latest. On AWS the preset `default` takes up to 14 days, "
        f"{14 * 86400 / seconds:,.0f} times as long. The second column is the preset's own time."
    )


def describe_outcome(observed: ObservedExperiment) -> str:
    """How the experiment ended, with its reason."""
    after = f"after {observed.seconds:.0f} s"
    sentences = {
        "promoted": f"Promoted {after}: the challenger is the new champion.",
        "rolled_back": f"Rolled back {after}: the champion serves all traffic again.",
        "retired": f"Retired {after}: the champion serves all traffic again.",
        "futile": f"Stopped as futile {after}: a useful lift would not be detected. The champion stays.",
        "inconclusive": f"Inconclusive {after}: the champion stays. An experiment may end inconclusive: on AWS, the "
        "preset `default` would continue for two weeks and count many more users.",
    }
    return f"{sentences.get(observed.outcome, f'{observed.outcome} {after}.')} Reason: {observed.reason}"


def save(target: Target, folder: Path, observed: ObservedExperiment, counts: SessionCounts) -> None:
    """Write the experiment's page and its record as JSON into `folder`. Raises CommandError when it cannot."""
    router = records.router_of(target)
    found = observed.last
    record = {
        "experiment": None if found is None else presentation.as_record(found, router),
        "router": presentation.router_record(router),
        "challenger_share_by_version": observed.shares,
        "simulated_users": {
            "sessions": counts.sessions,
            "requests": counts.requests,
            "server_errors": counts.server_errors,
            "recommend_server_errors": counts.errors_of("recommend"),
            "variants": {
                variant: [counts.variants[variant, True], counts.variants[variant, False]]
                for variant, _ in sorted(counts.variants)
            },
        },
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write into {folder}: {error.strerror}: pass another folder to --save") from error
    write_page(folder / PAGE, found, router)
    remark(f"saved: {folder / PAGE}, {folder / RECORD}")
