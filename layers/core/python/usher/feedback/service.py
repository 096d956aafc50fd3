"""Processes feedback: each event is stored, counted, and forwarded to the lake. Every step is idempotent.

An event that was stored but not forwarded is incomplete. When it is sent again, all steps run again, and each finds
what it did before. At the end the result is stored, and from then on it is returned without any further step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from usher.api.problems import MEDIA_TYPE, Problem
from usher.api.responses import internal_error, problem_response, response
from usher.errors import NotYet, OperatorError, OutOfTime
from usher.feedback import parsing
from usher.feedback.metrics import Telemetry
from usher.feedback.outcomes import Outcomes, Verdict
from usher.feedback.parsing import Batch, Entry, Feedback, Refused
from usher.feedback.streams import Streams
from usher.schema.interactions import profile_rating
from usher.store.events import EventIdTaken, Events, FeedbackResult
from usher.store.profiles import ProfileRating, Profiles

#: Events whose work has not begun after this time are left for the client's next request: the function has 15 s.
BUDGET_SECONDS = 8.0
#: Entries of a list that are stored at the same time.
THREADS = 8

Response = dict[str, Any]
Result = FeedbackResult | Refused
Out = TypeVar("Out")
In = TypeVar("In")

#: Errors of AWS or of the deployment: the same event can be accepted later.
_TRANSIENT = (ClientError, BotoCoreError, NotYet, OperatorError)


@dataclass(slots=True)
class Work:
    """The processing of one event. at: as stored. result: once forwarded. failed: it has to be sent again."""

    feedback: Feedback
    at: float = 0.0
    verdict: Verdict | None = None
    result: FeedbackResult | None = None
    refused: Refused | None = None
    failed: bool = False


@dataclass(slots=True)
class Service:
    """The steps. clock: epoch seconds."""

    stored_events: Events
    profiles: Profiles
    outcomes: Outcomes
    streams: Streams
    telemetry: Telemetry
    clock: Callable[[], float]
    _pool: ThreadPoolExecutor | None = None

    def take(self, entries: Sequence[Entry]) -> list[Result]:
        """The result of each entry, in their order; Problem `not-kept` when the client has to send all again."""
        deadline = self.clock() + BUDGET_SECONDS
        first: dict[str, Feedback] = {}
        for entry in entries:
            if isinstance(entry, Feedback):
                first.setdefault(entry.event_id, entry)
        by_user: dict[str, list[Feedback]] = {}
        for feedback in first.values():  # one user's events in their order, since they write one profile
            by_user.setdefault(feedback.user_id, []).append(feedback)
        stored = self._each(lambda events: [self._store(one, deadline) for one in events], by_user.values())
        works = {work.feedback.event_id: work for of_user in stored for work in of_user}
        self._forward([work for work in works.values() if work.verdict is not None])
        failed = sum(work.failed for work in works.values())
        if failed:
            raise Problem(
                "not-kept",
                f"{failed} of {len(works)} could not be stored or forwarded: send all again, nothing counts twice",
            )
        return [_result_of(entry, works) for entry in entries]

    def _store(self, feedback: Feedback, deadline: float) -> Work:
        """Store and count one event; after a transient error the work is marked as failed."""
        work, now = Work(feedback), self.clock()
        try:
            if now > deadline:
                raise OutOfTime(f"{BUDGET_SECONDS:g} s were not enough for the whole list: send all of it again")
            at = feedback.at if feedback.at is not None else round(now, 6)
            event = self.stored_events.add(feedback.event_id, feedback.digest(), at, now)
            work.at, work.result = event.at, event.result
            if event.result is None:
                self._fold_in(feedback, event.at, now)
                work.verdict = self.outcomes.judge(feedback)
        except EventIdTaken:
            work.refused = _event_id_taken(feedback)
        except _TRANSIENT as error:
            self.telemetry.unkept(error)
            work.failed = True
        return work

    def _fold_in(self, feedback: Feedback, at: float, now: float) -> None:
        """Add a rating or a purchase to the profile, where the next recommendations read it."""
        rating = profile_rating(feedback.type, feedback.value)
        if rating is not None:
            added = ProfileRating(feedback.item_id, rating, at, feedback.event_key)
            self.profiles.add(feedback.user_id_hash, added, now)

    def _forward(self, works: Sequence[Work]) -> None:
        lost = self.streams.forward({work.feedback.event_id: work.feedback.row(work.at) for work in works})
        for work in works:
            work.failed = work.feedback.event_id in lost
        completed = self._each(self._complete, [work for work in works if not work.failed])
        self.telemetry.judged([verdict for verdict in completed if verdict is not None])

    def _complete(self, work: Work) -> Verdict | None:
        """Store the result; returns the verdict unless another request stored it first, so that it is counted once."""
        assert work.verdict is not None  # noqa: S101 - only judged events are forwarded
        feedback, work.result = work.feedback, FeedbackResult(work.verdict.counted, work.verdict.reason)
        try:
            digest, now = feedback.digest(), self.clock()
            first = self.stored_events.complete(feedback.event_id, digest, work.at, work.result, now)
            return work.verdict if first else None
        except _TRANSIENT as error:
            self.telemetry.unkept(error)
            work.failed = True
            return None

    def _each(self, step: Callable[[In], Out], things: Collection[In]) -> list[Out]:
        """The step's results in order; in threads if there are several things."""
        if len(things) < 2:
            return [step(thing) for thing in things]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS)
        return list(self._pool.map(step, things))


def respond(
    event: Mapping[str, Any], service: Callable[[], Service], telemetry: Telemetry, clock: Callable[[], float]
) -> Response:
    """The response to an API Gateway event: 202 with what was counted, or a problem document, never a trace.

    service: called after the request has been checked. clock: epoch seconds.
    """
    accepted = refused = 0
    try:
        batch = parsing.read(event, clock())
        refusals: list[Result] = [entry for entry in batch.entries if isinstance(entry, Refused)]
        results = refusals if len(refusals) == len(batch.entries) else service().take(batch.entries)
        accepted = sum(isinstance(result, FeedbackResult) for result in results)
        refused = len(results) - accepted
        answer = _single(batch, results) if batch.single else _several(batch, results)
    except Problem as problem:
        answer = problem_response(problem)[0]
    except Exception as error:  # noqa: BLE001 - the caller gets one sentence, the log gets the trace
        telemetry.defect(error)
        answer = problem_response(internal_error())[0]
    telemetry.answered(answer["statusCode"], accepted, refused)
    return answer


def _single(batch: Batch, results: Sequence[Result]) -> Response:
    (result,) = results
    if isinstance(result, Refused):
        raise result.problem
    return response(202, "application/json", _body_of(batch.entries[0].event_id, result, 0))


def _several(batch: Batch, results: Sequence[Result]) -> Response:
    pairs = enumerate(zip(batch.entries, results, strict=True))
    bodies = [_body_of(entry.event_id, result, n) for n, (entry, result) in pairs]
    if any(isinstance(result, FeedbackResult) for result in results):
        return response(202, "application/json", {"results": bodies})
    first = bodies[0]
    problem = Problem("nothing-accepted", str(first["reason"]), str(first.get("parameter", "")))
    return response(problem.status, MEDIA_TYPE, {**problem.document(), "results": bodies})


def _body_of(event_id: str | None, result: Result, number: int) -> dict[str, Any]:
    if isinstance(result, FeedbackResult):
        return {"event_id": event_id, "accepted": True, "counted": result.counted, "reason": result.reason}
    problem = result.problem
    parameter = f"[{number}].event_id" if problem.kind == "event-id-taken" else problem.parameter
    body = {"event_id": event_id, "accepted": False, "counted": False, "reason": problem.detail}
    return {**body, "parameter": parameter} if parameter else body


def _event_id_taken(feedback: Feedback) -> Refused:
    """The refusal of an event whose id was sent with other content."""
    detail = "event_id was sent before with other content: give each event its own id"
    return Refused(feedback.event_id, Problem("event-id-taken", detail, "event_id"))


def _result_of(entry: Entry, works: Mapping[str, Work]) -> Result:
    if isinstance(entry, Refused):
        return entry
    work = works[entry.event_id]
    if work.refused is not None or entry != work.feedback:
        return _event_id_taken(entry)
    assert work.result is not None  # noqa: S101 - neither refused nor failed
    return work.result
