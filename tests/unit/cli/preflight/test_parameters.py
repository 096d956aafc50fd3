"""Template parameters: their own constraints, rules between them, and those that samconfig.toml keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.costs.stack import read_template
from cli.errors import CommandError
from cli.preflight.findings import Finding
from cli.preflight.parameters import check_parameters, saved_overrides

TEMPLATE = read_template()


def refused(**given: str) -> list[Finding]:
    return [one for one in check_parameters(TEMPLATE, given, "eu-west-1") if one.state == "refused"]


def test_the_defaults_are_fine() -> None:
    (finding,) = check_parameters(TEMPLATE, {}, "eu-west-1")
    assert finding.state == "fine"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"DatabaseName": "My-Lake"}, "DatabaseName must match"),
        ({"LogRetentionDays": "8"}, "must be one of 1, 3, 5"),
        ({"TuningTrials": "0"}, "must be at least 1"),
        ({"BakeSeconds": "soon"}, "must be a number"),
        ({"Colour": "red"}, "Colour does not exist in the template"),
        ({"TrainingInstanceType": "ml.z9.huge"}, "SageMaker does not offer for this use"),
        ({"TrainingInstanceType": "ml.g5.xlarge"}, "runs would be refused, no price is known"),
        ({"AttributionSeconds": "2592000"}, "preset default ends after 336: no experiment could decide"),
        ({"EpochSeconds": "3600", "ExperimentHourSeconds": "1"}, "EpochSeconds is 3600 hours of an experiment"),
        ({"BudgetUsd": "0.1"}, "no run would start"),
        ({"AlarmTopicArn": "alarms"}, "is not the ARN of an SNS topic"),
        ({"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:a"}, "is in us-east-1"),
        ({"RecommenderImage": "docker.io/me/usher"}, "RecommenderImage"),
        ({"RecommenderImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/a:1"}, "SageMaker pulls from eu-west-1"),
    ],
)
def test_what_would_be_refused_says_which_value_and_what_to_do(given: dict[str, str], words: str) -> None:
    found = refused(**given)
    assert any(words in one.detail for one in found), found
    assert all(one.remedy for one in found)


def test_every_fault_is_told_at_once() -> None:
    assert len(refused(DatabaseName="A", TuningTrials="0", Colour="red")) == 3


def test_more_parallel_trials_than_trials_is_a_warning() -> None:
    found = list(check_parameters(TEMPLATE, {"TuningTrials": "1"}, "eu-west-1"))
    assert [one.state for one in found] == ["warning", "fine"]


@pytest.mark.parametrize(
    "line",
    [
        'parameter_overrides = "DatabaseName=shop BudgetUsd=5"',
        'parameter_overrides = ["DatabaseName=shop", "BudgetUsd=5"]',
        r'parameter_overrides = "DatabaseName=\"shop\" BudgetUsd=\"5\""',
    ],
)
def test_the_overrides_of_samconfig_are_read(tmp_path: Path, line: str) -> None:
    (tmp_path / "samconfig.toml").write_text(f"version = 0.1\n[default.deploy.parameters]\n{line}\n")
    assert saved_overrides(tmp_path / "samconfig.toml") == {"DatabaseName": "shop", "BudgetUsd": "5"}


def test_no_samconfig_gives_nothing_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    assert saved_overrides(tmp_path / "samconfig.toml") == {}
    (tmp_path / "samconfig.toml").write_text("= nothing")
    with pytest.raises(CommandError, match="is not TOML"):
        saved_overrides(tmp_path / "samconfig.toml")
