"""UpdateTable's VersionId is a lock, as in Glue: an update of a version that is no longer the last one is refused.

Iceberg commits rest on it. moto ignores it: of 24 concurrent commits all "succeeded" and 7 files stayed.
"""

from __future__ import annotations

import threading
from typing import Any

from moto.core.responses import EmptyResult
from moto.glue.exceptions import GlueClientError

_one_at_a_time = threading.Lock()


def update_table(self: Any) -> EmptyResult:
    """Update a table, unless the caller's VersionId is not the table's; ConcurrentModificationException then."""
    database, table_input = self.parameters.get("DatabaseName"), self.parameters.get("TableInput")
    expected = self.parameters.get("VersionId")
    with _one_at_a_time:
        table = self.glue_backend.get_table(database, table_input["Name"])
        if expected is not None and str(expected) != str(table.as_dict()["VersionId"]):
            raise GlueClientError(
                "ConcurrentModificationException", "Update table failed due to concurrent modifications."
            )
        self.glue_backend.update_table(database, table_input["Name"], table_input)
    return EmptyResult()
