"""Zip archives of functions and layers become folders, once for each content, bounded as Lambda bounds them."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

UNZIPPED_BYTES = 262_144_000  # function and layers together, on Lambda

Keep = Callable[[str], bool]


class ArchiveError(ValueError):
    """An archive that Lambda would not take either."""


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


def read(archive: bytes, name: str) -> bytes | None:
    """One member of an archive; None when it is not there."""
    with _open(archive) as zipped:
        try:
            return zipped.read(name)
        except KeyError:
            return None


def names(archive: bytes) -> list[str]:
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
