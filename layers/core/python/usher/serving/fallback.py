"""The fallback chain: model, fold-in, the other variant, then the popularity lists; an answer names its level."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from usher.api.problems import Problem
from usher.schema.release_dates import ALWAYS, release_limit
from usher.serving.backends import Backend, VariantFailed
from usher.serving.circuit_breaker import Breaker
from usher.serving.request import Request
from usher.store.popular import PopularLists
from usher.store.profiles import ProfileRating
from usher.store.router import VARIANTS, Router, Variant

#: The objective of a variant's answer, in milliseconds: an answer that takes longer counts as slow.
SLOW_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one level. variant: None for the popularity lists. items: as shown, best first."""

    level: str
    model_id: str
    variant: Variant | None
    items: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AskResult:
    """answer: None when no variant answered. seconds: what the answering variant took."""

    answer: Answer | None
    seconds: float = 0.0

    def faults(self, variant: Variant) -> tuple[str, ...]:
        """The faults that this request counts for `variant`, to which it was assigned: errors, slow, empty.

        When another variant answered, the assigned one failed, or is skipped because it failed before.
        """
        if self.answer is None or self.answer.variant != variant:
            return ("errors",)
        slow = ("slow",) if self.seconds * 1000 > SLOW_MS else ()
        return slow if self.answer.items else (*slow, "empty")


@dataclass(slots=True)
class Variants:
    """The variants as this execution environment knows them: asked in turn, skipped for a while when broken.

    timer: monotonic seconds. on_failure: called with each variant that did not answer, and the reason.
    """

    backend: Backend
    breaker: Breaker
    timer: Callable[[], float]
    on_failure: Callable[[Variant, str], None]

    def ask(self, router: Router, first: Variant, request: Mapping[str, Any]) -> AskResult:
        """The answer of the first variant that answers, beginning with `first`; Problem when the request is at fault.

        When the challenger refuses a request that the champion answers, the challenger is at fault.
        """
        order, refused = in_order(router, first), None
        for variant in order:
            if self.breaker.skips(variant, router.models[variant], alone=len(order) == 1):
                continue
            started = self.timer()
            try:
                response = self.backend.ask(variant, router.models[variant], request)
            except VariantFailed as error:
                self._failed(router, variant, str(error), slow=error.slow)
                continue
            except Problem as problem:
                if refused or not _needs_confirmation(router, variant):
                    raise
                refused = problem
                continue
            seconds = self.timer() - started
            self.breaker.answered(variant)
            if refused:
                self._failed(
                    router, first, f"refused a request that {variant} answers: {refused.detail[:300]}", slow=False
                )
            return AskResult(Answer(response["level"], response["model_id"], variant, response["items"]), seconds)
        if refused:
            raise refused
        return AskResult(None)

    def skips_any(self, router: Router) -> bool:
        """Whether a variant with traffic is broken, as far as this environment knows."""
        serving = [variant for variant in VARIANTS if router.weights[variant] > 0]
        return any(self.breaker.skips(variant, router.models[variant]) for variant in serving)

    def _failed(self, router: Router, variant: Variant, reason: str, *, slow: bool) -> None:
        self.on_failure(variant, reason)
        self.breaker.failed(variant, router.models[variant], slow=slow)


def in_order(router: Router, first: Variant) -> tuple[Variant, ...]:
    """`first`, then the other variant if it may serve: it has traffic, or it holds the same model.

    A variant at weight 0 may hold a model that was just rolled back: the popularity lists are better than that.
    """
    other = VARIANTS[1] if first == VARIANTS[0] else VARIANTS[0]
    same = router.models[other] == router.models[first]
    return (first, other) if router.weights[other] > 0 or same else (first,)


def _needs_confirmation(router: Router, variant: Variant) -> bool:
    """Whether another model has to confirm that the request is at fault: only the champion's refusal is trusted."""
    return variant != router.champion and router.models[variant] != router.models[router.champion]


def scorer_request(request: Request, recent: Sequence[ProfileRating], now: float) -> dict[str, Any]:
    """The scorer's request: the profile is the user's recent ratings, then the session, which ends now."""
    profile: list[list[Any]] = [[row.item_id, row.rating, min(row.at, now)] for row in recent]
    start = int(now) - len(request.session)
    profile += [[item, rating, start + number] for number, (item, rating) in enumerate(request.session, 1)]
    body: dict[str, Any] = {"op": "recommend", "k": request.limit, "profile": profile}
    optional = {
        "user_id": request.user_id,
        "exclude": list(request.exclude),
        "genre": request.genre,
        "not_released_after": request.not_released_after,
        "explain": request.explain,
    }
    return body | {name: value for name, value in optional.items() if value}


def from_lists(lists: PopularLists, request: Request, seen: Collection[str]) -> Answer:
    """The last level: the popularity lists without what the user has seen; Problem for a genre that no item has."""
    excluded = set(request.exclude) | set(seen)
    allowed = [item for item in _of_genre(lists, request.genre) if item["item_id"] not in excluded]
    if request.not_released_after:
        limit = release_limit(request.not_released_after)
        allowed = [item for item in allowed if item.get("released_at", ALWAYS) < limit]
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
