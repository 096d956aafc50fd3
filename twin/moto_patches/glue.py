"""What the twin replaces in moto's Glue."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.glue.responses:GlueResponse.update_table",
        "twin.glue.versions:update_table",
        "ignores VersionId, so concurrent Iceberg commits overwrite each other",
        "test_glue_versions.py::test_of_many_updates_of_one_version_at_once_one_succeeds",
    ),
)
