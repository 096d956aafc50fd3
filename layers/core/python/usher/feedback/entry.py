"""One thing that a person did, as it was sent, and the row of the lake that it becomes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from usher.schema.ids import user_hash
from usher.schema.times import iso


@dataclass(frozen=True, slots=True)
class Feedback:
    """A checked entry of `POST /feedback`.

    type:  rating, click, purchase or view. value: of a rating 0.5 to 5, else what it was worth, or None.
    at:    epoch seconds, None where nothing was sent: it is then the time at which it is first kept.
    recommendation_id: of the answer that it followed, or empty.
    """

    event_id: str
    user_id: str
    item_id: str
    type: str
    value: float | None = None
    at: float | None = None
    recommendation_id: str = ""

    @property
    def who(self) -> str:
        """The person's hash."""
        return user_hash(self.user_id)

    @property
    def mark(self) -> str:
        """A short digest of the event id: what stands for this event in other items of the state table."""
        return hashlib.sha256(self.event_id.encode()).hexdigest()[:16]

    def digest(self) -> str:
        """Of everything that was sent, 32 hex characters: one event id has one content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]

    def row(self, at: float) -> tuple[str, dict[str, Any]]:
        """The data set that it belongs to, and its row; `at`: epoch seconds, the same at every try."""
        whom = {"user_id": self.user_id, "item_id": self.item_id}
        if self.type == "rating":
            return "ratings", {**whom, "rating": self.value, "rated_at": iso(at)}
        row: dict[str, Any] = {"event_id": self.event_id, **whom, "type": self.type, "occurred_at": iso(at)}
        more = {"value": self.value, "recommendation_id": self.recommendation_id or None}
        return "events", row | {name: value for name, value in more.items() if value is not None}
