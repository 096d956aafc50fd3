"""Why a query fails, in the words Athena would use or in the twin's own."""

from __future__ import annotations


class QueryError(Exception):
    """The query ends FAILED with this reason."""


class Unsupported(QueryError):
    """Athena could do it, the twin cannot."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not supported by the twin: {what}")


class Cancelled(Exception):
    """The query ends CANCELLED: it was stopped, or it would read more than its workgroup allows."""
