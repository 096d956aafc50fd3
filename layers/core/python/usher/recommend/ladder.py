"""The ladder: model, fold-in, the other slot, popularity from the state table; an answer says which rung gave it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from usher.recommend.backends import Backend, SlotFailed
from usher.recommend.problems import Problem
from usher.recommend.request import Request
from usher.recommend.slots import in_order
from usher.recommend.state import PopularLists, Recent
from usher.router import Router, Slot

#: A slot that cost its whole time-out is passed over for so long, in seconds.
SLOW_SECONDS = 10.0
_YEAR = re.compile(r"\((\d{4})\)\s*$")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rung gave. slot: None for the state table. items: as shown, best first."""

    level: str
    model_id: str
    slot: Slot | None
    items: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Slots:
    """The slots as this execution environment knows them: asked in turn, and passed over for a while when slow.

    failed: is told of each slot that gave no answer, with the reason.
    """

    backend: Backend
    clock: Callable[[], float]
    failed: Callable[[Slot, str], None]
    _slow_until: dict[tuple[Slot, str], float] = field(default_factory=dict)

    def ask(self, router: Router, first: Slot, request: Mapping[str, Any]) -> Answer | None:
        """The answer of the first slot that gives one, `first` before the other; None when neither does."""
        for slot in in_order(router, first):
            model = router.models[slot]
            if self.clock() < self._slow_until.get((slot, model), 0.0):
                continue
            try:
                found = self.backend.ask(slot, model, request)
            except SlotFailed as error:
                self.failed(slot, str(error))
                if error.slow:
                    self._slow_until[slot, model] = self.clock() + SLOW_SECONDS
                continue
            return Answer(found["level"], found["model_id"], slot, found["items"])
        return None


def scorer_request(request: Request, recent: Sequence[Recent], now: float) -> dict[str, Any]:
    """What the scorer is asked: the profile is what the state table knows, then the session, ending now."""
    profile: list[list[Any]] = [[row.item_id, row.rating, min(row.at, now)] for row in recent]
    start = int(now) - len(request.session)
    profile += [[item, rating, start + number] for number, (item, rating) in enumerate(request.session, 1)]
    asked: dict[str, Any] = {"op": "recommend", "k": request.limit, "profile": profile}
    optional = {
        "user_id": request.user_id,
        "exclude": list(request.exclude),
        "genre": request.genre,
        "not_released_after": request.not_released_after,
        "explain": request.explain,
    }
    return asked | {name: value for name, value in optional.items() if value}


def from_lists(lists: PopularLists, request: Request, seen: Collection[str]) -> Answer:
    """The last rung: the popularity lists, without what the person has seen; Problem for a genre that nobody has."""
    apart = set(request.exclude) | set(seen)
    allowed = [item for item in _of_genre(lists, request.genre) if item["item_id"] not in apart]
    if request.not_released_after:
        last = int(request.not_released_after[:4])
        allowed = [item for item in allowed if (year := _YEAR.search(item["title"])) and int(year[1]) <= last]
    return Answer("popular", lists.model_id, None, allowed[: request.limit])


def _of_genre(lists: PopularLists, genre: str) -> Sequence[Mapping[str, Any]]:
    if not genre:
        return lists.all
    name = genre.casefold()
    if name not in lists.genres:
        near = get_close_matches(name, lists.genres, 3, 0.5) or sorted(lists.genres)[:20]
        raise Problem(
            "unknown-genre", f"no item has the genre {genre[:80]!r}; try {', '.join(near) or 'none'}", "genre"
        )
    return lists.genres[name]
