"""An experiment as it goes: each version of the router, each decision that changes something, until it is closed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError
from cli.experiments import presentation, records
from cli.experiments.records import Experiment, mapping, number
from cli.formatting.console import printable, say
from cli.target import Target

if TYPE_CHECKING:
    from usher.store.router import Router

_LOOK_SECONDS = 1.0
_TOLERANCE = 1e-6
#: Decisions that a look reads: all of an experiment's items each second would keep a core of the twin busy.
_RECENT = 20


@dataclass(slots=True)
class Course:
    """What was seen of one experiment. versions: router version → challenger's share."""

    experiment_id: str
    began: float = field(default_factory=time.monotonic)
    versions: dict[int, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    last: Experiment | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def outcome(self) -> str:
        """promoted, rolled_back, retired, futile or inconclusive; empty while it is undecided."""
        return str(self.last.meta.get("outcome", "")) if self.last else ""

    @property
    def people(self) -> int:
        """How many were counted for either role."""
        numbers = self.last.numbers if self.last else {}
        found = [number(numbers, f"users_{role}") for role in records.ROLES]
        return 0 if any(map(math.isnan, found)) else int(sum(found))

    @property
    def reason(self) -> str:
        return str(self.last.meta.get("reason", "")) if self.last else ""


def opened(target: Target, run_id: str, wait_seconds: float) -> Course:
    """The experiment that a run opened; CommandError when none shows in time."""
    from usher.schema import ids  # noqa: PLC0415 - only when a command runs

    wanted, deadline = ids.experiment_id(run_id), time.monotonic() + wait_seconds
    while records.read(target, wanted, 1) is None:
        if time.monotonic() > deadline:
            raise CommandError(f"run {run_id} opened no experiment {wanted} in {wait_seconds:.0f} s")
        time.sleep(_LOOK_SECONDS)
    return Course(wanted)


def follow(target: Target, course: Course, wait_seconds: float) -> Course:
    """Print what changes until the experiment is closed. CommandError when it is not in time, or its record is gone."""
    deadline = time.monotonic() + wait_seconds
    while course.last is None or not course.last.is_closed:
        if time.monotonic() > deadline:
            raise CommandError(f"experiment {course.experiment_id} is not closed after {wait_seconds:.0f} s")
        router, found = records.router_of(target), records.read(target, course.experiment_id, _RECENT)
        if found is None or router is None:
            raise CommandError(f"the record of experiment {course.experiment_id} or the router is gone")
        look(course, found, router)
        time.sleep(_LOOK_SECONDS)
    course.last = records.read(target, course.experiment_id) or course.last  # all of it, for the page
    return course


def look(course: Course, found: Experiment, router: Router) -> None:
    """Take in what stands now and print what is new."""
    course.last = found
    for item in found.decisions:
        if item["sk"] not in course.told:
            course.told.add(item["sk"])
            if item["decision"] != "continue" or _moves(item):
                say(_decision(found, item))
    if router.version not in course.versions:
        course.versions[router.version] = router.weights[found.variant("challenger")]
        total = sum(router.weights.values())
        if not math.isclose(total, 1.0, abs_tol=_TOLERANCE) or not all(0 <= w <= 1 for w in router.weights.values()):
            raise CommandError(f"router version {router.version} has weights that sum to {total:g}: {router.weights}")


def _moves(item: Any) -> bool:
    return mapping(item.get("weights_before")) != mapping(item.get("weights_after"))


def _decision(found: Experiment, item: Any) -> str:
    """`  12 s  16 min  challenger 25 %   120 + 30 people …`"""
    numbers = mapping(item.get("numbers"))
    people = [number(numbers, f"users_{role}") for role in records.ROLES]
    share = found.share(item)
    elapsed = records.moment_of(item) - found.started_at
    counted = f"{people[0]:,.0f} + {people[1]:,.0f} counted" if sum(people) > 0 else ""
    hours = presentation.hours_text(found.hours(records.moment_of(item)))
    return printable(
        f"  {elapsed:5.1f} s  {hours:>7}  challenger {share:4.0%}  "
        f"{counted:>18}  {item['decision']}: {item.get('reason', '')}"
    )


def explain(target: Target, experiment_id: str) -> str:
    """What runs, and how much faster than on AWS it is played."""
    found = records.read(target, experiment_id, 1)
    preset = presentation.preset_of(found) if found is not None else None
    if found is None or preset is None:
        return f"experiment {experiment_id}"
    seconds = preset.horizon_hours * found.hour_seconds
    return (
        f"experiment {experiment_id}: champion {found.model('champion')} in variant {found.variant('champion')}, "
        f"challenger "
        f"{found.model('challenger')} in variant {found.variant('challenger')}. Preset {preset.name}: it ends after "
        f"{seconds:.0f} s at the latest; on AWS the preset `default` takes up to 14 days, {14 * 86400 / seconds:,.0f} "
        f"times as long. Hours below are the preset's own; nobody sets how often people click."
    )


def ending(course: Course) -> str:
    """How it ended, in a sentence for people."""
    after = f"after {course.seconds:.0f} s"
    said = {
        "promoted": f"promoted {after}: the new model is the champion",
        "rolled_back": f"rolled back {after}: the champion has all the traffic again",
        "retired": f"retired {after}: the champion has all the traffic again",
        "futile": f"given up {after}: a lift worth having would not be found; the champion stays",
        "inconclusive": f"undecided {after}, which is a legal end: the champion stays. On AWS the preset `default` "
        "would go on for two weeks and see as many people as come by then",
    }
    return f"{said.get(course.outcome, f'{course.outcome} {after}')}. Reason: {course.reason}"
