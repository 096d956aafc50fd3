"""Download MovieLens' small data set from GroupLens: over HTTPS, bounded, its digest checked, unzipped safely."""

from __future__ import annotations

import hashlib
import io
import socket
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from cli.errors import CommandError
from cli.movielens import FILES

HOST = "files.grouplens.org"
URL = f"https://{HOST}/datasets/movielens/ml-latest-small.zip"
LICENCE = "https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html"
#: The archive as GroupLens published it on 2018-09-26 (TensorFlow Datasets pins the same digest).
SHA256 = "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"
ARCHIVE_BYTES_MAX = 8 * 1024 * 1024
#: The four files together take about 3.3 MB.
UNZIPPED_BYTES_MAX = 64 * 1024 * 1024
TIMEOUT_SECONDS = 30

Opener = Callable[..., Any]


def download(folder: Path, opener: Opener = urllib.request.urlopen, sha256: str = SHA256) -> list[Path]:
    """Fetch the archive and write its four files into `folder`; returns them.

    Raises CommandError when there is no network, the answer is not the archive, or its digest is another.
    """
    archive = _fetch(opener)
    found = hashlib.sha256(archive).hexdigest()
    if found != sha256:
        raise CommandError(f"{URL}: the archive's SHA-256 is {found}, expected {sha256}: nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    return _unzip(archive, folder)


def _fetch(opener: Opener) -> bytes:
    try:
        with opener(URL, timeout=TIMEOUT_SECONDS) as answer:
            archive: bytes = answer.read(ARCHIVE_BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        raise CommandError(f"{URL}: the server answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, socket.gaierror, OSError) as error:
        reason = getattr(error, "reason", error)
        raise CommandError(
            f"{HOST} cannot be reached ({reason}): use `usher data generate DIR`, or copy the files and set USHER_DATA"
        ) from error
    if len(archive) > ARCHIVE_BYTES_MAX:
        raise CommandError(f"{URL}: the answer is larger than {ARCHIVE_BYTES_MAX:,} bytes: nothing was written")
    return archive


def _unzip(archive: bytes, folder: Path) -> list[Path]:
    """Take the four files out by name: whatever else the archive holds, and wherever it wants to go, is left alone."""
    written = []
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = {PurePosixPath(item.filename).name: item for item in opened.infolist() if not item.is_dir()}
            missing = sorted(FILES.keys() - members.keys())
            if missing:
                raise CommandError(f"{URL}: the archive has no {', '.join(missing)}")
            if sum(members[name].file_size for name in FILES) > UNZIPPED_BYTES_MAX:
                raise CommandError(f"{URL}: the archive unpacks to more than {UNZIPPED_BYTES_MAX:,} bytes")
            for name in FILES:
                path = folder / name
                with opened.open(members[name]) as source:
                    path.write_bytes(source.read(UNZIPPED_BYTES_MAX))
                written.append(path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise CommandError(f"{URL}: the archive cannot be read ({error})") from error
    return written
