"""A smoke test deploys under names of its own, and never on data that exists."""

from __future__ import annotations

import pytest

from cli.commands.smoke import PARAMETERS, checked_parameters
from cli.costs.stack import read_template
from cli.errors import CommandError
from cli.preflight.parameters import check_parameters


@pytest.mark.parametrize("name", ["LandingBucketName", "LakeBucketName", "StateTableName"])
def test_it_takes_no_existing_bucket_or_table(name: str) -> None:
    with pytest.raises(CommandError, match=f"--parameter {name}=mine: a smoke test deletes all of its data"):
        checked_parameters({"TuningTrials": "2", name: "mine"})
    assert checked_parameters({"TuningTrials": "2", name: ""}) == {"TuningTrials": "2", name: ""}


def test_its_own_parameters_are_those_of_the_template() -> None:
    found = list(check_parameters(read_template(), {**PARAMETERS, "BudgetUsd": "5"}, "eu-west-1"))
    assert {one.state for one in found} == {"fine"}, found
