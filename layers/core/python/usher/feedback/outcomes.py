"""Whether feedback is an outcome of the open experiment: joined by a signed id, in time, once for each user.

An outcome is a click, a purchase or a positive rating of a recommended item, sent with the recommendation's id by the
user that it was made for. The recommendation belongs to the open experiment, and the feedback arrives within the
attribution time after the user's first exposure. An outcome is one conditional update of the exposure. The time of
arrival decides, not the client's clock: a stratum is counted once, when its attribution windows are over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usher.api.ttl_cache import TtlCache
from usher.errors import RouterUnreadable
from usher.feedback.parsing import Feedback
from usher.schema.interactions import KINDS, OUTCOME_REWARD, POSITIVE_RATING, RATING, is_positive
from usher.schema.signing import BadRecommendationId, Recommendation, verify
from usher.store.experiments import NoAttributionWindow
from usher.store.exposures import Exposures
from usher.store.router import Router

#: A cached value older than this is read again before an id is refused: the key may have been rotated, or an experiment
#: opened.
DOUBT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What feedback counts as in the experiment.

    reason:     why it is not counted; None when it is. metrics: the counters to increase.
    experiment: id of the open one, or empty.
    """

    reason: str | None
    metrics: tuple[str, ...] = ()
    experiment: str = ""

    @property
    def counted(self) -> bool:
        """Whether it counts as the user's outcome."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class _Claim:
    """The check of a recommendation id. fault: why it is not accepted; metric: the counter of that fault."""

    fault: str | None = None
    metric: str = ""


_NO_EXPERIMENT = "no experiment is open"
_NO_ID = _Claim("it has no recommendation_id", "OutcomesUnjoined")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Decides which feedback counts.

    router:      the current router, None before the first deployment. keys: the valid signing keys.
    attribution: experiment id → seconds; NoAttributionWindow when its record cannot be used. clock: epoch seconds.
    """

    router: TtlCache[Router | None]
    keys: TtlCache[Sequence[bytes]]
    attribution: Callable[[str], float]
    exposures: Exposures
    clock: Callable[[], float]

    def judge(self, feedback: Feedback) -> Verdict:
        """Count it if it is an outcome. An error of reading or writing is raised: the client sends the event again.

        A damaged record is no reason to send again: the event is accepted and does not count.
        """
        try:
            return self._judge(feedback)
        except NoAttributionWindow as error:
            return Verdict(f"nothing counts: {error}")
        except RouterUnreadable:
            return Verdict("nothing counts: the router's item is damaged")

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
        """The content of the recommendation id; without a valid id, the fault."""
        if not feedback.recommendation_id:
            return _NO_ID
        for max_age in (None, DOUBT_SECONDS):
            try:
                return verify(feedback.recommendation_id, self.keys.get(max_age) or ())
            except BadRecommendationId as error:
                fault = str(error)
        return _Claim(fault, "OutcomesForged")

    def _open(self, named: str) -> str:
        """The id of the open experiment, or empty. named: by a valid id; if it is unknown, the router is read again."""
        known = _experiment(self.router.get())
        if named in ("", known):
            return known
        return _experiment(self.router.get(DOUBT_SECONDS))

    def _count(self, feedback: Feedback, experiment: str) -> Verdict:
        window, now = self.attribution(experiment), self.clock()
        status = self.exposures.convert(
            feedback.user_id_hash,
            experiment,
            now=now,
            since=now - window,
            reward=OUTCOME_REWARD,
            event_key=feedback.event_key,
        )
        if status is None or status.converted_by == feedback.event_key:
            return Verdict(None, ("OutcomesCounted", "EnrolledOutcomes", "JoinedOutcomes"), experiment)
        if status.enrolled_at is None:
            return Verdict("this user is not enrolled in the experiment", ("OutcomesUnjoined",), experiment)
        if not status.is_open(now, window):
            return Verdict("it is late: this user's attribution time is over", ("OutcomesLate",), experiment)
        replayed = ("OutcomesReplayed", "EnrolledOutcomes", "JoinedOutcomes")
        return Verdict("this user has an outcome already: an experiment counts each user once", replayed, experiment)

    def _uncounted(self, feedback: Feedback, claim: _Claim, experiment: str) -> Verdict:
        """An outcome without a valid recommendation: for an enrolled user it lowers the join rate."""
        status = self.exposures.find(feedback.user_id_hash, experiment)
        enrolled = status.is_open(self.clock(), self.attribution(experiment))
        if claim is _NO_ID and not enrolled:
            return Verdict("this user is not enrolled in the experiment, and it has no recommendation_id")
        return Verdict(claim.fault, (claim.metric, *["EnrolledOutcomes"] * enrolled), experiment)


def _claim_of(named: Recommendation, feedback: Feedback, experiment: str) -> _Claim:
    """Whether a valid recommendation id belongs to this feedback."""
    if named.user != feedback.user_id_hash:
        return _Claim("its recommendation_id was made for another user", "OutcomesForeign")
    if feedback.item_id not in named.items:
        return _Claim("its recommendation does not contain this item", "OutcomesUnjoined")
    if not named.experiment:
        return _Claim("its recommendation was made outside of any experiment", "OutcomesUnjoined")
    if named.experiment != experiment:
        return _Claim("it is late: the experiment of its recommendation is closed", "OutcomesLate")
    return _Claim()


def _experiment(router: Router | None) -> str:
    return router.experiment_id if router is not None and router.experiment_is_open else ""


def _no_outcome(feedback: Feedback) -> str:
    return (
        f"a rating below {POSITIVE_RATING:g} is not an outcome"
        if feedback.type == KINDS[RATING]
        else "a view is not an outcome"
    )
