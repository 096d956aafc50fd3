"""Tells whether a file still holds what was read from it: names and inode numbers are used again, content is not."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

#: Bytes that are compared: enough for a header and a few rows.
SPAN_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """SHA-256 of `length` bytes from `start` on."""

    start: int
    length: int
    sha256: str

    @classmethod
    def head(cls, descriptor: int, read_bytes: int) -> Fingerprint:
        """Of a file's first bytes, as far as they have been read."""
        return cls.take(descriptor, 0, min(read_bytes, SPAN_BYTES))

    @classmethod
    def tail(cls, descriptor: int, read_bytes: int) -> Fingerprint:
        """Of the last bytes before `read_bytes`."""
        length = min(read_bytes, SPAN_BYTES)
        return cls.take(descriptor, read_bytes - length, length)

    @classmethod
    def take(cls, descriptor: int, start: int, length: int) -> Fingerprint:
        """Of any bytes; where the file is shorter, of those there are."""
        return cls(start, length, hashlib.sha256(os.pread(descriptor, length, start)).hexdigest())

    def fits(self, descriptor: int) -> bool:
        """Whether the same bytes stand at the same place."""
        return self.take(descriptor, self.start, self.length).sha256 == self.sha256

    def as_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"start": self.start, "length": self.length, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Any) -> Fingerprint:
        """From the checkpoint; KeyError, TypeError or ValueError when it is none."""
        return cls(int(value["start"]), int(value["length"]), str(value["sha256"]))
