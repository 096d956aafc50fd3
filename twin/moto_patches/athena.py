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
        "moto.athena.responses:AthenaResponse.list_query_executions",
        "twin.athena.responses:list_query_executions",
        "moto lists its own executions",
        "test_athena.py::test_executions_are_listed_the_newest_first",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.get_query_runtime_statistics",
        "twin.athena.responses:get_query_runtime_statistics",
        "moto answers with constants",
        "test_athena.py::test_runtime_statistics_count_the_rows",
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.batch_get_query_execution",
        "twin.athena.responses:batch_get_query_execution",
        "moto has no such action",
        "test_athena.py::test_many_executions_are_described_at_once",
        adds=True,
    ),
    Patch(
        "moto.athena.responses:AthenaResponse.update_work_group",
        "twin.athena.responses:update_work_group",
        "there is no UpdateWorkGroup",
        "test_cloudformation_types.py::test_a_workgroup_is_updated",
        adds=True,
    ),
)
