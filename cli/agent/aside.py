"""Keeps what cannot be sent (a record over the limit) in a file beside the checkpoint, with the reason."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Aside:
    """A file of JSON lines {file, offset, bytes, reason, raw_base64}; `count` is of this process.

    An agent that is killed between writing here and its next checkpoint writes the same record once more.
    """

    path: Path
    count: int = 0

    def keep(self, file: str, offset: int, size_bytes: int, reason: str, raw: bytes) -> None:
        """Write one record and wait until the disk has it: the checkpoint may pass it afterwards.

        raw: the line, or its head where it is too long even to be kept; the file it came from has all of it.
        """
        record = {"file": file, "offset": offset, "bytes": size_bytes, "reason": reason}
        with self.path.open("a") as stream:
            stream.write(json.dumps(record | {"raw_base64": base64.b64encode(raw).decode()}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.count += 1
