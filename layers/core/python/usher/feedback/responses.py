"""What `POST /feedback` answers: 202 with what was counted, or a problem document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from usher.api.problems import MEDIA_TYPE, Problem
from usher.api.responses import problem_response, response
from usher.feedback import parsing
from usher.feedback.metrics import Telemetry
from usher.feedback.parsing import Batch, Refused
from usher.feedback.service import Service
from usher.store.events import Answer

Response = dict[str, Any]


def respond(
    event: Mapping[str, Any], service: Callable[[], Service], telemetry: Telemetry, clock: Callable[[], float]
) -> Response:
    """The response to an event; whatever goes wrong becomes a problem document, never a trace.

    service: makes it when the request has been understood. clock: epoch seconds.
    """
    accepted = refused = 0
    try:
        batch = parsing.read(event, clock())
        taken = any(not isinstance(entry, Refused) for entry in batch.entries)
        said = service().take(batch.entries) if taken else list(_refusals(batch))
        accepted = sum(isinstance(one, Answer) for one in said)
        refused = len(said) - accepted
        answer = _single(batch, said) if batch.single else _several(batch, said)
    except Problem as problem:
        answer = problem_response(problem)[0]
    except Exception as error:  # noqa: BLE001 - a caller gets one sentence, the log gets the trace
        telemetry.defect(error)
        answer = problem_response(Problem("internal", "Usher failed on this request; its log says why"))[0]
    telemetry.answered(answer["statusCode"], accepted, refused)
    return answer


def _refusals(batch: Batch) -> Sequence[Refused]:
    return [entry for entry in batch.entries if isinstance(entry, Refused)]


def _single(batch: Batch, said: Sequence[Answer | Refused]) -> Response:
    (one,) = said
    if isinstance(one, Refused):
        raise one.problem
    return response(202, "application/json", _result(batch.entries[0].event_id, one, 0))


def _several(batch: Batch, said: Sequence[Answer | Refused]) -> Response:
    results = [_result(entry.event_id, one, n) for n, (entry, one) in enumerate(zip(batch.entries, said, strict=True))]
    if any(isinstance(one, Answer) for one in said):
        return response(202, "application/json", {"results": results})
    first = results[0]
    problem = Problem("nothing-accepted", str(first["reason"]), str(first.get("parameter", "")))
    return response(problem.status, MEDIA_TYPE, {**problem.document(), "results": results})


def _result(event_id: str | None, one: Answer | Refused, number: int) -> dict[str, Any]:
    if isinstance(one, Answer):
        return {"event_id": event_id, "accepted": True, "counted": one.counted, "reason": one.reason}
    problem = one.problem
    parameter = f"[{number}].event_id" if problem.kind == "event-id-taken" else problem.parameter
    refused = {"event_id": event_id, "accepted": False, "counted": False, "reason": problem.detail}
    return {**refused, "parameter": parameter} if parameter else refused
