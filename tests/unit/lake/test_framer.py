"""The framer: whole lines, exact numbers and offsets, memory that no line can break."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
import textwrap
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from usher_lake.framer import Chunk, Limits, frames
from usher_lake.sources import Plain


class Broken:
    """A stream that ends with damage."""

    damage = "broke off"

    def __init__(self, data: bytes) -> None:
        self._body = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._body.read(size)


class Dribble:
    """A stream that gives a few bytes at a time, as sockets do."""

    damage = None

    def __init__(self, data: bytes) -> None:
        self._body = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._body.read(min(size, 3))


class Long:
    """One line of `size` bytes that is never in memory as a whole."""

    damage = None

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int, /) -> bytes:
        given = min(size, self._left)
        self._left -= given
        return b"x" * given


def lines(chunks: Iterator[Chunk]) -> list[tuple[int, int, bytes, int, str | None]]:
    """Every line with its number, offset, length and fault, whatever the chunks were."""
    found: list[tuple[int, int, bytes, int, str | None]] = []
    for chunk in chunks:
        if chunk.fault is not None:
            found.append((chunk.line, chunk.offset, chunk.data, chunk.length, chunk.fault))
            continue
        offset = chunk.offset
        assert chunk.data.endswith(b"\n")
        for place, line in enumerate(chunk.data[:-1].split(b"\n")):
            found.append((chunk.line + place, offset, line, len(line), None))
            offset += len(line) + 1
    return found


def test_a_line_of_a_gigabyte_needs_no_more_memory_than_a_chunk() -> None:
    """In a process of its own: tracemalloc counts every thread, and other tests leave some running."""
    code = inspect.getsource(Long) + textwrap.dedent("""
        import tracemalloc
        from usher_lake.framer import Limits, frames
        tracemalloc.start()
        (chunk,) = frames(Long(1 << 30), Limits(1 << 20, 1 << 20))
        print(chunk.length, len(chunk.data), chunk.line, tracemalloc.get_traced_memory()[1])
    """)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    length, shown, line, peak = map(int, printed.split())
    assert (length, shown, line) == (1 << 30, 4096, 1)
    assert peak < 8 << 20


def test_a_line_truncated_by_damage_is_a_fault() -> None:
    found = lines(frames(Broken(b"one\ntwo\nthr"), Limits(4, 100)))
    assert found[:2] == [(1, 0, b"one", 3, None), (2, 4, b"two", 3, None)]
    assert found[2] == (3, 8, b"thr", 3, "broke off")


def test_damage_between_two_lines_is_reported() -> None:
    assert lines(frames(Broken(b"one\n"), Limits()))[-1] == (2, 4, b"", 0, "broke off")


def test_an_empty_stream_has_no_chunks() -> None:
    assert list(frames(Plain(io.BytesIO(b"")), Limits())) == []


def test_oversize_lines_at_the_beginning_middle_and_end_are_separate_faults() -> None:
    data = b"a" * 11 + b"\nok\n" + b"b" * 10 + b"\n" + b"c" * 99
    for chunk_bytes in (1, 5, 12, 1000):
        assert lines(frames(Plain(io.BytesIO(data)), Limits(chunk_bytes, 10))) == [
            (1, 0, b"a" * 10, 11, "is longer than 10 bytes"),
            (2, 12, b"ok", 2, None),
            (3, 15, b"b" * 10, 10, None),
            (4, 26, b"c" * 10, 99, "is longer than 10 bytes"),
        ]


def test_chunks_do_not_depend_on_the_size_of_reads() -> None:
    data = b"".join(b"%d,%d\n" % (number, number**3) for number in range(500))
    assert list(frames(Dribble(data), Limits(64, 100))) == list(frames(Plain(io.BytesIO(data)), Limits(64, 100)))


@given(
    data=st.lists(st.sampled_from([b"\n", b"\r\n", b"x", b"long" * 9, b"\0", "ü".encode()])).map(b"".join),
    chunk_bytes=st.integers(1, 80),
    longest=st.integers(1, 40),
)
def test_every_byte_is_in_exactly_one_line(data: bytes, chunk_bytes: int, longest: int) -> None:
    found = lines(frames(Plain(io.BytesIO(data)), Limits(chunk_bytes, longest)))
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert [number for number, *_ in found] == list(range(1, len(expected) + 1))
    for (_, offset, kept, length, fault), line in zip(found, expected, strict=True):
        assert data[offset : offset + length] == line
        assert (kept, fault is None) == ((line, True) if len(line) <= longest else (line[:longest], False))
