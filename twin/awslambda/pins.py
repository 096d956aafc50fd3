"""The pinned packages of layers and of the Lambda runtime, installed for the twin's own interpreter.

AWS's layers hold wheels for Lambda's Python; the twin runs on the host's. A layer therefore carries its hashed
`requirements.txt`, and the twin installs that list once into `build/twin/<interpreter>/<digest of the list>`.
Later runs, and other twins, find it there and need no network. `python -m twin.awslambda.pins` prepares all lists.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path

PROJECT = Path(__file__).parents[2]
RUNTIME_LIST = PROJECT / "requirements" / "runtime.txt"
ADVICE = "run `python -m twin.awslambda.pins` once with a network"

_installing = threading.Lock()  # one at a time: uv uses every core as it is


class PinsError(RuntimeError):
    """A list cannot be installed here; the message says what to do."""


def cache() -> Path:
    """Where installed lists are kept for this interpreter."""
    return PROJECT / "build" / "twin" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"


def installed(requirements: bytes, owner: str) -> Path:
    """The folder with the packages of a hashed list; installs them when they are not there. Raises PinsError."""
    folder = cache() / hashlib.sha256(requirements).hexdigest()[:32]
    if folder.is_dir():
        return folder
    with _installing:
        if not folder.is_dir():
            _install(requirements, folder, owner)
    return folder


def runtime() -> Path:
    """What the Lambda runtime brings by itself: boto3 and the runtime client."""
    return installed(RUNTIME_LIST.read_bytes(), "the Lambda runtime")


def _install(requirements: bytes, folder: Path, owner: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name[:8]}-", dir=folder.parent))
    try:
        (draft / "requirements.txt").write_bytes(requirements)
        _run_uv(draft / "requirements.txt", draft / "packages", owner)
        (draft / "packages").rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_uv(requirements: Path, target: Path, owner: str) -> None:
    command = [
        *(
            _uv(owner),
            "pip",
            "install",
            "--quiet",
            "--no-config",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ),
        *(
            "--compile-bytecode",
            "--python",
            sys.executable,
            "--target",
            str(target),
            "--requirements",
            str(requirements),
        ),
    ]
    target.mkdir()  # an empty list installs nothing, and is installed
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-300:] or f"uv ended with {done.returncode}"
        raise PinsError(f"the pinned packages of {owner} cannot be installed: {ADVICE} ({reason})")


def _uv(owner: str) -> str:
    beside = Path(sys.executable).parent / ("uv.exe" if os.name == "nt" else "uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise PinsError(f"the pinned packages of {owner} need uv, which is not here: run `make setup`")
    return found


def main() -> int:
    """Prepare the runtime's list and every layer's."""
    lists = [RUNTIME_LIST, *sorted(PROJECT.glob("layers/*/requirements.txt"))]
    try:
        for path in lists:
            installed(path.read_bytes(), str(path.relative_to(PROJECT)))
    except (PinsError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
