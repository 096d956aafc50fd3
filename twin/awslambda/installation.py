"""Lays out a function on disk: its code, /opt from its layers, and the packages of both for this interpreter.

Archives are unpacked once for each content, and bounded as Lambda bounds them.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.awslambda import pins

UNZIPPED_BYTES = 262_144_000  # function and layers together, on Lambda
_PACKAGES = re.compile(r"^python/lib/python(\d+\.\d+)/site-packages/")

Keep = Callable[[str], bool]


class ArchiveError(ValueError):
    """An archive that Lambda would refuse too."""


class LayerError(RuntimeError):
    """A layer that this interpreter cannot use; the message is the reason."""


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
    task = unpacked([code], root / "code", [_everything])
    opt = unpacked([archive for _, archive in layers], root / "opt", [_keep(archive) for _, archive in layers])
    own = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    pinned = [folder for arn, archive in reversed(layers) if (folder := _pinned(arn, archive))]
    return Installation(task, opt, (task, opt / "python", opt / "python" / own, *pinned, pins.runtime()))


def _pinned(arn: str, archive: bytes) -> Path | None:
    """The layer's packages for this interpreter, from its requirements.txt."""
    requirements = _read(archive, "requirements.txt")
    if requirements is not None:
        return pins.installed(requirements, f"layer {_name(arn)}")
    for name in _names(archive):
        built = _PACKAGES.match(name)
        if built and built[1] != f"{sys.version_info[0]}.{sys.version_info[1]}":
            raise LayerError(
                f"layer {_name(arn)} holds packages for Python {built[1]} and the twin runs Python "
                f"{sys.version_info[0]}.{sys.version_info[1]}: put its requirements.txt, with hashes, at its root"
            )
    return None


def _keep(archive: bytes) -> Keep:
    """A layer with a list has its packages from there; the wheels that AWS needs beside it are for another Python."""
    if _read(archive, "requirements.txt") is None:
        return _everything
    return lambda name: not _PACKAGES.match(name)


def _everything(name: str) -> bool:  # noqa: ARG001 - the shape of Keep
    return True


def _name(arn: str) -> str:
    return ":".join(arn.split(":")[6:])


def unpacked(archives: Sequence[bytes], root: Path, keep: Sequence[Keep]) -> Path:
    """A folder below `root` where `archives` lie over each other, later ones winning, as Lambda lays layers into /opt.

    keep: for each archive, which of its names are wanted. Raises ArchiveError for a broken or an oversized archive.
    """
    digest = hashlib.sha256(b"".join(hashlib.sha256(archive).digest() for archive in archives)).hexdigest()[:32]
    folder = root / digest
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{digest[:8]}-", dir=root))
    try:
        for archive, wanted in zip(archives, keep, strict=True):
            _extract(archive, draft, wanted)
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another thread was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _read(archive: bytes, name: str) -> bytes | None:
    """One member of an archive; None when it is not there."""
    with _open(archive) as zipped:
        try:
            return zipped.read(name)
        except KeyError:
            return None


def _names(archive: bytes) -> list[str]:
    """What lies in an archive."""
    with _open(archive) as zipped:
        return zipped.namelist()


def _extract(archive: bytes, folder: Path, wanted: Keep) -> None:
    with _open(archive) as zipped:
        members = [member for member in zipped.infolist() if wanted(member.filename)]
        if (size := sum(member.file_size for member in members)) > UNZIPPED_BYTES:
            raise ArchiveError(f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes, this archive has {size}")
        for member in members:
            try:
                written = Path(zipped.extract(member, folder))  # never leaves the folder: zipfile strips ".." and roots
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
                raise ArchiveError(f"Could not unzip {member.filename!r} of the uploaded file: {error}") from error
            if not member.is_dir():
                written.chmod(0o644 | ((member.external_attr >> 16) & 0o111))


def _open(archive: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(archive))
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"Could not unzip uploaded file: {error}") from error
