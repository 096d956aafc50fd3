"""The operations of the HTTP API, each a request in and a body out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.api.problems import Problem
from usher.api.ttl_cache import Cached
from usher.schema.ids import user_hash
from usher.schema.signing import Recommendation, sign
from usher.serving.fallback import Answer, from_lists
from usher.serving.request import Request
from usher.serving.serve_user import Serving
from usher.store.popular_lists import PopularLists
from usher.store.router import Router

_NOTHING = "no model has been deployed yet, or nothing answers; try again in a minute"


@dataclass(frozen=True, slots=True)
class Service:
    """What the operations need.

    key: the signing key, if it can be had. experiment: the newest one as it is shown, if there is one.
    """

    router: Cached[Router]
    popular: Cached[PopularLists]
    key: Cached[bytes]
    serving: Serving
    experiment: Callable[[], Mapping[str, Any] | None]

    def answer(self, request: Request) -> dict[str, Any]:
        """The body of the 200; Problem when there is no answer."""
        operations: Mapping[str, Callable[[Request], dict[str, Any]]] = {
            "recommend": self._recommend,
            "recommendSession": self._recommend,
            "similar": self._similar,
            "popular": self._popular,
            "experiment": self._experiment,
            "health": self._health,
        }
        return operations[request.operation](request)

    def _recommend(self, request: Request) -> dict[str, Any]:
        router = self.router.get()
        who = user_hash(request.user_id) if request.user_id is not None else ""
        served = self.serving.serve(router, request, who)
        found = served.answer
        if found is None:
            seen = {row.item_id for row in served.recent} | {item for item, _ in request.session}
            found = from_lists(self._lists(), request, seen)
        return {
            "recommendation_id": self._signed(found, router, who, served.experiment),
            "user_id": request.user_id,
            "level": found.level,
            "model_id": found.model_id,
            "variant": found.variant,
            "items": ranked(found.items),
        }

    def _similar(self, request: Request) -> dict[str, Any]:
        router = self.router.get()
        asked = {"op": "similar", "item_id": request.item_id, "k": request.limit}
        found = self.serving.variants.ask(router, router.champion, asked).answer if router is not None else None
        if found is None:
            raise Problem("no-answer-yet", _NOTHING)
        items = ranked(found.items)
        return {"item_id": request.item_id, "model_id": found.model_id, "variant": found.variant, "items": items}

    def _popular(self, request: Request) -> dict[str, Any]:
        found = from_lists(self._lists(), request, ())
        return {"level": found.level, "model_id": found.model_id, "items": ranked(found.items)}

    def _experiment(self, _: Request) -> dict[str, Any]:
        return {"experiment": self.experiment()}

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

    def _signed(self, found: Answer, router: Router | None, who: str, experiment: str) -> str | None:
        key = self.key.get()
        if key is None:
            return None
        return sign(
            Recommendation(
                experiment=experiment,
                version=router.version if router is not None else 0,
                variant=found.variant or "",
                user=who,
                at=int(self.serving.clock()),
                model=found.model_id,
                items=tuple(str(item["item_id"]) for item in found.items),
            ),
            key,
        )


def ranked(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The items as the API shows them: a rank, and nothing that the contract does not name."""
    names = ("item_id", "title", "genres", "score", "reason")
    return [{"rank": rank, **{n: item[n] for n in names if n in item}} for rank, item in enumerate(items, 1)]
