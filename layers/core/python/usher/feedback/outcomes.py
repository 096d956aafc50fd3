"""Whether feedback is an outcome of the open experiment: claimed by a signed id, in time, once for a person.

An outcome is a click, a purchase or a positive rating of an item of the recommendation whose id comes along, by the
person it was made for, in the experiment that is open, arriving within the attribution time of that person's first
exposure. It is one conditional update of the exposure. Arrival decides, not what a client's clock says: a stratum is
counted once, when its windows are over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usher.api.aged_cache import Aged
from usher.errors import RouterUnreadable
from usher.feedback.entry import Feedback
from usher.schema.interactions import OUTCOME_REWARD, POSITIVE_RATING, is_positive
from usher.schema.signing import BadRecommendationId, Recommendation, verify
from usher.store.exposures import Exposures, NoWindow
from usher.store.router import Router

KEY_SECONDS = 300.0
#: What was read longer ago is read again before an id is refused: the key was rotated, or an experiment opened.
DOUBT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What feedback is for the experiment.

    reason:     why it is not counted; None when it is. metrics: counters to add 1 to.
    experiment: the open one's id, or empty.
    """

    reason: str | None
    metrics: tuple[str, ...] = ()
    experiment: str = ""

    @property
    def counted(self) -> bool:
        """Whether it counts as the person's outcome."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a recommendation id proved. fault: why it proves nothing; metric: the counter of that fault."""

    fault: str | None = None
    metric: str = ""


_NO_EXPERIMENT = "no experiment is open"
_NO_ID = _Claim("it bears no recommendation_id", "OutcomesUnjoined")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Judges feedback.

    router:      the router that stands, None before the first deployment; ttl_seconds: how old it may be.
    keys:        the signing keys that are valid.
    attribution: experiment id → seconds; NoWindow when its record cannot be used. clock: epoch seconds.
    """

    router: Aged[Router | None]
    keys: Aged[Sequence[bytes]]
    attribution: Callable[[str], float]
    exposures: Exposures
    ttl_seconds: float
    clock: Callable[[], float]

    def judge(self, feedback: Feedback) -> Verdict:
        """Count it if it is an outcome. What cannot be read or written is raised: the event will come again.

        What was damaged by hand will not be better then: nothing counts, and nothing is lost.
        """
        try:
            return self._judge(feedback)
        except NoWindow as error:
            return Verdict(f"nothing counts: {error}")
        except RouterUnreadable:
            return Verdict("nothing counts: the router's record is damaged")

    def _judge(self, feedback: Feedback) -> Verdict:
        claimed = self._claimed(feedback)
        if isinstance(claimed, Recommendation):
            experiment = self._open(claimed.experiment)
            claim = _claim_of(claimed, feedback, experiment)
        else:
            experiment, claim = self._open(""), claimed
        if not is_positive(feedback.type, feedback.value):
            return Verdict(claim.fault if claim.metric == "OutcomesForged" else _no_outcome(feedback))
        if not experiment:
            metrics = (claim.metric,) if claim.metric not in ("", "OutcomesUnjoined") else ()
            return Verdict(claim.fault if metrics else _NO_EXPERIMENT, metrics)
        if claim.fault is not None:
            return self._uncounted(feedback, claim, experiment)
        return self._count(feedback, experiment)

    def _claimed(self, feedback: Feedback) -> Recommendation | _Claim:
        """What the recommendation id says; without a valid one, why not."""
        if not feedback.recommendation_id:
            return _NO_ID
        for age in (KEY_SECONDS, DOUBT_SECONDS):
            try:
                return verify(feedback.recommendation_id, self.keys.get(age))
            except BadRecommendationId as error:
                fault = str(error)
        return _Claim(fault, "OutcomesForged")

    def _open(self, named: str) -> str:
        """The id of the open experiment, or empty. named: by a valid id; another than the known one is a new one."""
        found = _experiment(self.router.get(self.ttl_seconds))
        if named in ("", found):
            return found
        return _experiment(self.router.get(min(self.ttl_seconds, DOUBT_SECONDS)))

    def _count(self, feedback: Feedback, experiment: str) -> Verdict:
        window, now = self.attribution(experiment), self.clock()
        standing = self.exposures.convert(
            feedback.who, experiment, now=now, since=now - window, reward=OUTCOME_REWARD, mark=feedback.mark
        )
        if standing is None:
            return Verdict(None, ("OutcomesCounted", "EnrolledOutcomes", "JoinedOutcomes"), experiment)
        if not standing.exists:
            return Verdict("this person is not enrolled in the experiment", ("OutcomesUnjoined",), experiment)
        if standing.converted_by == feedback.mark:
            return Verdict(None, ("OutcomesCounted", "EnrolledOutcomes", "JoinedOutcomes"), experiment)
        if not standing.is_open(now, window):
            return Verdict("it is late: this person's time in the experiment is over", ("OutcomesLate",), experiment)
        replayed = ("OutcomesReplayed", "EnrolledOutcomes", "JoinedOutcomes")
        return Verdict("this person counts already: an experiment counts each person once", replayed, experiment)

    def _uncounted(self, feedback: Feedback, claim: _Claim, experiment: str) -> Verdict:
        """An outcome that names no valid recommendation: of an enrolled person it lowers the join rate."""
        standing = self.exposures.find(feedback.who, experiment)
        enrolled = standing.is_open(self.clock(), self.attribution(experiment))
        if claim is _NO_ID and not enrolled:
            return Verdict("this person is not enrolled in the experiment, and it bears no recommendation_id")
        return Verdict(claim.fault, (claim.metric, *["EnrolledOutcomes"] * enrolled), experiment)


def _claim_of(named: Recommendation, feedback: Feedback, experiment: str) -> _Claim:
    """Whether a valid recommendation id speaks for this feedback."""
    if named.user != feedback.who:
        return _Claim("its recommendation_id is another person's", "OutcomesForeign")
    if feedback.item_id not in named.items:
        return _Claim("its recommendation does not have this item", "OutcomesUnjoined")
    if not named.experiment:
        return _Claim("its recommendation was made outside of any experiment", "OutcomesUnjoined")
    if named.experiment != experiment:
        return _Claim("it is late: the experiment of its recommendation is closed", "OutcomesLate")
    return _Claim()


def _experiment(router: Router | None) -> str:
    return router.experiment_id if router is not None and router.experiment_is_open else ""


def _no_outcome(feedback: Feedback) -> str:
    return f"a rating below {POSITIVE_RATING:g} is no outcome" if feedback.type == "rating" else "a view is no outcome"
