"""A file of ratings with planted bad rows, written at run time: what a producer's bug looks like."""

from __future__ import annotations

from pathlib import Path

GOOD_ROWS = 200

#: What is planted, each one line without its end: the reason in words → the bytes.
BAD: dict[str, bytes] = {
    "a rating above the scale": b"1,1,9.5,1500000000",
    "a rating that is no number": b"1,1,NaN,1500000000",
    "no user": b",1,4.0,1500000000",
    "a user id of 200 bytes": b"u" * 200 + b",1,4.0,1500000000",
    "a time in words": b"1,1,4.0,yesterday",
    "a time in 1677": b"1,1,4.0,1677-09-21T00:12:43Z",
    "a time in 2262": b"1,1,4.0,2262-04-11T23:47:16Z",
    "a column too few": b"1,1,4.0",
    "a column too many": b"1,1,4.0,1500000000,7",
    "an unclosed quote": b'1,"1,4.0,1500000000',
    "a NUL byte": b"1,1\x00,4.0,1500000000",
    "bytes that are no UTF-8": b"\xff\xfe1,1,4.0,1500000000",
    "the header once more": b"userId,movieId,rating,timestamp",
    "a line of 1 MB": b"x" * 1_000_000,
}


def write(path: Path) -> tuple[int, int]:
    """Write the file, the bad rows strewn over the good ones; returns (good rows, bad rows)."""
    lines = [
        b"planted-%d,%d,%d.%d,%d" % (n % 7, n, 1 + n % 4, 5 * (n % 2), 1_500_000_000 + n) for n in range(GOOD_ROWS)
    ]
    step = GOOD_ROWS // len(BAD)
    for number, bad in enumerate(BAD.values()):
        lines.insert(number * (step + 1) + step // 2, bad)
    path.write_bytes(b"\n".join([b"userId,movieId,rating,timestamp", *lines]) + b"\n")
    return GOOD_ROWS, len(BAD)
