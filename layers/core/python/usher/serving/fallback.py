"""The ladder: model, fold-in, the other variant, popularity from the state table; an answer says which rung gave it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from usher.api.problems import Problem
from usher.serving.assignment import in_order
from usher.serving.backends import Backend, VariantFailed
from usher.serving.circuit_breaker import Breaker
from usher.serving.request import Request
from usher.store.popular_lists import PopularLists
from usher.store.router import VARIANTS, Router, Variant
from usher.store.users import Recent

#: The objective of a variant's answer, in milliseconds: an answer that takes longer counts as slow.
SLOW_MS = 1000.0
_YEAR = re.compile(r"\((\d{4})\)\s*$")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rung gave. variant: None for the state table. items: as shown, best first."""

    level: str
    model_id: str
    variant: Variant | None
    items: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking gave. answer: None where no variant gave one. seconds: what the variant took that answered."""

    answer: Answer | None
    seconds: float = 0.0

    def faults(self, variant: Variant) -> tuple[str, ...]:
        """What this request counts against `variant`, whose it was: errors, slow, empty.

        An answer of another variant says that this one gave none, or is passed over because it gave none before.
        """
        if self.answer is None or self.answer.variant != variant:
            return ("errors",)
        slow = ("slow",) if self.seconds * 1000 > SLOW_MS else ()
        return slow if self.answer.items else (*slow, "empty")


@dataclass(slots=True)
class Variants:
    """The variants as this execution environment knows them: asked in turn, and passed over for a while when broken.

    timer: seconds that only ever grow. failed: is told of each variant that gave no answer, with the reason.
    """

    backend: Backend
    breaker: Breaker
    timer: Callable[[], float]
    failed: Callable[[Variant, str], None]

    def ask(self, router: Router, first: Variant, request: Mapping[str, Any]) -> Asked:
        """The answer of the first variant that gives one, `first` first; Problem when the request is at fault.

        Where the challenger refuses what the champion answers, it is not the request that is at fault.
        """
        order, refused = in_order(router, first), None
        for variant in order:
            if self.breaker.passes_over(variant, router.models[variant], alone=len(order) == 1):
                continue
            started = self.timer()
            try:
                found = self.backend.ask(variant, router.models[variant], request)
            except VariantFailed as error:
                self._failed(router, variant, str(error), slow=error.slow)
                continue
            except Problem as problem:
                if refused or not _doubtful(router, variant):
                    raise
                refused = problem
                continue
            seconds = self.timer() - started
            self.breaker.answered(variant)
            if refused:
                self._failed(router, first, f"refused what {variant} answers: {refused.detail[:300]}", slow=False)
            return Asked(Answer(found["level"], found["model_id"], variant, found["items"]), seconds)
        if refused:
            raise refused
        return Asked(None)

    def passes_over_any(self, router: Router) -> bool:
        """Whether a variant that has traffic is broken, as far as this environment knows."""
        serving = [variant for variant in VARIANTS if router.weights[variant] > 0]
        return any(self.breaker.passes_over(variant, router.models[variant]) for variant in serving)

    def _failed(self, router: Router, variant: Variant, reason: str, *, slow: bool) -> None:
        self.failed(variant, reason)
        self.breaker.failed(variant, router.models[variant], slow=slow)


def _doubtful(router: Router, variant: Variant) -> bool:
    """Whether another model has to confirm what this variant refuses: the champion's word is taken."""
    return variant != router.champion and router.models[variant] != router.models[router.champion]


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
