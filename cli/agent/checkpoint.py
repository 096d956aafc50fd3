"""An agent's checkpoint on disk: file positions, written atomically and locked for one agent."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.errors import CommandError

#: The number of compared bytes: a header and a few rows.
SPAN_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """SHA-256 of `length` bytes from `start` on."""

    start: int
    length: int
    sha256: str

    @classmethod
    def head(cls, descriptor: int, read_bytes: int) -> Fingerprint:
        """The fingerprint of a file's first bytes, as far as they have been read."""
        return cls.take(descriptor, 0, min(read_bytes, SPAN_BYTES))

    @classmethod
    def tail(cls, descriptor: int, read_bytes: int) -> Fingerprint:
        """The fingerprint of the last bytes before `read_bytes`."""
        length = min(read_bytes, SPAN_BYTES)
        return cls.take(descriptor, read_bytes - length, length)

    @classmethod
    def take(cls, descriptor: int, start: int, length: int) -> Fingerprint:
        """The fingerprint of `length` bytes from `start`, or fewer when the file is shorter."""
        return cls(start, length, hashlib.sha256(os.pread(descriptor, length, start)).hexdigest())

    def fits(self, descriptor: int) -> bool:
        """Whether the file has the same bytes at the same place."""
        return self.take(descriptor, self.start, self.length).sha256 == self.sha256

    def as_json(self) -> dict[str, Any]:
        """The JSON value for the checkpoint."""
        return {"start": self.start, "length": self.length, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Any) -> Fingerprint:
        """Read the checkpoint's JSON value; KeyError, TypeError or ValueError when it is malformed."""
        return cls(int(value["start"]), int(value["length"]), str(value["sha256"]))


SCHEMA = 1
#: The number of remembered files, the most recently advanced.
FILES_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Position:
    """How much of one file was delivered.

    path:   its last known path.
    offset: bytes from the start; all before are acknowledged or set aside.
    ended:  bytes after `offset` that were sent as a last line without a line end; 0: none.
    header: the CSV header of its rows, "" for JSON lines.
    """

    path: str
    device: int
    inode: int
    offset: int
    head: Fingerprint
    tail: Fingerprint
    ended: int = 0
    header: str = ""

    def as_json(self) -> dict[str, Any]:
        """The JSON value for the checkpoint."""
        plain = {name: getattr(self, name) for name in ("path", "device", "inode", "offset", "ended", "header")}
        return plain | {"head": self.head.as_json(), "tail": self.tail.as_json()}

    @classmethod
    def from_json(cls, value: Any) -> Position:
        """Read the checkpoint's JSON value; KeyError, TypeError or ValueError when it is malformed."""
        return cls(
            str(value["path"]),
            int(value["device"]),
            int(value["inode"]),
            int(value["offset"]),
            Fingerprint.from_json(value["head"]),
            Fingerprint.from_json(value["tail"]),
            int(value["ended"]),
            str(value["header"]),
        )

    def moved(self, path: str) -> Position:
        """The same position under another path."""
        return replace(self, path=path)


@dataclass(frozen=True, slots=True)
class Stream:
    """The stream of a checkpoint. made: its creation time, "" when unknown."""

    name: str
    made: str = ""

    def is_another(self, other: Stream) -> bool:
        """Whether the two are different streams, or the stream was created again."""
        return self.name != other.name or bool(self.made and other.made and self.made != other.made)


@dataclass(slots=True)
class Checkpoint:
    """The positions of all files of one agent, by device and inode."""

    path: Path
    stream: Stream
    positions: dict[tuple[int, int], Position] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, stream: Stream) -> Checkpoint:
        """Read the checkpoint; empty when the file does not exist.

        Raises CommandError when the file is not a checkpoint, or belongs to another stream.
        """
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return cls(path, stream)
        except ValueError as error:
            raise CommandError(f"{path}: not a checkpoint: name another file (--checkpoint), or delete it") from error
        try:
            if found["schema"] != SCHEMA:
                raise ValueError(found["schema"])
            known = Stream(str(found["stream"]["name"]), str(found["stream"]["made"]))
            positions = [Position.from_json(item) for item in found["files"]]
        except (KeyError, TypeError, ValueError) as error:
            raise CommandError(
                f"{path}: not a checkpoint of this version: name another file (--checkpoint), or delete it"
            ) from error
        if known.is_another(stream):
            what = (
                f"of stream {known.name}" if known.name != stream.name else f"of an earlier stream named {known.name}"
            )
            raise CommandError(f"{path}: the checkpoint is {what}: name another file (--checkpoint), or delete it")
        return cls(path, stream, {(position.device, position.inode): position for position in positions})

    def save(self, moved: Mapping[tuple[int, int], Position]) -> None:
        """Store new positions atomically: a crash leaves the old checkpoint or the new one.

        Raises OSError when it cannot be written (a full disk).
        """
        for key in moved:
            self.positions.pop(key, None)
        self.positions |= moved
        for key in list(self.positions)[:-FILES_KEPT]:
            del self.positions[key]
        files = [position.as_json() for position in self.positions.values()]
        content = {"schema": SCHEMA, "stream": {"name": self.stream.name, "made": self.stream.made}, "files": files}
        new = self.path.with_name(f"{self.path.name}.new")
        with new.open("w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        _sync_folder(self.path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a checkpoint for one agent; CommandError when another agent has it. The lock ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CommandError(
                f"{path}: another agent (pid {file.read(20).strip()}) uses it: stop that one first"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
