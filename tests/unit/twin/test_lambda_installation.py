"""Archives of functions and layers: what is laid out, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from twin.awslambda import installation
from twin.awslambda.installation import ArchiveError


def _zip(files: dict[str, str], mode: int = 0o644) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            zipped.writestr(member, text, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _everything(name: str) -> bool:
    return True


def _layout(root: Path, *archives: bytes) -> Path:
    return installation.unpacked(archives, root, [_everything] * len(archives))


@pytest.mark.parametrize("archive", [b"", b"no zip", _zip({"app.py": "x"})[:-10]])
def test_what_is_no_archive_is_refused(tmp_path: Path, archive: bytes) -> None:
    with pytest.raises(ArchiveError, match="Could not unzip uploaded file"):
        _layout(tmp_path, archive)
    assert list(tmp_path.iterdir()) == [], "nothing half done stays"


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    archive = bytearray(_zip({"app.py": "text " * 1000}))
    archive[60] ^= 0xFF
    with pytest.raises(ArchiveError, match=r"Could not unzip 'app\.py'"):
        _layout(tmp_path, bytes(archive))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_swells_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "UNZIPPED_BYTES", 100_000)
    with pytest.raises(ArchiveError, match="Unzipped size must be smaller than 100000 bytes, this archive has 200000"):
        _layout(tmp_path, _zip({"bomb": "0" * 200_000}))
    assert list(tmp_path.iterdir()) == []


def test_no_member_leaves_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = _layout(root, _zip({"../../evil": "x", "/absolute": "x"}))
    assert sorted(path.name for path in folder.rglob("*")) == ["absolute", "evil"]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_later_archive_lies_over_an_earlier_one(tmp_path: Path) -> None:
    folder = _layout(tmp_path, _zip({"a": "1", "b": "1"}), _zip({"b": "2"}))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "1", "b": "2"}


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    folder = installation.unpacked([_zip({"a": "1", "b": "1"})], tmp_path, [lambda name: name == "b"])
    assert [path.name for path in folder.iterdir()] == ["b"]


def test_a_program_stays_executable(tmp_path: Path) -> None:
    folder = _layout(tmp_path, _zip({"bin/tool": "x"}, 0o755))
    assert (folder / "bin" / "tool").stat().st_mode & 0o111


def test_the_same_content_is_unpacked_once(tmp_path: Path) -> None:
    first = _layout(tmp_path, _zip({"a": "1"}))
    (first / "mark").touch()
    assert (_layout(tmp_path, _zip({"a": "1"})) / "mark").exists()
