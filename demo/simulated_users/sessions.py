"""Sessions of simulated users over HTTP: a new user rates, then each requests a list, clicks, and sends feedback.

Sessions start at a fixed rate, several at once. Status codes, latencies, variants and clicks are counted from outside.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cli.formatting.terminal import say
from cli.target import Target
from demo.api_client import ApiClient, ApiResponse
from demo.simulated_users.click_model import Action, SimulatedUser
from demo.simulated_users.population import Population
from demo.simulated_users.preference_model import PreferenceModel

#: Items in a list.
LIST_LENGTH = 10
#: Sessions a second, and sessions at once, that two cores sustain beside the twin: each concurrent request takes a
#: process of a function, which costs a CPU second to start.
SESSIONS_PER_SECOND = 12.0
AT_ONCE = 4
#: After a 503 a client sends the same request again, so often.
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.3
#: Sessions that start later than this are dropped: users do not queue.
_PATIENCE_SECONDS = 1.0
#: Name space of the event ids: the same event has the same id however often it is sent.
_NAMES = uuid.UUID("6f1f3a52-2a0e-4c0e-9c83-5d6f5e2f7a10")


@dataclass(slots=True)
class SessionCounts:
    """Counts of many threads. statuses: (operation, HTTP status); variants: (variant or "", whether it was clicked)."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    variants: Counter[tuple[str, bool]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    new_users: int = 0
    late: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add_response(self, operation: str, response: ApiResponse) -> None:
        with self._lock:
            self.statuses[operation, response.status] += 1
            if operation == "recommend":
                self.seconds.append(response.seconds)
            if response.status >= 400 or not response.status:
                detail = str(response.body.get("detail") or response.body.get("message") or "no response")
                self.failures[f"{response.status}: {detail}"] += 1

    def add_list(self, variant: str, *, clicked: bool, new: bool) -> None:
        with self._lock:
            self.variants[variant, clicked] += 1
            self.new_users += new

    def add_actions(self, kinds: Counter[str]) -> None:
        with self._lock:
            self.actions += kinds

    def add_late(self) -> None:
        """Sessions were due and could not start in time: the machine is too slow."""
        with self._lock:
            self.late += 1

    @property
    def sessions(self) -> int:
        return sum(self.variants.values())

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def server_errors(self) -> int:
        """Responses with 5xx, and requests without a response."""
        return sum(self.errors_of(operation) for operation in {operation for operation, _ in self.statuses})

    def errors_of(self, operation: str) -> int:
        """The same of one operation."""
        return sum(
            count
            for (one, status), count in self.statuses.items()
            if one == operation and (status >= 500 or not status)
        )

    def percentile(self, share: float) -> float:
        """Seconds within which `share` (0 to 1) of the recommendations came; 0.0 without any."""
        with self._lock:
            ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def run_session(user: SimulatedUser, client: ApiClient, counts: SessionCounts) -> None:
    """One session. A failed request for a list is counted and ends the session; failed feedback does not."""
    if user.first_ratings:
        _send(user, user.first_ratings, None, client, counts)
    response = client.get("/recommendations", {"user_id": user.user_id, "limit": LIST_LENGTH})
    counts.add_response("recommend", response)
    if response.status != 200:
        return
    actions = user.respond([str(item["item_id"]) for item in response.body["items"]])
    counts.add_list(str(response.body["variant"] or ""), clicked=bool(actions), new=bool(user.first_ratings))
    if actions:
        _send(user, actions, response.body.get("recommendation_id"), client, counts)


def _send(
    user: SimulatedUser, actions: Sequence[Action], recommendation_id: Any, client: ApiClient, counts: SessionCounts
) -> None:
    """POST /feedback; after a 503 the same events again, with the same ids, so that nothing counts twice."""
    events = [_event(user, action, recommendation_id) for action in actions]
    counts.add_actions(Counter(action.kind for action in actions))
    for attempt in range(_ATTEMPTS):
        response = client.post("/feedback", events)
        counts.add_response("feedback", response)
        if response.status not in (0, 503):
            return
        time.sleep(_PAUSE_SECONDS * (attempt + 1))


def _event(user: SimulatedUser, action: Action, recommendation_id: Any) -> dict[str, Any]:
    name = f"{user.occasion}/{user.user_id}/{action.item_id}/{action.kind}"
    event: dict[str, Any] = {
        "event_id": str(uuid.uuid5(_NAMES, name)),
        "user_id": user.user_id,
        "item_id": action.item_id,
        "type": action.kind,
    }
    if action.value is not None:
        event["value"] = action.value
    return event | ({"recommendation_id": recommendation_id} if recommendation_id else {})


class SessionRunner:
    """Threads that run sessions. sessions_per_second: how many start, however long the responses take."""

    def __init__(
        self, target: Target, arrivals: Iterator[SimulatedUser], sessions_per_second: float, at_once: int
    ) -> None:
        self.counts = SessionCounts()
        self._arrivals = arrivals
        self._interval = 1.0 / sessions_per_second
        self._next_at = time.monotonic()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(ApiClient.of(target),), name=f"session-{n}", daemon=True)
            for n in range(at_once)
        ]

    @contextmanager
    def running(self) -> Iterator[SessionCounts]:
        """Run sessions while the block runs; open ones are finished at its end. Raises the first error of a thread."""
        for thread in self._threads:
            thread.start()
        try:
            yield self.counts
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self, client: ApiClient) -> None:
        try:
            while (user := self._next()) is not None:
                run_session(user, client, self.counts)
        except Exception as error:  # noqa: BLE001 - `running` raises it again
            self._errors.append(error)

    def _next(self) -> SimulatedUser | None:
        """The next user, when their session is due; None at the end."""
        with self._lock:
            due = self._next_at
            late = time.monotonic() - due
            if late > _PATIENCE_SECONDS:
                due += late
                self.counts.add_late()
            self._next_at = due + self._interval
            user = next(self._arrivals)
        return None if self._end.wait(max(due - time.monotonic(), 0.0)) else user


@contextmanager
def sessions(
    target: Target, preferences: PreferenceModel, known_rows: int, seed: int, occasion: str
) -> Iterator[SessionCounts]:
    """Simulated users come while the block runs. known_rows: rows of the history that Usher has received."""
    population = Population(preferences, known_rows, seed, occasion=occasion)
    with SessionRunner(target, population.arrivals(), SESSIONS_PER_SECOND, AT_ONCE).running() as counts:
        yield counts


def example_session(preferences: PreferenceModel, known_rows: int, seed: int) -> list[tuple[str, float]]:
    """The first ratings of a new user: item ids and stars."""
    arrivals = Population(preferences, known_rows, seed, occasion="session").arrivals()
    user = next(user for user in arrivals if user.first_ratings)
    return [(action.item_id, action.value or 0.0) for action in user.first_ratings]


def describe_users(preferences: PreferenceModel, hidden: int) -> str:
    """Where the preferences come from and how good the preference model is, in three sentences."""
    quality = preferences.calibration
    return (
        f"Simulated users choose by a preference model of the demo. It is fitted on all {len(preferences.history):,} "
        f"ratings, including the last {hidden:,}, which Usher never receives (AUC {quality.auc:.2f} on held-out likes; "
        f"popularity alone {quality.popularity_auc:.2f}). They click by a position-based click model and do not know "
        "which variant made a list."
    )


def print_counts(counts: SessionCounts, seconds: float) -> None:
    """Print what the users did and what they got back."""
    actions = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(counts.actions.items()))
    say(
        f"{counts.sessions:,} sessions in {seconds:.0f} s, {counts.new_users:,} of new users; "
        f"{actions or 'no feedback'}; {counts.requests:,} requests, {counts.server_errors} server errors; "
        f"recommendations in {1000 * counts.percentile(0.5):.0f} ms (p50), {1000 * counts.percentile(0.95):.0f} ms "
        "(p95)"
    )
    for variant in sorted({variant for variant, _ in counts.variants}):
        clicked, not_clicked = counts.variants[variant, True], counts.variants[variant, False]
        lists = clicked + not_clicked
        say(f"  variant {variant or 'none'}: {lists:,} lists, {clicked / lists:.0%} of them clicked")
    if counts.late:
        say(f"  this machine was more than a second late for {counts.late} sessions: fewer ran than planned")
    for failure, count in counts.failures.most_common(5):
        say(f"  failed requests: {count} with {failure}")
