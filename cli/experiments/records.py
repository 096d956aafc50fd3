"""Read an experiment from the state table: its description, decisions, strata and operator commands.

Values are shown as stored: a missing or malformed one is NaN or "?", never an assumption.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cli import runs
from cli.errors import CommandError
from cli.target import Target
from usher.errors import RouterUnreadable
from usher.schema import ids
from usher.store import experiment_history as history
from usher.store.experiments import ROLES
from usher.store.router import Router, read_router

Item = Mapping[str, Any]

#: Not for display: keys, the salt of the assignment, the controller's lease.
_HIDDEN = frozenset({"pk", "sk", "salt", "lease"})


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment. Epochs, strata, decisions and commands are ordered, oldest first.

    epochs: the closed versions of the router. strata: the epochs whose users were counted. commands: the operator's.
    """

    experiment_id: str
    meta: Item
    state: Item = field(default_factory=dict)
    epochs: Sequence[Item] = ()
    strata: Sequence[Item] = ()
    decisions: Sequence[Item] = ()
    commands: Sequence[Item] = ()

    @property
    def status(self) -> str:
        return str(self.meta.get("status", "unknown"))

    @property
    def is_closed(self) -> bool:
        return self.status == "closed"

    @property
    def summary(self) -> Item:
        return mapping(self.state.get("summary"))

    @property
    def numbers(self) -> Item:
        """The numbers of the newest tick; what it did not compute comes from the newest decision with numbers."""
        decided = (mapping(item.get("numbers")) for item in reversed(self.decisions))
        last = next((numbers for numbers in decided if "lift" in numbers), {})
        return {**last, **mapping(self.summary.get("numbers"))}

    @property
    def started_at(self) -> float:
        """Epoch seconds; NaN when it is not stored."""
        return number(self.meta, "started_at")

    @property
    def hour_seconds(self) -> float:
        """The duration of one hour of the preset's calendar, seconds."""
        found = number(self.meta, "hour_seconds")
        return found if found > 0 else 3600.0

    def hours(self, moment: float) -> float:
        """Hours of the preset's calendar from the start to `moment` (epoch seconds)."""
        return (moment - self.started_at) / self.hour_seconds

    def variant(self, role: str) -> str:
        return str(self.meta.get(role, "?"))

    def model(self, role: str) -> str:
        return str(mapping(self.meta.get("models")).get(role, "?"))

    def share(self, item: Item) -> float:
        """The challenger's share in an item's weights, keyed by role or by variant; NaN when it has none."""
        weights = mapping(item.get("weights_after", item.get("weights")))
        return number(weights, "challenger" if "challenger" in weights else self.variant("challenger"))

    def weights(self, router: Router | None) -> dict[str, float]:
        """By role: the router's while the experiment is open, else the last decision's; NaN when unknown."""
        if router is not None and router.experiment_id == self.experiment_id:
            return {role: float(router.weights.get(self.variant(role), math.nan)) for role in ROLES}
        last = self.decisions[-1] if self.decisions else self.summary
        challenger = self.share(last)
        return {"champion": 1.0 - challenger, "challenger": challenger}


def router_of(target: Target) -> Router | None:
    """The router, or None before the first model serves; CommandError when its item is incomplete."""
    try:
        return read_router(target.state_table())
    except RouterUnreadable as error:
        raise CommandError(
            f"the item ROUTER of table {target.resources.state_table} lacks {error.__cause__}: restore it from a backup"
        ) from error


def find(target: Target, wanted: str, router: Router | None, decisions: int | None = None) -> Experiment | None:
    """The experiment with this id or run id, or the beginning of one; `last` is the newest, None before the first.

    decisions: see `read`. CommandError unless exactly one experiment matches.
    """
    if wanted == "last":
        return newest(target, router, decisions)
    known = f"x{wanted}" if wanted.startswith("r") else wanted
    found = read(target, known, decisions)
    if found is not None:
        return found
    names = sorted({name for name in _known(target, router) if name.startswith(known)})
    there = [name for name in names if _meta(target, name) is not None]
    if len(there) == 1:
        return read(target, there[0], decisions)
    if not there:
        raise CommandError(f"experiment {wanted} not found: its id is x and the run's id (`usher runs`)")
    raise CommandError(f"{wanted} matches {len(there)} experiments, give more of the id: {', '.join(there[:5])}")


def newest(target: Target, router: Router | None, decisions: int | None = None) -> Experiment | None:
    """The open experiment, else the one that closed last: its challenger is still in one of the variants."""
    if router is None:
        return None
    if router.experiment_id:
        return read(target, router.experiment_id, decisions)
    names = [ids.experiment_id(model) for model in sorted(set(router.models.values()))]
    metas = {name: meta for name in names if (meta := _meta(target, name)) is not None}
    if not metas:
        return None
    return read(target, max(metas, key=lambda name: _or_zero(number(metas[name], "started_at"))), decisions)


def read(target: Target, experiment_id: str, decisions: int | None = None) -> Experiment | None:
    """An experiment's items; None when it has no record.

    decisions: only the newest so many, without epochs and strata; None reads everything.
    """
    table = target.state_table()
    if decisions is None:
        items = history.read_items(table, experiment_id)
        if history.META not in items:
            return None
        state = items.get(history.STATE, [{}])[0]
        kinds = (history.EPOCH, history.STRATUM, history.DECISION, history.COMMAND)
        return Experiment(experiment_id, items[history.META][0], state, *(items.get(kind, []) for kind in kinds))
    meta = history.read_meta(table, experiment_id)
    if meta is None:
        return None
    return Experiment(
        experiment_id,
        meta,
        history.read_state(table, experiment_id) or {},
        decisions=history.read_kind(table, experiment_id, history.DECISION, max(decisions, 1)),
        commands=history.read_kind(table, experiment_id, history.COMMAND),
    )


def _meta(target: Target, experiment_id: str) -> Item | None:
    return history.read_meta(target.state_table(), experiment_id)


def _known(target: Target, router: Router | None) -> list[str]:
    """Possible experiment ids: of the models that serve and of the newest runs."""
    models = list(router.models.values()) if router is not None else []
    return [ids.experiment_id(name) for name in (*models, *(run.run_id for run in runs.newest(target, 200)))]


def public(item: Item) -> dict[str, Any]:
    """The displayable fields of an item."""
    return {name: value for name, value in item.items() if name not in _HIDDEN}


def mapping(value: Any) -> Item:
    """`value` when it is a mapping, else an empty mapping."""
    return value if isinstance(value, Mapping) else {}


def number(item: Item, name: str) -> float:
    """A number of an item; NaN when it has none."""
    found = item.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.nan


def moment_of(item: Item) -> float:
    """When an item was created, epoch seconds: its `at`, else the time in its key; NaN without either."""
    at = item.get("at")
    if isinstance(at, int | float):
        return float(at)
    try:
        found = datetime.fromisoformat(str(at or str(item.get("sk", "")).partition("#")[2]))
    except ValueError:
        return math.nan
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def clock(moment: float) -> str:
    """Format a moment (epoch seconds) in UTC; empty when unknown."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}" if math.isfinite(moment) else ""


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
