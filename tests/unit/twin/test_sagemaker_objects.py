"""Models in and out of archives, and where the objects of a channel land."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from twin.sagemaker import objects
from twin.sagemaker.errors import JobFailed


def _archive(tmp_path: Path, member: tarfile.TarInfo, body: bytes = b"") -> Path:
    file = tmp_path / "model.tar.gz"
    member.size = len(body)
    with tarfile.open(file, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(body))
    return file


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_an_archive_cannot_write_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    try:
        objects.unpack(_archive(tmp_path, tarfile.TarInfo(name), b"x"), inside)
    except JobFailed as error:
        assert "archive" in str(error)
    assert not (tmp_path / "evil").exists()
    assert not Path("/etc/evil").exists()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(JobFailed):
        objects.unpack(_archive(tmp_path, member), tmp_path)


def test_a_model_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MODEL_BYTES_MAX", 10)
    with pytest.raises(JobFailed, match="more than 10 bytes"):
        objects.unpack(_archive(tmp_path, tarfile.TarInfo("a"), b"x" * 11), tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.tar.gz"
    file.write_bytes(content)
    with pytest.raises(JobFailed, match=r"not a gzip-compressed tar|^ClientError"):
        objects.unpack(file, tmp_path)


def test_a_packed_folder_is_the_same_again_and_packed_alike_later(tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "fm").mkdir(parents=True)
    (source / "fm" / "v.npy").write_bytes(b"\x00\x01")
    (source / "manifest.json").write_text("{}")
    objects.pack(source, tmp_path / "one")
    (source / "manifest.json").touch()
    objects.pack(source, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    target = tmp_path / "out"
    objects.unpack(tmp_path / "one", target)
    found = {str(item.relative_to(target)): item.read_bytes() for item in target.rglob("*") if item.is_file()}
    assert found == {"fm/v.npy": b"\x00\x01", "manifest.json": b"{}"}


@pytest.mark.parametrize(
    ("key", "prefix", "relative"),
    [
        ("a/b/c.csv", "a/b", "c.csv"),
        ("a/b/c.csv", "a/b/", "c.csv"),
        ("a/b/d/c.csv", "a/b", "d/c.csv"),
        ("a/b-1.csv", "a/b", "b-1.csv"),
        ("a/b.csv", "a/b.csv", "b.csv"),
        ("b.csv", "b.csv", "b.csv"),
        ("b.csv", "", "b.csv"),
    ],
)
def test_an_object_lands_under_its_name_behind_the_prefix(key: str, prefix: str, relative: str) -> None:
    assert objects._relative(key, prefix) == relative


@pytest.mark.parametrize("relative", ["../evil", "a/../../evil", "/etc/evil"])
def test_a_key_cannot_leave_the_channels_folder(tmp_path: Path, relative: str) -> None:
    with pytest.raises(JobFailed, match="leaves its folder"):
        objects._inside(tmp_path, relative)
