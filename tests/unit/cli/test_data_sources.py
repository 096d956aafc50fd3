"""Where the data come from: what is named is used or refused, and a download is checked before it is written."""

from __future__ import annotations

import hashlib
import io
import urllib.error
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from cli import movielens
from cli.errors import CommandError
from cli.movielens import FILES, download, real_data


def fill(folder: Path, *, without: str = "") -> Path:
    folder.mkdir()
    for name in FILES:
        if name != without:
            (folder / name).write_text("x")
    return folder


def test_a_named_folder_that_lacks_files_is_refused_and_not_replaced_quietly(tmp_path: Path) -> None:
    beside, named = fill(tmp_path / "beside"), fill(tmp_path / "named", without="tags.csv")
    with pytest.raises(CommandError, match=r"USHER_DATA=.*the folder lacks tags.csv"):
        real_data({"USHER_DATA": str(named)}, beside)


def test_a_named_folder_comes_first_then_the_one_beside_then_none(tmp_path: Path) -> None:
    beside, named = fill(tmp_path / "beside"), fill(tmp_path / "named")
    assert real_data({"USHER_DATA": str(named)}, beside) == named
    assert real_data({}, beside) == beside
    assert real_data({}, tmp_path / "nowhere") is None
    assert movielens.BESIDE.name == "ml-latest-small"


def archive(*, without: str = "", extra: dict[str, bytes] | None = None, size: int = 10) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in FILES:
            if name != without:
                opened.writestr(f"ml-latest-small/{name}", b"x" * size)
        for name, content in (extra or {}).items():
            opened.writestr(name, content)
    return made.getvalue()


def opener(answer: bytes | Exception) -> Any:
    def opened(url: str, timeout: float) -> io.BytesIO:
        assert url.startswith("https://")
        assert timeout > 0
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    return opened


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (urllib.error.URLError("no route"), r"cannot be reached \(no route\).*data generate"),
        (TimeoutError("timed out"), r"cannot be reached \(timed out\)"),
        (ConnectionResetError("reset"), "cannot be reached"),
        (urllib.error.HTTPError("https://x", 503, "busy", Message(), None), "returned 503 busy"),
        (b"x" * (movielens.ARCHIVE_BYTES_MAX + 1), "larger than"),
        (archive(), "SHA-256 is"),
    ],
)
def test_a_download_that_fails_writes_nothing(tmp_path: Path, answer: Any, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        download(tmp_path / "data", opener(answer))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no zip at all", "cannot be read"),
        (archive(without="links.csv"), "lacks links.csv"),
        (archive(size=17 * 1024 * 1024), "unpacks to more than"),
    ],
)
def test_an_archive_that_is_none_or_too_large_is_refused(tmp_path: Path, body: bytes, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        download(tmp_path, opener(body), digest(body))
    assert list(tmp_path.iterdir()) == []


def test_only_the_four_files_are_taken_and_none_leaves_the_folder(tmp_path: Path) -> None:
    body = archive(extra={"../../escaped.csv": b"x", "/etc/usher": b"x", "ml-latest-small/README.txt": b"x"})
    written = download(tmp_path / "data", opener(body), digest(body))
    assert sorted(path.name for path in written) == sorted(FILES)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
