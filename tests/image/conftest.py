"""The image in a container engine, run as SageMaker runs it; skipped unless `make test-image` names both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.small_world import items, nameless, prepared, raw_files, trained, world

__all__ = ["items", "nameless", "prepared", "raw_files", "trained", "world"]

ENGINE, IMAGE = os.environ.get("USHER_TEST_ENGINE", ""), os.environ.get("USHER_TEST_IMAGE", "")
SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not (ENGINE and IMAGE):
        skip = pytest.mark.skip(reason="run by `make test-image`, with a container engine")
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(skip)


def engine(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([ENGINE, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@dataclass
class Machine:
    """An instance: /opt/ml in folders, owned by root with mode 0755, each mounted read-only or to be written.

    Files are put in and taken out by a container of the image, so that this works for any user.
    """

    folder: Path
    names: list[str] = field(default_factory=list)

    def fill(self, inside: str, source: Path | Mapping[str, Any] | None = None) -> None:
        """Make a folder under /opt/ml: a copy of `source`, JSON files by name, or empty."""
        target = self.folder / inside
        if isinstance(source, Path):
            shutil.copytree(source, target)
        else:
            target.mkdir(parents=True)
            for name, content in (source or {}).items():
                (target / name).write_text(json.dumps(content))

    def run(self, *command: str, read_only: tuple[str, ...] = (), write: tuple[str, ...] = (), **more: Any) -> Any:
        """Run the image to its end; the finished process. more: see `start`."""
        name = self.start(*command, read_only=read_only, write=write, **more)
        code = int(engine("wait", name).stdout)
        logs = engine("logs", name)
        self.take_back()
        return subprocess.CompletedProcess(command, code, logs.stdout, logs.stderr)

    def start(
        self,
        *command: str,
        read_only: tuple[str, ...] = (),
        write: tuple[str, ...] = (),
        entrypoint: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Start the image without a network; the container's name."""
        for part in (*read_only, *write):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._as_root(
            "chown -R 0:0 /mnt && find /mnt -type d -exec chmod 755 {} + && find /mnt -type f -exec chmod 644 {} +"
        )
        name = f"usher-test-{uuid.uuid4().hex[:12]}"
        self.names.append(name)
        mounts = [f"--volume={self.folder / part}:/opt/ml/{part}:ro" for part in read_only]
        mounts += [f"--volume={self.folder / part}:/opt/ml/{part}" for part in write]
        variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
        program = [f"--entrypoint={entrypoint}"] if entrypoint else []
        engine("run", "--detach", f"--name={name}", "--network=none", *mounts, *variables, *program, IMAGE, *command)
        return name

    def take_back(self) -> None:
        """Make the folders this user's again."""
        self._as_root(f"chown -R {os.getuid()}:{os.getgid()} /mnt")

    def close(self) -> None:
        for name in self.names:
            engine("rm", "--force", name, check=False)
        self.take_back()

    def _as_root(self, script: str) -> None:
        engine(
            "run",
            "--rm",
            "--network=none",
            "--user=0:0",
            f"--volume={self.folder}:/mnt",
            "--entrypoint=sh",
            IMAGE,
            "-c",
            script,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "ml")
    made.folder.mkdir()
    yield made
    made.close()
