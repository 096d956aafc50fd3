"""What every SageMaker resource has: a name, an ARN, the request that made it, times, tags."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

Request = dict[str, Any]


def now() -> datetime.datetime:
    """The time on the wall, with zone: the twin's clock scales waiting, not the dates that it writes."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(eq=False)
class Resource:
    """One resource. `request` is the body of the call that made it, in the API's own spelling."""

    name: str
    arn: str
    request: Request
    created: datetime.datetime = field(default_factory=now)
    modified: datetime.datetime = field(default_factory=now)
    tags: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tags = list(self.request.get("Tags") or [])

    def touch(self) -> None:
        """It has just changed."""
        self.modified = now()
