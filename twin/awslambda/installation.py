"""What a function finds on disk: its code, /opt from its layers, and the packages of both for this interpreter."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from twin.awslambda import pins, unpack

_PACKAGES = re.compile(r"^python/lib/python(\d+\.\d+)/site-packages/")


class LayerError(RuntimeError):
    """A layer that this interpreter cannot use; one line that says why."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Folders for one revision.

    code: LAMBDA_TASK_ROOT. opt: where Lambda has /opt. path: PYTHONPATH, in Lambda's order of precedence.
    """

    code: Path
    opt: Path
    path: tuple[Path, ...]


def install(code: bytes, layers: list[tuple[str, bytes]], root: Path) -> Installation:
    """Lay out a function. layers: (ARN, archive) in order. Raises ArchiveError, LayerError or PinsError."""
    task = unpack.unpacked([code], root / "code", [_everything])
    opt = unpack.unpacked([archive for _, archive in layers], root / "opt", [_keep(archive) for _, archive in layers])
    own = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    pinned = [folder for arn, archive in reversed(layers) if (folder := _pinned(arn, archive))]
    return Installation(task, opt, (task, opt / "python", opt / "python" / own, *pinned, pins.runtime()))


def _pinned(arn: str, archive: bytes) -> Path | None:
    """The layer's packages for this interpreter, from its requirements.txt."""
    requirements = unpack.read(archive, "requirements.txt")
    if requirements is not None:
        return pins.installed(requirements, f"layer {_name(arn)}")
    for name in unpack.names(archive):
        built = _PACKAGES.match(name)
        if built and built[1] != f"{sys.version_info[0]}.{sys.version_info[1]}":
            raise LayerError(
                f"layer {_name(arn)} holds packages for Python {built[1]} and the twin runs Python "
                f"{sys.version_info[0]}.{sys.version_info[1]}: put its requirements.txt, with hashes, at its root"
            )
    return None


def _keep(archive: bytes) -> unpack.Keep:
    """A layer with a list has its packages from there; the wheels that AWS needs beside it are for another Python."""
    if unpack.read(archive, "requirements.txt") is None:
        return _everything
    return lambda name: not _PACKAGES.match(name)


def _everything(name: str) -> bool:  # noqa: ARG001 - the shape of Keep
    return True


def _name(arn: str) -> str:
    return ":".join(arn.split(":")[6:])
