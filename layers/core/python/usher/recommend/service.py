"""The operations of the HTTP API, each a request in and a body out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.recommend.cached import Cached
from usher.recommend.ladder import Answer, Slots, from_lists, scorer_request
from usher.recommend.problems import Problem
from usher.recommend.request import Request
from usher.recommend.slots import slot_for
from usher.recommend.state import PopularLists, Recent
from usher.records.ids import user_hash
from usher.records.signing import Recommendation, sign
from usher.router import Router

_NOTHING = "no model has been deployed yet, or nothing answers; try again in a minute"


@dataclass(frozen=True, slots=True)
class Service:
    """What the operations need.

    recent: a person's hash → what they rated lately; it does not raise. key: the signing key, if it can be had.
    clock:  epoch seconds.
    """

    router: Cached[Router]
    popular: Cached[PopularLists]
    key: Cached[bytes]
    recent: Callable[[str], Sequence[Recent]]
    slots: Slots
    clock: Callable[[], float]

    def answer(self, request: Request) -> dict[str, Any]:
        """The body of the 200; Problem when there is no answer."""
        operations: Mapping[str, Callable[[Request], dict[str, Any]]] = {
            "recommend": self._recommend,
            "recommendSession": self._recommend,
            "similar": self._similar,
            "popular": self._popular,
            "health": self._health,
        }
        return operations[request.operation](request)

    def _recommend(self, request: Request) -> dict[str, Any]:
        router, now = self.router.get(), self.clock()
        who = user_hash(request.user_id) if request.user_id is not None else ""
        recent = tuple(self.recent(who)) if who else ()
        found = None
        if router is not None:
            asked = scorer_request(request, recent, now)
            found = self.slots.ask(router, slot_for(router, who), asked)
        if found is None:
            seen = {row.item_id for row in recent} | {item for item, _ in request.session}
            found = from_lists(self._lists(), request, seen)
        return {
            "recommendation_id": self._signed(found, router, who, int(now)),
            "user_id": request.user_id,
            "level": found.level,
            "model_id": found.model_id,
            "slot": found.slot,
            "items": ranked(found.items),
        }

    def _similar(self, request: Request) -> dict[str, Any]:
        router = self.router.get()
        asked = {"op": "similar", "item_id": request.item_id, "k": request.limit}
        found = self.slots.ask(router, router.champion, asked) if router is not None else None
        if found is None:
            raise Problem("no-answer-yet", _NOTHING)
        items = ranked(found.items)
        return {"item_id": request.item_id, "model_id": found.model_id, "slot": found.slot, "items": items}

    def _popular(self, request: Request) -> dict[str, Any]:
        found = from_lists(self._lists(), request, ())
        return {"level": found.level, "model_id": found.model_id, "items": ranked(found.items)}

    def _health(self, _: Request) -> dict[str, Any]:
        router = self.router.get()
        if router is None:
            raise Problem("no-answer-yet", "no router stands: no model has been deployed, or the state is out of reach")
        shown = {name: getattr(router, name) for name in ("state", "version", "models", "weights")}
        return {"status": "serving", **shown}

    def _lists(self) -> PopularLists:
        lists = self.popular.get()
        if lists is None:
            raise Problem("no-answer-yet", _NOTHING)
        return lists

    def _signed(self, found: Answer, router: Router | None, who: str, now: int) -> str | None:
        key = self.key.get()
        if key is None:
            return None
        return sign(
            Recommendation(
                experiment=router.experiment_id if router is not None and router.experiment_is_open else "",
                version=router.version if router is not None else 0,
                slot=found.slot or "",
                user=who,
                at=now,
                model=found.model_id,
                items=tuple(str(item["item_id"]) for item in found.items),
            ),
            key,
        )


def ranked(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The items as the API shows them: a rank, and nothing that the contract does not name."""
    names = ("item_id", "title", "genres", "score", "reason")
    return [{"rank": rank, **{n: item[n] for n in names if n in item}} for rank, item in enumerate(items, 1)]
