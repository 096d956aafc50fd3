"""The operations of the HTTP API's read path, each a request in and a body out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.api.problems import Problem
from usher.api.ttl_cache import TtlCache
from usher.schema.ids import hash_user_id
from usher.schema.signing import Recommendation, sign
from usher.serving import request as requests
from usher.serving.assignment import Assignment, assign
from usher.serving.fallback import Answer, AskResult, Variants, from_lists, scorer_request
from usher.serving.request import Request
from usher.store.experiments import Meta
from usher.store.exposures import Exposure
from usher.store.popular import PopularLists
from usher.store.profiles import ProfileRating, Users, UserState
from usher.store.router import Router

_NO_ANSWER = "no model has been deployed yet, or no variant answers: try again in a minute"


@dataclass(frozen=True, slots=True)
class Served:
    """answer: None when no variant answered. experiment: in which the user is enrolled, or empty."""

    answer: Answer | None
    recent: Sequence[ProfileRating]
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class UserServing:
    """Serves one user: assigns the variant, asks it or the next in the fallback chain, writes the first exposure.

    A recommendation id names the experiment only if the user is enrolled, because an outcome needs an exposure. When
    the exposure could not be read or written, the user counts as not enrolled, and the next request tries again.

    experiment_of: id → the experiment, None when its record cannot be read.
    on_asked: called with the assignment and the faults of each request. clock: epoch seconds.
    """

    users: Users
    experiment_of: Callable[[str], Meta | None]
    variants: Variants
    on_asked: Callable[[Assignment, Sequence[str]], None]
    clock: Callable[[], float]

    def serve(self, router: Router | None, request: Request, user_id_hash: str) -> Served:
        """user_id_hash: empty without a user id; the champion serves such a request, and nothing is enrolled."""
        now = self.clock()
        open_id = router.experiment_id if router is not None and router.experiment_is_open else ""
        user = self.users.read(user_id_hash, open_id) if user_id_hash else UserState()
        if router is None:
            return Served(None, user.recent)
        experiment = self.experiment_of(open_id) if user_id_hash and open_id else None
        body = scorer_request(request, user.recent, now)
        assignment = assign(router, experiment, user_id_hash, user.exposure, now)
        result = self._ask(router, assignment, body)
        exposure = user.exposure
        if user.was_read and self._enrols(router, assignment, result):
            exposure = self.users.enrol(user_id_hash, open_id, Exposure(assignment.variant, router.version, now))
            if exposure is not None:  # another request may have enrolled the user first, under another router version
                stored = assign(router, experiment, user_id_hash, exposure, max(now, exposure.enrolled_at))
                if stored.variant != assignment.variant:
                    assignment, result = stored, self._ask(router, stored, body)
        self.on_asked(assignment, result.faults(assignment.variant))
        return Served(result.answer, user.recent, open_id if exposure is not None else "")

    def _ask(self, router: Router, assignment: Assignment, body: Mapping[str, Any]) -> AskResult:
        try:
            return self.variants.ask(router, assignment.variant, body)
        except Problem:
            self.on_asked(assignment, ())
            raise

    def _enrols(self, router: Router, assignment: Assignment, result: AskResult) -> bool:
        """A first exposure counts if the assigned variant answered and no other variant is broken.

        While one is broken, only users of the other would be enrolled, which is not a split by the weights any more.
        """
        answered = result.answer is not None and result.answer.variant == assignment.variant
        return assignment.enrols and answered and not self.variants.skips_any(router)


@dataclass(frozen=True, slots=True)
class Service:
    """What the operations need.

    key: the signing key, None when it cannot be read. experiment: the newest one as the API shows it, None before the
    first.
    """

    router: TtlCache[Router | None]
    popular: TtlCache[PopularLists | None]
    key: TtlCache[bytes]
    serving: UserServing
    experiment: Callable[[], Mapping[str, Any] | None]

    def answer(self, request: Request) -> dict[str, Any]:
        """The body of the 200; Problem when the request cannot be answered."""
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
        user_id_hash = hash_user_id(request.user_id) if request.user_id is not None else ""
        served = self.serving.serve(router, request, user_id_hash)
        answer = served.answer
        if answer is None:
            seen = {row.item_id for row in served.recent} | {item for item, _ in request.session}
            answer = from_lists(self._lists(), request, seen)
        return {
            "recommendation_id": self._signed(answer, router, user_id_hash, served.experiment),
            "user_id": request.user_id,
            "level": answer.level,
            "model_id": answer.model_id,
            "variant": answer.variant,
            "items": ranked(answer.items),
        }

    def _similar(self, request: Request) -> dict[str, Any]:
        router = self.router.get()
        body = {"op": "similar", "item_id": request.item_id, "k": request.limit}
        answer = self.serving.variants.ask(router, router.champion, body).answer if router is not None else None
        if answer is None:
            raise Problem("no-answer-yet", _NO_ANSWER)
        items = ranked(answer.items)
        return {"item_id": request.item_id, "model_id": answer.model_id, "variant": answer.variant, "items": items}

    def _popular(self, request: Request) -> dict[str, Any]:
        answer = from_lists(self._lists(), request, ())
        return {"level": answer.level, "model_id": answer.model_id, "items": ranked(answer.items)}

    def _experiment(self, _: Request) -> dict[str, Any]:
        return {"experiment": self.experiment()}

    def _health(self, _: Request) -> dict[str, Any]:
        router = self.router.get()
        if router is None:
            raise Problem("no-answer-yet", "no router: no model has been deployed, or the state table cannot be read")
        fields = {name: getattr(router, name) for name in ("state", "version", "models", "weights")}
        return {"status": "serving", **fields}

    def _lists(self) -> PopularLists:
        lists = self.popular.get()
        if lists is None:
            raise Problem("no-answer-yet", _NO_ANSWER)
        return lists

    def _signed(self, answer: Answer, router: Router | None, user_id_hash: str, experiment: str) -> str | None:
        key = self.key.get()
        if key is None:
            return None
        return sign(
            Recommendation(
                experiment=experiment,
                version=router.version if router is not None else 0,
                variant=answer.variant or "",
                user=user_id_hash,
                at=int(self.serving.clock()),
                model=answer.model_id,
                items=tuple(str(item["item_id"]) for item in answer.items),
            ),
            key,
        )


def handle(event: Mapping[str, Any], service: Callable[[], Service]) -> dict[str, Any]:
    """The body that answers an API Gateway event. service: called after the request has been checked."""
    request = requests.read(event)
    return service().answer(request)


def ranked(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The items as the API shows them: a rank, and the fields that the contract names."""
    names = ("item_id", "title", "genres", "score", "reason")
    return [{"rank": rank, **{n: item[n] for n in names if n in item}} for rank, item in enumerate(items, 1)]
