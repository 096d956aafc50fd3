"""MovieLens files: find them in USHER_DATA or beside the repository, or download them from GroupLens."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cli.errors import CommandError

#: MovieLens' file names → the data set each holds.
FILES = {"ratings.csv": "ratings", "movies.csv": "items", "tags.csv": "tags", "links.csv": "links"}
VARIABLE = "USHER_DATA"
PROJECT = Path(__file__).parents[1]
BESIDE = PROJECT.parent / "shared" / "data" / "ml-latest-small"


def real_data(environ: Mapping[str, str] = os.environ, beside: Path = BESIDE) -> Path | None:
    """The folder of the real files: USHER_DATA, else the copy beside the repository, else None.

    Raises CommandError when the folder of USHER_DATA lacks files: it is not silently replaced by another.
    """
    named = environ.get(VARIABLE, "")
    if named:
        folder = Path(named).expanduser()
        missing = missing_files(folder)
        if missing:
            raise CommandError(f"{VARIABLE}={named}: the folder lacks {', '.join(missing)}")
        return folder
    return None if missing_files(beside) else beside


def missing_files(folder: Path) -> list[str]:
    """The MovieLens files that the folder lacks."""
    return [name for name in FILES if not (folder / name).is_file()]


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

    Raises CommandError without a network, and when the download is not the expected archive.
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
        raise CommandError(f"{URL}: the server returned {error.code} {error.reason}: try again later") from error
    except (urllib.error.URLError, TimeoutError, socket.gaierror, OSError) as error:
        reason = getattr(error, "reason", error)
        raise CommandError(
            f"{HOST} cannot be reached ({reason}): use `usher data generate DIR`, or copy the files and set USHER_DATA"
        ) from error
    if len(archive) > ARCHIVE_BYTES_MAX:
        raise CommandError(f"{URL}: the download is larger than {ARCHIVE_BYTES_MAX:,} bytes: nothing was written")
    return archive


def _unzip(archive: bytes, folder: Path) -> list[Path]:
    """Extract the four files by name; other members and their paths are ignored."""
    written = []
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = {PurePosixPath(item.filename).name: item for item in opened.infolist() if not item.is_dir()}
            missing = sorted(FILES.keys() - members.keys())
            if missing:
                raise CommandError(f"{URL}: the archive lacks {', '.join(missing)}: nothing was written")
            if sum(members[name].file_size for name in FILES) > UNZIPPED_BYTES_MAX:
                raise CommandError(
                    f"{URL}: the archive unpacks to more than {UNZIPPED_BYTES_MAX:,} bytes: nothing was written"
                )
            for name in FILES:
                path = folder / name
                with opened.open(members[name]) as source:
                    path.write_bytes(source.read(UNZIPPED_BYTES_MAX))
                written.append(path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise CommandError(f"{URL}: the archive cannot be read ({error}): download it again") from error
    return written
