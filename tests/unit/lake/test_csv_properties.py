"""CSV against a slow and obvious reader: whatever the bytes, the same rows are good and the same lines are bad."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.schema.ids import check_id

HEADER = b"userId,movieId,rating,timestamp"
MAX_LINE = 300
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - timezone is needed below


def reference(data: bytes) -> tuple[dict[int, tuple[str, str, float, int]], dict[int, bytes]]:
    """Good rows and bad lines by number, one line at a time."""
    good, bad = {}, {}
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, line in enumerate(lines[1:], start=2):
        if line in (b"", b"\r"):
            continue
        row = one_row(line)
        if row is None:
            bad[number] = line[:MAX_LINE] if len(line) > MAX_LINE else line
        else:
            good[number] = row
    return good, bad


def one_row(line: bytes) -> tuple[str, str, float, int] | None:
    try:
        text = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return None
    if len(line) > MAX_LINE or "\0" in text or "\r" in text or text.startswith("\ufeff"):
        return None
    fields = split(text)
    if fields is None or len(fields) != 4:
        return None
    user, item, rating, at = fields
    value, us = number_of(rating), time_of(at)
    if check_id(user) or check_id(item) or value is None or us is None:
        return None
    return user, item, value, us


def split(text: str) -> list[str] | None:
    """RFC 4180 on one line; None where a quote is unclosed or misplaced."""
    fields, place = [], 0
    while True:
        if text[place : place + 1] == '"':
            end = place + 1
            value = ""
            while True:
                quote = text.find('"', end)
                if quote < 0:
                    return None
                value += text[end:quote]
                end = quote + 1
                if text[end : end + 1] != '"':
                    break
                value += '"'
                end += 1
            if text[end : end + 1] not in ("", ","):
                return None
        else:
            end = text.find(",", place)
            end = len(text) if end < 0 else end
            value = text[place:end]
            if '"' in value:
                return None
        fields.append(value)
        if end == len(text):
            return fields
        place = end + 1


def number_of(text: str) -> float | None:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        return None
    return float(text) if 0.5 <= float(text) <= 5 else None


def time_of(text: str) -> int | None:
    if re.fullmatch(r"-?[0-9]{1,19}", text):
        us = int(text) * (1_000_000 if abs(int(text)) < 10**11 else 1000)
    elif re.fullmatch(r"-?[0-9]{1,14}\.[0-9]{1,9}", text):
        us = round(float(text) * (1e6 if abs(float(text)) < 1e11 else 1e3))
    elif text.isascii() and ISO.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=EPOCH.tzinfo)
        us = (zoned - EPOCH) // timedelta(microseconds=1)
    else:
        return None
    return us if 0 <= us < 4_102_444_800_000_000 else None


def compare(read: Callable[..., Any], data: bytes, chunk_bytes: int) -> None:
    outcome = read(data, chunk_bytes=chunk_bytes, max_line_bytes=MAX_LINE)
    good, bad = reference(data)
    found = {
        row["line"]: (
            row["user_id"],
            row["item_id"],
            row["rating"],
            (row["rated_at"] - EPOCH) // timedelta(microseconds=1),
        )
        for row in outcome.rows
    }
    assert found == good
    assert {each.line: each.raw for each in outcome.bad} == bad
    assert outcome.lines == sorted(outcome.lines)
    assert [each.line for each in outcome.bad] == sorted(bad)
    for each in outcome.bad:
        assert data[each.offset :].startswith(each.raw)


VALUES = [
    *(
        "1",
        "2",
        "u",
        "ü",
        "日本",
        "x" * 128,
        "x" * 129,
        '"a,b"',
        '"a""b"',
        '"',
        'a"b',
        "",
        " ",
        "a b",
        "\t",
        "a\x7f",
        "\x85",
    ),
    *("3.5", "0.5", "5", "5.0001", "0.49", "-1", "+4", "nan", "inf", "1e0", "1e999", ".5", "5.", "four", "0x4", "3,5"),
    *(
        "964982703",
        "964982703123",
        "964982703.5",
        "0",
        "-1",
        "9999999999999999999",
        "0x10",
        "9" * 25,
        "-9223372036854775808",
    ),
    *("2000-07-30", "2000-07-30T18:45:03Z", "2000-07-30 18:45", "2000-02-30", "1677-09-21", "2262-04-12", "9999-12-31"),
    *(
        "2000-07-30T20:45:03.123456+02:00",
        "2000-07-30T18:45:03.1234567",
        "2000-07-30T24:00",
        "20000730",
        "2000-07-30T18:45:61",
    ),
]
SCARY = [
    b'"',
    b"\0",
    b"\r",
    b"\n",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b",",
    b"\n\n",
    b"\r\n",
    HEADER,
    b"z" * 400,
    b"\xe2\x80\xa8",
]


def row_of(pick: Callable[[list[str]], str]) -> bytes:
    good = ["1", "2", "3.5", "964982703"]
    return ",".join(pick([*VALUES, *[value] * 40]) for value in good).encode()


def random_file(random_source: random.Random) -> bytes:
    lines = []
    for _ in range(random_source.randrange(60)):
        line = row_of(random_source.choice)
        if random_source.random() < 0.3:
            at = random_source.randrange(len(line) + 1)
            line = line[:at] + random_source.choice(SCARY) + line[at + random_source.randrange(3) :]
        lines.append(line)
    end = random_source.choice([b"\n", b"\n", b"\r\n"])
    return HEADER + b"\n" + end.join(lines) + random_source.choice([b"", b"\n", b"\r\n", b"\n\n"])


LINES = st.lists(
    st.one_of(
        st.builds(lambda values: ",".join(values).encode(), st.lists(st.sampled_from(VALUES), min_size=4, max_size=4)),
        st.just(b"1,2,3.5,964982703"),
        st.binary(max_size=60),
        st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(st.sampled_from([*SCARY, b"1,2,3.5,964982703"]), max_size=6).map(b"".join),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(lines=LINES, end=st.sampled_from([b"\n", b"\r\n"]), chunk_bytes=st.sampled_from([64, 100, 1000, 1 << 20]))
def test_any_bytes_have_the_result_of_the_reference_reader(
    read: Callable[..., Any], lines: list[bytes], end: bytes, chunk_bytes: int
) -> None:
    compare(read, HEADER + b"\n" + end.join(lines), chunk_bytes)


@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 32))
def test_the_chunk_size_does_not_change_the_result(read: Callable[..., Any], seed: int) -> None:
    data = random_file(random.Random(seed))
    first, *others = (read(data, chunk_bytes=size, max_line_bytes=MAX_LINE) for size in (1 << 22, 64, 333, 4096))
    for other in others:
        assert (other.rows, other.bad) == (first.rows, first.bad)


@pytest.mark.slow
def test_seven_thousand_seeded_files_have_the_result_of_the_reference_reader(read: Callable[..., Any]) -> None:
    for seed in range(7000):
        source = random.Random(seed)
        data = random_file(source)
        try:
            compare(read, data, source.choice([64, 256, 1 << 20]))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {data!r}") from error
