"""`usher image`: what goes to CodeBuild, and what a build that fails or hangs says."""

from __future__ import annotations

import io
import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cli.commands import image
from cli.errors import CommandError

PROJECT = Path(__file__).parents[3]


class Builds:
    """CodeBuild's answers, one after another; the last stays."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)

    def client(self, service: str) -> Builds:
        assert service == "codebuild"
        return self

    def batch_get_builds(self, ids: list[str]) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"builds": [{"id": ids[0], "buildStatus": status, "logs": {"deepLink": "https://log"}}]}


def follow(builds: Any, seconds: float = 60.0) -> list[str]:
    now = [0.0]
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image.time, "monotonic", lambda: now[0])
        patch.setattr(image.time, "sleep", lambda length: now.__setitem__(0, now[0] + length))
        image.follow(builds, "b:1", seconds, told.append)
    return told


@pytest.mark.parametrize("status", ["FAILED", "FAULT", "STOPPED", "TIMED_OUT"])
def test_a_build_that_ends_badly_says_where_its_log_lies(status: str) -> None:
    with pytest.raises(CommandError, match=f"ended {status}: see https://log"):
        follow(Builds("IN_PROGRESS", status))


def test_a_build_that_never_ends_is_given_up_in_words() -> None:
    with pytest.raises(CommandError, match="still runs after 1 minutes"):
        follow(Builds("IN_PROGRESS"))


def test_a_build_is_followed_until_it_has_succeeded() -> None:
    assert len(follow(Builds("IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED"))) == 2


def test_a_checkout_with_a_part_missing_says_which(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Dockerfile is missing"):
        image.archive(tmp_path)


def test_the_archive_holds_all_that_the_dockerfile_copies_and_no_more() -> None:
    names = zipfile.ZipFile(io.BytesIO(image.archive(PROJECT))).namelist()
    copied = re.findall(r"^COPY (\S+) ", (PROJECT / "containers/recommender/Dockerfile").read_text(), re.M)
    assert copied
    for source in copied:
        assert any(name == source or name.startswith(f"{source}/") for name in names), source
    assert not [name for name in names if not name.startswith((*copied, "containers/recommender/Dockerfile"))]
    assert not [name for name in names if "__pycache__" in name]


def test_the_same_sources_give_the_same_bytes() -> None:
    assert image.archive(PROJECT) == image.archive(PROJECT)


@pytest.mark.parametrize(("command", "target"), [("build", "image"), ("test", "test-image")])
def test_without_a_container_engine_the_targets_say_in_one_line_what_they_need(command: str, target: str) -> None:
    environment = {**os.environ, "ENGINE": "no-such-engine"}
    done = subprocess.run(
        [PROJECT / "scripts/image", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith(f"make {target} needs a running container engine (docker")
    assert (done.stdout + done.stderr).count("\n") == 1
