"""Takes feedback: kept first, then counted, then forwarded; every step may come twice, and a crash heals at the next.

An event that was kept and not forwarded is open: whoever brings it again goes through all steps once more, and each
finds what it did before. Only at the end the answer is written down, and from then on it is given without a step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from usher.api.problems import Problem
from usher.errors import NotYet, OperatorError, OutOfTime
from usher.feedback.entry import Feedback
from usher.feedback.metrics import Telemetry
from usher.feedback.outcomes import Outcomes, Verdict
from usher.feedback.parsing import Entry, Refused
from usher.feedback.streams import Streams
from usher.schema.interactions import profile_rating
from usher.store.events import Answer, Events, EventTaken
from usher.store.profiles import Profiles, Rated

#: What has not begun after so many seconds is left for the client's next try: the function has 15.
BUDGET_SECONDS = 8.0
#: Entries of a list that are kept at once.
THREADS = 8

Out = TypeVar("Out")
In = TypeVar("In")

#: Of the state or of the deployment: the same event can be taken later.
_PASSING = (ClientError, BotoCoreError, NotYet, OperatorError)


@dataclass(slots=True)
class Work:
    """One event on its way. answer: once it has been forwarded. at: as kept. failed: it has to come again."""

    feedback: Feedback
    at: float = 0.0
    verdict: Verdict | None = None
    answer: Answer | None = None
    refused: Refused | None = None
    failed: bool = False


@dataclass(slots=True)
class Service:
    """The steps. clock: epoch seconds."""

    seen: Events
    profiles: Profiles
    outcomes: Outcomes
    streams: Streams
    telemetry: Telemetry
    clock: Callable[[], float]
    _pool: ThreadPoolExecutor | None = None

    def take(self, entries: Sequence[Entry]) -> list[Answer | Refused]:
        """What is said of each entry, in their order; Problem `not-kept` when all have to come again."""
        deadline = self.clock() + BUDGET_SECONDS
        first: dict[str, Feedback] = {}
        for entry in entries:
            if isinstance(entry, Feedback):
                first.setdefault(entry.event_id, entry)
        people: dict[str, list[Feedback]] = {}
        for feedback in first.values():  # one person's in their order, since they write one profile
            people.setdefault(feedback.user_id, []).append(feedback)
        kept = self._each(lambda theirs: [self._keep(one, deadline) for one in theirs], people.values())
        works = {work.feedback.event_id: work for theirs in kept for work in theirs}
        self._forward([work for work in works.values() if work.verdict is not None])
        failed = sum(work.failed for work in works.values())
        if failed:
            raise Problem(
                "not-kept",
                f"{failed} of {len(works)} could not be kept or forwarded: send all of it again, nothing counts twice",
            )
        return [_said(entry, works) for entry in entries]

    def _keep(self, feedback: Feedback, deadline: float) -> Work:
        """Keep and count one event; what fails for now is written down as failed."""
        work, now = Work(feedback), self.clock()
        try:
            if now > deadline:
                raise OutOfTime(f"{BUDGET_SECONDS:g} s were not enough for the whole list")
            kept = self.seen.keep(feedback, now)
            work.at, work.answer = kept.at, kept.answer
            if kept.answer is None:
                self._fold_in(feedback, kept.at, now)
                work.verdict = self.outcomes.judge(feedback)
        except EventTaken:
            work.refused = taken(feedback)
        except _PASSING as error:
            self.telemetry.unkept(error)
            work.failed = True
        return work

    def _fold_in(self, feedback: Feedback, at: float, now: float) -> None:
        """A rating counts in the next recommendations, a purchase counts there as liked; clicks and views do not."""
        liked = profile_rating(feedback.type, feedback.value)
        if liked is not None:
            self.profiles.add(feedback.who, Rated(feedback.item_id, liked, at, feedback.mark), now)

    def _forward(self, works: Sequence[Work]) -> None:
        lost = self.streams.forward({work.feedback.event_id: work.feedback.row(work.at) for work in works})
        for work in works:
            work.failed = work.feedback.event_id in lost
        finished = self._each(self._finish, [work for work in works if not work.failed])
        self.telemetry.judged([verdict for verdict in finished if verdict is not None])

    def _finish(self, work: Work) -> Verdict | None:
        """Write the answer down; the verdict if nobody else did, so that it is measured once."""
        assert work.verdict is not None  # noqa: S101 - what is forwarded was judged
        work.answer = Answer(work.verdict.counted, work.verdict.reason)
        try:
            won = self.seen.finish(work.feedback, work.at, work.answer, self.clock())
            return work.verdict if won else None
        except _PASSING as error:
            self.telemetry.unkept(error)
            work.failed = True
            return None

    def _each(self, step: Callable[[In], Out], things: Collection[In]) -> list[Out]:
        """The step's results in order; several at once where there are several."""
        if len(things) < 2:
            return [step(thing) for thing in things]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS)
        return list(self._pool.map(step, things))


def taken(feedback: Feedback) -> Refused:
    """The refusal of an event whose id is another's."""
    detail = "event_id was sent before with another content: give each event an id of its own"
    return Refused(feedback.event_id, Problem("event-id-taken", detail, "event_id"))


def _said(entry: Entry, works: dict[str, Work]) -> Answer | Refused:
    if isinstance(entry, Refused):
        return entry
    work = works[entry.event_id]
    if work.refused is not None or entry != work.feedback:
        return taken(entry)
    assert work.answer is not None  # noqa: S101 - neither refused nor failed
    return work.answer
