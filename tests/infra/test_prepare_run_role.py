"""The role of prepare_run: it reads the table and the Iceberg metadata of each data set whose rows start a run."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from usher.schema.datasets import DATASETS
from usher.schema.s3_paths import table_prefix
from usher.store.run_progress import COUNTED_DATASETS

if TYPE_CHECKING:
    from tests.infra.conftest import Built

CATALOG = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}"


@pytest.fixture
def statements(built: Built) -> list[dict[str, Any]]:
    (policy,) = built.resources["PrepareRunRole"]["Properties"]["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def allowed(statements: list[dict[str, Any]], action: str, resource: str) -> bool:
    """Whether a statement allows the action on the resource; a reference of the template stands for its value."""
    for statement in statements:
        actions, resources = statement["Action"], statement["Resource"]
        if action not in (actions if isinstance(actions, list) else [actions]):
            continue
        patterns = [one["Fn::Sub"] for one in (resources if isinstance(resources, list) else [resources])]
        if any(fnmatchcase(resource, pattern) for pattern in patterns):
            return True
    return False


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_prepare_run_reads_table_and_metadata_of_exactly_the_counted_data_sets(
    statements: list[dict[str, Any]], dataset: str
) -> None:
    counted = dataset in COUNTED_DATASETS
    table = f"{CATALOG}:table/${{Lake}}/{dataset}"
    metadata = f"${{LakeBucket.Arn}}/{table_prefix(dataset)}/metadata/00001-a.metadata.json"
    assert allowed(statements, "glue:GetTable", table) is counted
    assert allowed(statements, "s3:GetObject", metadata) is counted
