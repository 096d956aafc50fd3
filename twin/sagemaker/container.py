"""Containers as processes: the programs of images, a folder in place of /opt/ml, the output, the end, time limits.

A program may write what SageMaker lets it write, and nothing else (`twin.sagemaker.write_protection`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin import children, context
from twin.sagemaker import write_protection

PROGRAMS = ("train", "serve", "prepare", "evaluate")

_PROJECT = Path(__file__).parents[2]
_URI = re.compile(r"(?:(?P<registry>[^/]+\.[^/]+)/)?(?P<repository>[^:@]+)(?::[^@/]+)?(?:@sha256:[0-9a-f]{64})?")
_PYTHON = re.compile(r"(?:/usr/(?:local/)?bin/)?python(?:3(?:\.\d+)?)?")

#: No limit on work is scaled to less than this many real seconds: fitting a model takes the time it takes.
WORK_FLOOR_SECONDS = 60.0
#: How long a container may take to answer its first /ping, in real seconds at least.
START_FLOOR_SECONDS = 30.0
#: SIGTERM comes this long before SIGKILL (AWS's time).
STOP_GRACE_SECONDS = 120.0

#: What a container may see of the host's environment.
_PASSED = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")
_OUTPUT_CHUNK_BYTES = 1 << 20
#: CloudWatch Logs takes events of up to 256 KB.
LINE_BYTES_MAX = 256 * 1024 - 26


def work_seconds(seconds: float) -> float:
    """Real seconds that a job with a limit of `seconds` may run."""
    return _scaled(seconds, WORK_FLOOR_SECONDS)


def start_seconds(seconds: float) -> float:
    """Real seconds that a container with a start-up limit of `seconds` may take."""
    return _scaled(seconds, START_FLOOR_SECONDS)


def grace_seconds() -> float:
    """Real seconds between SIGTERM and SIGKILL."""
    return max(1.0, context.current().real_seconds(STOP_GRACE_SECONDS))


def _scaled(seconds: float, floor: float) -> float:
    return min(seconds, max(context.current().real_seconds(seconds), floor))


@dataclass(frozen=True, slots=True)
class Image:
    """What an image runs.

    entry:       the command before the program's name (`train`, `serve`, `prepare`, `evaluate`).
    module:      the module that `entry` runs, so that `python -m <module> …` is understood as an entry point too.
    environment: what the image sets.
    writable:    folders of this machine that it may write: caches of compiled code, which the real image holds.
    """

    entry: tuple[str, ...]
    module: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    writable: tuple[Path, ...] = ()

    def command(self, entrypoint: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """The command line of a job; ValueError when the image holds no such program."""
        if not entrypoint:
            return [*self.entry, *arguments]
        head, *rest = entrypoint
        if Path(head).name in PROGRAMS:
            return [*self.entry, Path(head).name, *rest, *arguments]
        if self.module and _PYTHON.fullmatch(head) and rest[:2] == ["-m", self.module]:
            return [*self.entry, *rest[2:], *arguments]
        raise ValueError(f"exec: {head!r}: executable file not found in $PATH")


_NUMBA_CACHE = Path(os.environ.get("NUMBA_CACHE_DIR") or _PROJECT / "build/numba")

#: End of the repository's name → its image. Tests add their own.
IMAGES: dict[str, Image] = {
    "usher-recommender": Image(
        entry=(sys.executable, "-u", "-P", "-m", "usher_models"),
        module="usher_models",
        environment={
            "PYTHONPATH": ":".join(
                str(_PROJECT / part)
                for part in ("containers/recommender", "layers/core/python", "layers/scorer/python")
            ),
            "NUMBA_CACHE_DIR": str(_NUMBA_CACHE),
        },
        writable=(_NUMBA_CACHE, Path(sysconfig.get_path("purelib"))),
    )
}


def find_image(uri: str) -> Image:
    """The image behind `uri`, with or without a registry, tag or digest; KeyError when it is unknown."""
    match = _URI.fullmatch(uri)
    if match:
        for name, image in IMAGES.items():
            if match["repository"].endswith(name):
                return image
    raise KeyError(uri)


class Container:
    """A folder in place of /opt/ml, and a process that finds it in SAGEMAKER_BASE_DIR.

    writable: the folders under /opt/ml that the program may write, relative to it; /tmp is always one.
    """

    def __init__(self, folder: Path, writable: Iterable[str] = ()) -> None:
        self.folder = folder
        self._before: write_protection.Fingerprint | None = None
        self._output = folder.with_name(f"{folder.name}.log")
        self._read_offset = 0
        self._partial = b""
        self.process: subprocess.Popen[Any] | None = None
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("input/config", "input/data", "model", "output/data", "processing", "config", "tmp"):
            (folder / part).mkdir(parents=True)
        self._writable: set[Path] = set()
        self.make_writable(*(folder / part for part in ("tmp", *writable)))

    def make_writable(self, *folders: Path) -> None:
        """Let the program write `folders`, which are made if need be."""
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._writable.add(folder)

    def path(self, inside: str) -> Path:
        """Where a path of the container's, `/opt/ml/…`, lies here; ValueError for any other."""
        relative = inside.removeprefix("/opt/ml/")
        if relative == inside or ".." in Path(relative).parts:
            raise ValueError(f"{inside!r} does not lie under /opt/ml/")
        return self.folder / relative

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run `command`; paths under /opt/ml in it and in `environment` are translated. OSError when it cannot run."""
        translated = [self._translated(argument) for argument in command]
        if write_protection.available():
            translated = write_protection.launcher(translated, self._writable)
        else:
            self._before = write_protection.fingerprint(self.folder, self._writable)
        with self._output.open("ab") as output:
            self.process = children.spawn(
                translated,
                env={**self._base(), **{name: self._translated(value) for name, value in environment.items()}},
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self.process is None else self.process.poll()

    def forbidden_changes(self) -> list[str]:
        """What the program changed under /opt/ml although it is read-only, where the system could not prevent it."""
        if self._before is None:
            return []
        paths = write_protection.changed(self._before, write_protection.fingerprint(self.folder, self._writable))
        return [path.replace(str(self.folder), "/opt/ml", 1) for path in paths]

    def end(self, grace: float | None = None) -> None:
        """SIGTERM, time to finish, SIGKILL: for the process and whatever it started."""
        if self.process is not None:
            children.end(self.process, grace_seconds() if grace is None else grace)

    def lines(self, last: bool = False) -> list[str]:
        """What it has printed since the last call, in whole lines; with `last` also an unfinished one."""
        try:
            with self._output.open("rb") as output:
                output.seek(self._read_offset)
                chunk = output.read(-1 if last else _OUTPUT_CHUNK_BYTES)
        except FileNotFoundError:  # never started, or discarded
            return []
        self._read_offset += len(chunk)
        *whole, self._partial = (self._partial + chunk).split(b"\n")
        if self._partial and (last or len(self._partial) > LINE_BYTES_MAX):
            whole.append(self._partial)
            self._partial = b""
        return list(_decoded(whole))

    def read(self, name: str, limit: int = 1024) -> str:
        """The first `limit` characters of a file in the folder, "" when it is not there."""
        try:
            with (self.folder / name).open("rb") as file:
                return file.read(4 * limit).decode("utf-8", "replace")[:limit].strip()
        except OSError:
            return ""

    def discard(self) -> None:
        """Remove the folder and the output."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._output.unlink(missing_ok=True)

    def _base(self) -> dict[str, str]:
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        return {
            **passed,
            **context.current().environment(),
            "HOME": str(self.folder / "tmp"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONUNBUFFERED": "1",
            "SAGEMAKER_BASE_DIR": str(self.folder),
        }

    def _translated(self, text: str) -> str:
        return re.sub(r"(?<![^\s=:,'\"])/opt/ml(?=/|$)", lambda _: str(self.folder), text)


def _decoded(lines: Iterable[bytes]) -> Iterable[str]:
    for line in lines:
        for start in range(0, len(line), LINE_BYTES_MAX):
            yield line[start : start + LINE_BYTES_MAX].decode("utf-8", "replace").rstrip("\r")
