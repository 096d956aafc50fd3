"""Lines are cut out of a growing file whole, with their places, in bounded memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.agent import lines
from cli.agent.lines import Block, LineReader, TooLong


def read_all(reader: LineReader) -> list[tuple[int, bytes]]:
    found = []
    while (block := reader.read()) is not None:
        assert isinstance(block, Block)
        at = block.start
        for line in block.lines:
            found.append((at, line))
            at += len(line) + 1
    return found


@given(
    written=st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"\r", b"\n")), max_size=12),
    chunk=st.integers(1, 16),
)
@settings(max_examples=60)
def test_whatever_way_a_file_grows_each_line_comes_once_and_at_its_place(
    tmp_path_factory: Any, written: list[bytes], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("grow") / "file"
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK_BYTES", chunk)
        reader, found = LineReader(descriptor, 0), []
        for part in written:
            with path.open("ab") as file:
                file.write(part)
            found += read_all(reader)
    os.close(descriptor)
    content = b"".join(written)
    whole = content[: content.rfind(b"\n") + 1]
    assert b"".join(line + b"\n" for _, line in found) == whole
    assert all(whole[at:].startswith(line + b"\n") for at, line in found)
    assert reader.offset == len(whole)
    assert reader.unfinished_bytes == len(content) - len(whole)


def test_a_line_far_too_long_is_passed_over_with_its_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", 64)
    monkeypatch.setattr(lines, "LINE_MAX_BYTES", 100)
    path = tmp_path / "file"
    path.write_bytes(b"a\n" + b"x" * 1000 + b"\nb\n")
    descriptor = os.open(path, os.O_RDONLY)
    reader = LineReader(descriptor, 0)
    assert reader.read() == Block(0, [b"a"])
    assert reader.read() == TooLong(2, 1003, b"x" * 100)
    assert reader.read() == Block(1003, [b"b"])
    assert reader.read() is None
    os.close(descriptor)


def test_a_last_line_far_too_long_is_passed_over_when_the_file_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINE_MAX_BYTES", 100)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    descriptor = os.open(path, os.O_RDONLY)
    reader = LineReader(descriptor, 0)
    assert reader.read() is None
    assert reader.rest() == TooLong(0, 1000, b"x" * 100)
    assert (reader.rest(), reader.offset) == (None, 1000)
    os.close(descriptor)
