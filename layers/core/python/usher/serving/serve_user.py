"""Serves one user: assigns the variant, asks it (or the next in the fallback chain), writes the first exposure.

Only who is enrolled carries the experiment in the recommendation id, since only then is there an exposure that an
outcome can belong to. An exposure that could not be read or written is none: the next request tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from usher.api.problems import Problem
from usher.serving.assignment import Assignment, assign
from usher.serving.experiment_cache import Experiments
from usher.serving.fallback import Answer, Asked, Variants, scorer_request
from usher.serving.request import Request
from usher.store.enrolment import Exposure
from usher.store.router import Router
from usher.store.users import People, Person, Recent


@dataclass(frozen=True, slots=True)
class Served:
    """answer: None where no variant gave one. experiment: in which the person is enrolled, or empty."""

    answer: Answer | None
    recent: Sequence[Recent]
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """What serving people needs.

    asked: is told whose request it was, and what counts against that variant. clock: epoch seconds.
    """

    people: People
    experiments: Experiments
    variants: Variants
    asked: Callable[[Assignment, Sequence[str]], None]
    clock: Callable[[], float]

    def serve(self, router: Router | None, request: Request, who: str) -> Served:
        """who: the person's hash; empty for nobody known, who is served by the champion and never enrolled."""
        now = self.clock()
        open_id = router.experiment_id if router is not None and router.experiment_is_open else ""
        person = self.people.read(who, open_id) if who else Person()
        if router is None:
            return Served(None, person.recent)
        experiment = self.experiments.get(open_id) if who and open_id else None
        question = scorer_request(request, person.recent, now)
        given = assign(router, experiment, who, person.exposure, now)
        found = self._ask(router, given, question)
        exposure = person.exposure
        if person.was_read and self._enrols(router, given, found):
            exposure = self.people.enrol(who, open_id, Exposure(given.variant, router.version, now))
            if exposure is not None:  # another request may have been faster, under another version of the router
                stands = assign(router, experiment, who, exposure, max(now, exposure.enrolled_at))
                if stands.variant != given.variant:
                    given, found = stands, self._ask(router, stands, question)
        self.asked(given, found.faults(given.variant))
        return Served(found.answer, person.recent, open_id if exposure is not None else "")

    def _ask(self, router: Router, given: Assignment, question: Mapping[str, Any]) -> Asked:
        try:
            return self.variants.ask(router, given.variant, question)
        except Problem:
            self.asked(given, ())
            raise

    def _enrols(self, router: Router, given: Assignment, found: Asked) -> bool:
        """A first exposure counts where the variant that the weights gave has answered, and no other is broken.

        While one is, only the other's people would be enrolled: that is no split by the weights any more.
        """
        answered = found.answer is not None and found.answer.variant == given.variant
        return given.enrols and answered and not self.variants.passes_over_any(router)
