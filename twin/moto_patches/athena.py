"""What the twin replaces in moto's Athena."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.athena.responses:AthenaResponse.start_query_execution",
        "twin.athena.responses:start_query_execution",
        "moto runs no query",
        "test_athena.py::test_a_query_returns_what_the_table_holds",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.get_query_execution",
        "twin.athena.responses:get_query_execution",
        "moto knows no failure, no reason, no statistics",
        "test_athena.py::test_a_failed_query_says_why",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.get_query_results",
        "twin.athena.responses:get_query_results",
        "moto answers with canned rows and has no pages",
        "test_athena.py::test_results_come_in_pages_and_nothing_is_lost",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.stop_query_execution",
        "twin.athena.responses:stop_query_execution",
        "moto stops nothing",
        "test_athena.py::test_a_running_query_is_stopped",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.update_work_group",
        "twin.athena.responses:update_work_group",
        "there is no UpdateWorkGroup",
        "test_resource_types.py::test_a_workgroup_is_updated",
        adds=True,
    ),
)
