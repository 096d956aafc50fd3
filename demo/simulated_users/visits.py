"""People come at a steady rate, several at once: they rate if they are new, ask, look, click, and leave."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cli.target import Target
from demo.simulated_users.caller import Caller
from demo.simulated_users.person import Action, Person
from demo.simulated_users.tally import Tally

#: So many items a list shows.
SHOWN = 10
#: Whoever is told 503 tries again so often, as an app does.
_TRIES = 3
_PAUSE_SECONDS = 0.3
#: A visit that is due for longer than this is given up: people do not queue, and a slow machine must not fall behind.
_PATIENCE_SECONDS = 1.0
#: The same event has the same id whoever sends it again; the name space makes ids of this demo's own.
_NAMES = uuid.UUID("6f1f3a52-2a0e-4c0e-9c83-5d6f5e2f7a10")


def visit(person: Person, caller: Caller, tally: Tally) -> None:
    """One visit from beginning to end. What the API refuses is counted, and the visit goes on or ends."""
    if person.first_ratings:
        _send(person, person.first_ratings, None, caller, tally)
    answer = caller.get("/recommendations", {"user_id": person.user_id, "limit": SHOWN})
    tally.called("recommend", answer)
    if answer.status != 200:
        return
    shown = [str(item["item_id"]) for item in answer.body["items"]]
    actions = person.respond(shown)
    new = bool(person.first_ratings)
    tally.visited(str(answer.body["variant"] or ""), str(answer.body["level"]), clicked=bool(actions), new=new)
    if actions:
        _send(person, actions, answer.body.get("recommendation_id"), caller, tally)


def _send(person: Person, actions: Sequence[Action], seen_in: Any, caller: Caller, tally: Tally) -> None:
    """POST /feedback, again on 503: the same ids, so that nothing counts twice."""
    events = [_event(person, action, seen_in) for action in actions]
    tally.did(Counter(action.kind for action in actions))
    for attempt in range(_TRIES):
        answer = caller.post("/feedback", events)
        tally.called("feedback", answer)
        if answer.status not in (0, 503):
            return
        time.sleep(_PAUSE_SECONDS * (attempt + 1))


def _event(person: Person, action: Action, seen_in: Any) -> dict[str, Any]:
    name = f"{person.occasion}/{person.user_id}/{action.item_id}/{action.kind}"
    event: dict[str, Any] = {
        "event_id": str(uuid.uuid5(_NAMES, name)),
        "user_id": person.user_id,
        "item_id": action.item_id,
        "type": action.kind,
    }
    if action.value is not None:
        event["value"] = action.value
    return event | ({"recommendation_id": seen_in} if seen_in else {})


class Visitors:
    """Threads that let people come. visits_per_second: how many begin a second, whatever the answers take."""

    def __init__(self, target: Target, arrivals: Iterator[Person], visits_per_second: float, at_once: int) -> None:
        self.tally = Tally()
        self._arrivals = arrivals
        self._interval = 1.0 / visits_per_second
        self._next_at = time.monotonic()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(Caller.of(target),), name=f"visitor-{n}", daemon=True)
            for n in range(at_once)
        ]

    @contextmanager
    def coming(self) -> Iterator[Tally]:
        """People come while the block runs; those inside are let out at its end. What broke a thread is raised then."""
        for thread in self._threads:
            thread.start()
        try:
            yield self.tally
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join()
        if self._faults:
            raise self._faults[0]

    def _work(self, caller: Caller) -> None:
        try:
            while (person := self._next()) is not None:
                visit(person, caller, self.tally)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again where the people were let in
            self._faults.append(error)

    def _next(self) -> Person | None:
        """The next person, at the time of their visit; None at the end."""
        with self._lock:
            due = self._next_at
            late = time.monotonic() - due
            if late > _PATIENCE_SECONDS:
                due += late
                self.tally.came_late()
            self._next_at = due + self._interval
            person = next(self._arrivals)
        return None if self._end.wait(max(due - time.monotonic(), 0.0)) else person
