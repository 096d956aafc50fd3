"""What the twin replaces in moto's Glue: UpdateTable's optimistic lock."""

from __future__ import annotations

import threading
from typing import Any

from moto.core.responses import EmptyResult
from moto.glue.exceptions import GlueClientError

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.glue.responses:GlueResponse.update_table",
        "twin.moto_patches.glue:update_table",
        "ignores VersionId, so concurrent Iceberg commits overwrite each other",
        "test_glue.py::test_of_many_updates_of_one_version_at_once_one_succeeds",
    ),
)

_one_at_a_time = threading.Lock()


def update_table(self: Any) -> EmptyResult:
    """GlueResponse.update_table: VersionId is a lock; ConcurrentModificationException unless it is the latest.

    Iceberg's commits rely on it. moto ignores it: of 24 concurrent commits all "succeeded" and 7 files remained.
    """
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
