"""The ladder: model, fold-in, the other slot, popularity from the state table; an answer says which rung gave it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from usher.recommend.backends import Backend, SlotFailed
from usher.recommend.breaker import Breaker
from usher.recommend.people import Recent
from usher.recommend.problems import Problem
from usher.recommend.request import Request
from usher.recommend.slots import in_order
from usher.recommend.state import PopularLists
from usher.router import SLOTS, Router, Slot

#: The objective of a slot's answer, in milliseconds: an answer that takes longer counts as slow.
SLOW_MS = 1000.0
_YEAR = re.compile(r"\((\d{4})\)\s*$")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rung gave. slot: None for the state table. items: as shown, best first."""

    level: str
    model_id: str
    slot: Slot | None
    items: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking gave. answer: None where no slot gave one. seconds: what the slot took that answered."""

    answer: Answer | None
    seconds: float = 0.0

    def faults(self, slot: Slot) -> tuple[str, ...]:
        """What this request counts against `slot`, whose it was: errors, slow, empty.

        An answer of another slot says that this one gave none, or is passed over because it gave none before.
        """
        if self.answer is None or self.answer.slot != slot:
            return ("errors",)
        slow = ("slow",) if self.seconds * 1000 > SLOW_MS else ()
        return slow if self.answer.items else (*slow, "empty")


@dataclass(slots=True)
class Slots:
    """The slots as this execution environment knows them: asked in turn, and passed over for a while when broken.

    timer: seconds that only ever grow. failed: is told of each slot that gave no answer, with the reason.
    """

    backend: Backend
    breaker: Breaker
    timer: Callable[[], float]
    failed: Callable[[Slot, str], None]

    def ask(self, router: Router, first: Slot, request: Mapping[str, Any]) -> Asked:
        """The answer of the first slot that gives one, `first` before the other; Problem when the request is at fault.

        Where the challenger refuses what the champion answers, it is not the request that is at fault.
        """
        order, refused = in_order(router, first), None
        for slot in order:
            if self.breaker.passes_over(slot, router.models[slot], alone=len(order) == 1):
                continue
            started = self.timer()
            try:
                found = self.backend.ask(slot, router.models[slot], request)
            except SlotFailed as error:
                self._failed(router, slot, str(error), slow=error.slow)
                continue
            except Problem as problem:
                if refused or not _doubtful(router, slot):
                    raise
                refused = problem
                continue
            seconds = self.timer() - started
            self.breaker.answered(slot)
            if refused:
                self._failed(router, first, f"refused what {slot} answers: {refused.detail[:300]}", slow=False)
            return Asked(Answer(found["level"], found["model_id"], slot, found["items"]), seconds)
        if refused:
            raise refused
        return Asked(None)

    def passes_over_any(self, router: Router) -> bool:
        """Whether a slot that has traffic is broken, as far as this environment knows."""
        serving = [slot for slot in SLOTS if router.weights[slot] > 0]
        return any(self.breaker.passes_over(slot, router.models[slot]) for slot in serving)

    def _failed(self, router: Router, slot: Slot, reason: str, *, slow: bool) -> None:
        self.failed(slot, reason)
        self.breaker.failed(slot, router.models[slot], slow=slow)


def _doubtful(router: Router, slot: Slot) -> bool:
    """Whether another model has to confirm what this slot refuses: the champion's word is taken."""
    return slot != router.champion and router.models[slot] != router.models[router.champion]


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
