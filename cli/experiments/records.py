"""What the state table says of an experiment: its record, what was decided and why, what was counted, who ordered what.

Items are read as they are. A record that somebody edited by hand is shown as far as it goes, never guessed at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError
from cli.target import Target

if TYPE_CHECKING:
    from usher.store.router import Router

Item = Mapping[str, Any]

ROLES = ("champion", "challenger")
#: What a person who looks at an experiment does not need: keys, the secret of the assignment, the encoded state.
_HIDDEN = frozenset({"pk", "sk", "salt", "lease"})


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment. Epochs, strata, decisions and orders stand in their order, oldest first.

    epochs: the versions of the router that are over. strata: those whose users were counted.
    """

    experiment_id: str
    meta: Item
    state: Item = field(default_factory=dict)
    epochs: Sequence[Item] = ()
    strata: Sequence[Item] = ()
    decisions: Sequence[Item] = ()
    orders: Sequence[Item] = ()

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
        """The newest look's numbers; what it did not look at, as the newest decision with numbers had it."""
        decided = (mapping(item.get("numbers")) for item in reversed(self.decisions))
        last = next((numbers for numbers in decided if "lift" in numbers), {})
        return {**last, **mapping(self.summary.get("numbers"))}

    @property
    def started_at(self) -> float:
        """Epoch seconds; NaN where the record does not say."""
        return number(self.meta, "started_at")

    @property
    def hour_seconds(self) -> float:
        """How long an hour of the preset's calendar takes."""
        found = number(self.meta, "hour_seconds")
        return found if found > 0 else 3600.0

    def hours(self, moment: float) -> float:
        """Hours of the preset's calendar from the start to a moment (epoch seconds)."""
        return (moment - self.started_at) / self.hour_seconds

    def variant(self, role: str) -> str:
        return str(self.meta.get(role, "?"))

    def model(self, role: str) -> str:
        return str(mapping(self.meta.get("models")).get(role, "?"))

    def share(self, item: Item) -> float:
        """The challenger's share in an item's weights, which are by role or by variant; NaN where there is none."""
        weights = mapping(item.get("weights_after", item.get("weights")))
        return number(weights, "challenger" if "challenger" in weights else self.variant("challenger"))

    def weights(self, router: Router | None) -> dict[str, float]:
        """By role: as the router has them while the experiment is open, else as it left them; NaN when unknown."""
        if router is not None and router.experiment_id == self.experiment_id:
            return {role: float(router.weights.get(self.variant(role), math.nan)) for role in ROLES}
        last = self.decisions[-1] if self.decisions else self.summary
        challenger = self.share(last)
        return {"champion": 1.0 - challenger, "challenger": challenger}


def router_of(target: Target) -> Router | None:
    """The router, or None before the first model serves; CommandError when its item is not whole."""
    from usher.store.router import read_router  # noqa: PLC0415 - imports botocore

    try:
        return read_router(table_of(target))
    except KeyError as error:
        raise CommandError(
            f"the item ROUTER of {target.resources.state_table} lacks {error}: restore it from a backup of the table"
        ) from error


def find(target: Target, asked: str, router: Router | None, decisions: int | None = None) -> Experiment | None:
    """An experiment by its id, its run's id, or the beginning of one; `last` is the newest, None when there is none.

    decisions: see `read`. CommandError for an id that no experiment has, or several.
    """
    if asked == "last":
        return newest(target, router, decisions)
    known = f"x{asked}" if asked.startswith("r") else asked
    found = read(target, known, decisions)
    if found is not None:
        return found
    names = sorted({name for name in _known(target, router) if name.startswith(known)})
    there = [name for name in names if _meta(target, name) is not None]
    if len(there) == 1:
        return read(target, there[0], decisions)
    if not there:
        raise CommandError(f"there is no experiment {asked}: an experiment is named x and its run (`usher runs`)")
    raise CommandError(f"{asked} is the beginning of {len(there)} experiments: {', '.join(there[:5])}")


def newest(target: Target, router: Router | None, decisions: int | None = None) -> Experiment | None:
    """The open experiment, else the one that closed last: its challenger still stands in one of the variants."""
    if router is None:
        return None
    if router.experiment_id:
        return read(target, router.experiment_id, decisions)
    from usher.schema import ids  # noqa: PLC0415 - only when a command runs

    names = [ids.experiment_id(model) for model in sorted(set(router.models.values()))]
    metas = {name: meta for name in names if (meta := _meta(target, name)) is not None}
    if not metas:
        return None
    return read(target, max(metas, key=lambda name: _or_zero(number(metas[name], "started_at"))), decisions)


def read(target: Target, experiment_id: str, decisions: int | None = None) -> Experiment | None:
    """An experiment's items; None when it has no record.

    decisions: so many of the newest, and neither epochs nor strata, for those who only look; None is all there is.
    """
    if decisions is None:
        return _experiment(experiment_id, _query(target, experiment_id))
    meta = _meta(target, experiment_id)
    if meta is None:
        return None
    from usher.store import keys  # noqa: PLC0415 - only when a command runs

    state = _get(target, keys.experiment_state(experiment_id).item())
    taken = _query(target, experiment_id, "DECISION#", max(decisions, 1))
    orders = _query(target, experiment_id, "COMMAND#")
    return Experiment(experiment_id, meta, state or {}, decisions=taken, orders=orders)


def _query(target: Target, experiment_id: str, prefix: str = "", newest_first: int = 0) -> list[Item]:
    """Items in their order. newest_first: so many of the last ones alone; 0: all, page by page."""
    from usher.store import keys  # noqa: PLC0415
    from usher.store.codec import loaded  # noqa: PLC0415 - only when a command runs

    state_table = table_of(target)
    asked: dict[str, Any] = {
        "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
        "ExpressionAttributeValues": {
            ":pk": keys.experiment(experiment_id).pk,
            **({":prefix": prefix} if prefix else {}),
        },
        "ConsistentRead": True,
    }
    if newest_first:
        page = state_table.query(**asked, ScanIndexForward=False, Limit=newest_first)
        return [loaded(item) for item in reversed(page["Items"])]
    items: list[Item] = []
    while True:
        page = state_table.query(**asked)
        items += [loaded(item) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return items
        asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _meta(target: Target, experiment_id: str) -> Item | None:
    from usher.store import keys  # noqa: PLC0415 - only when a command runs

    return _get(target, keys.experiment(experiment_id).item())


def _get(target: Target, key: dict[str, str]) -> Item | None:
    from usher.store.codec import loaded  # noqa: PLC0415 - only when a command runs

    state_table = table_of(target)
    item = state_table.get_item(Key=key, ConsistentRead=True).get("Item")
    return None if item is None else dict(loaded(item))


def table_of(target: Target) -> Any:
    """The state table."""
    dynamodb: Any = target.session.resource("dynamodb", endpoint_url=target.endpoint, config=target.config)
    return dynamodb.Table(target.resources.state_table)


def _experiment(experiment_id: str, items: Sequence[Item]) -> Experiment | None:
    by_kind: dict[str, list[Item]] = {}
    for item in items:  # a Query returns them by sk, which makes them ordered by time within a kind
        by_kind.setdefault(str(item["sk"]).partition("#")[0], []).append(item)
    if "META" not in by_kind:
        return None
    return Experiment(
        experiment_id,
        by_kind["META"][0],
        by_kind.get("STATE", [{}])[0],
        by_kind.get("EPOCH", []),
        by_kind.get("STRATUM", []),
        by_kind.get("DECISION", []),
        by_kind.get("COMMAND", []),
    )


def _known(target: Target, router: Router | None) -> list[str]:
    """Names that an experiment may have: of the models that serve, and of the newest runs."""
    from cli.runs import executions  # noqa: PLC0415 - only where an id is not whole
    from usher.schema import ids  # noqa: PLC0415

    models = list(router.models.values()) if router is not None else []
    return [ids.experiment_id(name) for name in (*models, *(run.run_id for run in executions.newest(target, 200)))]


def public(item: Item) -> dict[str, Any]:
    """An item as a person may see it."""
    return {name: value for name, value in item.items() if name not in _HIDDEN}


def mapping(value: Any) -> Item:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def number(item: Item, name: str) -> float:
    """A number of an item; NaN where there is none."""
    found = item.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.nan


def moment_of(item: Item) -> float:
    """When an item came to be, in epoch seconds: its `at`, else the time in its key; NaN when neither says."""
    at = item.get("at")
    if isinstance(at, int | float):
        return float(at)
    try:
        found = datetime.fromisoformat(str(at or str(item.get("sk", "")).partition("#")[2]))
    except ValueError:
        return math.nan
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def clock(moment: float) -> str:
    """A moment (epoch seconds) as people read it, UTC; empty when unknown."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}" if math.isfinite(moment) else ""


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
