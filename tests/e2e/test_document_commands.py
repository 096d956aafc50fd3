"""The commands of README.md and docs/deploy.md, as they stand there, against a twin that plays the account.

AWS_ENDPOINT_URL leads `--account` to the twin. tests/infra/test_document_commands.py lists what is run elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, LiveTwin, end, start, wait_until_ready
from tests.infra.document_commands import GUIDES, blocks

pytestmark = pytest.mark.slow

SECONDS = 600.0
#: In this order; each with its exit code, what it prints, and what is typed.
COMMANDS: dict[str, tuple[int, str, str]] = {
    "usher preflight --account": (0, "Nothing would be refused.", ""),
    "usher cost --requests 1e6 --ratings 1e7 --users 1e5": (0, "total", ""),
    "usher upload FILE… --wait": (0, "committed", ""),
    "usher upload FILE… --account --wait": (0, "is in the bucket already", ""),
    "usher query": (0, "most_rated", ""),
    "usher runs": (0, "", ""),
    "usher recommend 42": (1, "no model has been deployed yet", ""),
    "usher feedback 42 318 --rating 4.5": (0, "Stored as", ""),
    "usher experiment": (0, "No model serves yet", ""),
    "usher rollback --why TEXT": (1, "no model serves yet", ""),
    "usher image --account": (0, "the image is in the stack's repository", ""),
    "aws logs put-retention-policy --log-group-name /aws/sagemaker/TrainingJobs --retention-in-days 30": (
        255,
        "The specified log group does not exist",  # as in an account without any training job
        "",
    ),
    "build/sam/bin/sam deploy --guided": (0, "Successfully created/updated stack - by-guide", "GUIDED"),
    "build/sam/bin/sam deploy --no-confirm-changeset": (0, "No changes to deploy. Stack by-guide is up to date", ""),
    "usher preflight --account --stack-name usher-staging --parameter DatabaseName=usher_staging --parameter "
    "EndpointName=usher-staging": (0, "Nothing would be refused.", ""),
    "build/sam/bin/sam deploy --config-env staging": (0, "created/updated stack - usher-staging", "y\n"),
    "usher image --account --stack-name usher-staging": (0, "the image is in the stack's repository", ""),
    "usher query --account --stack-name usher-staging": (0, "most_rated", ""),
    "usher remove --account": (0, "A new stack uses the kept data", "y\n"),
    "usher remove --account --everything": (1, "stack usher not found", "y\n"),
}
#: What is typed into `sam deploy --guided` for a stack beside the one that is there: else the defaults.
GUIDED = {"Stack Name": "by-guide", "DatabaseName": "by_guide", "EndpointName": "by-guide"}


@pytest.fixture
def account(tmp_path: Path) -> Iterator[LiveTwin]:
    process = start(tmp_path / "state", "--speed", "60")
    try:
        yield wait_until_ready(process, tmp_path / "state")
    finally:
        end(process)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What somebody has after `git clone` and `make build`; `sam deploy --guided` writes into its samconfig.toml."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in (".aws-sam", "functions", "statemachines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "build").mkdir()
    (folder / "build/sam").symlink_to(ROOT / "build/sam")
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n42,318,4.5,964982703\n")
    return folder


def answers(template: str) -> str:
    """The lines for the questions of `sam deploy --guided`: stack, region, each parameter, confirmations."""
    before, _, _ = template.partition("\nConditions:\n")
    names = re.findall(r"^  (\w+):$", before.partition("Parameters:\n")[2], re.M)
    lines = [GUIDED["Stack Name"], "", *(GUIDED.get(name, "") for name in names)]
    # changeset is confirmed, IAM roles, rollback stays on, arguments are saved, file, environment, deploy
    return "\n".join([*lines, "y", "y", "n", "y", "", "", "y"]) + "\n"


def test_every_command_of_the_guides_does_what_it_says(account: LiveTwin, checkout: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join([str(ROOT / ".venv/bin"), str(ROOT / "build/awscli/bin"), os.environ["PATH"]])
    environment = {**clean, **account.environment, "PATH": path, "SAM_CLI_TELEMETRY": "0", "NO_COLOR": "1"}
    environment["COLUMNS"] = "200"
    written = {" ".join(command.split()) for guide in GUIDES for command in blocks(guide)}
    for command, (code, words, typed) in COMMANDS.items():
        assert command in written, f"no guide has {command}"
        given = answers((ROOT / "template.yaml").read_text()) if typed == "GUIDED" else typed
        line = command.replace("FILE…", "ratings.csv").replace("TEXT", "a-reason")
        if "rollback" in command:
            line += " --yes"
        done = subprocess.run(
            line.split(),
            cwd=checkout,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        lines = [line.rpartition("\r")[2] for line in (done.stdout + done.stderr).splitlines()]  # without progress
        printed = " ".join(" ".join(lines).split())
        assert (done.returncode, words in printed) == (code, True), f"{command}: {done.returncode}: {printed[-3000:]}"
