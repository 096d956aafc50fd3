"""Feedback to the API: one event, or a file in batches; what could not be kept is sent again, and counts once."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli import api_client
from cli.errors import CommandError, one_line
from cli.formatting.console import remark
from cli.target import Target

#: What POST /feedback takes at once, in entries and (below its 262,144) in bytes.
BATCH_MAX = 100
BATCH_BYTES = 200_000
LINE_MAX_BYTES = 65_536
#: After a 503, or what a gateway says for a function that is slow or busy: so many tries, pauses up to so many seconds.
TRIES = 8
PAUSE_MAX_SECONDS = 20.0
_AGAIN = {429, 502, 503, 504}
#: `[3].value is missing` is said of a batch's entry; here the line is named.
_IN_LIST = re.compile(r"^\[\d+\][.:]? *")

Entry = Mapping[str, Any]
Sleep = Callable[[float], object]


@dataclass(slots=True)
class Summary:
    """What became of a file. refused: (line, reason). uncounted: reason → how many."""

    accepted: int = 0
    counted: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)

    def add(self, line: int, result: Mapping[str, Any]) -> None:
        """One entry's result."""
        if not result["accepted"]:
            self.refused.append((line, _IN_LIST.sub("", str(result["reason"]))))
            return
        self.accepted += 1
        if result["counted"]:
            self.counted += 1
        else:
            self.uncounted[str(result["reason"])] += 1

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        refused = [{"line": line, "reason": reason} for line, reason in self.refused]
        totals = {"accepted": self.accepted, "counted": self.counted, "refused": refused}
        return {**totals, "uncounted": dict(self.uncounted)}


def send(target: Target, entry: Entry, sleep: Sleep = time.sleep) -> Mapping[str, Any]:
    """Send one event; the API's result. CommandError when it is refused, or was never kept."""
    response = _persistent(target, entry, sleep)
    if response.status != 202:
        raise api_client.refused(response)
    return response.body


def send_file(target: Target, path: Path, sleep: Sleep = time.sleep) -> Summary:
    """Send a file's events, 100 at a time. An event without event_id gets one of its line: the same at every time."""
    summary = Summary()
    for batch in _batches(_entries(path, summary)):
        response = _persistent(target, [entry for _, entry in batch], sleep)
        results = response.body.get("results")
        if not isinstance(results, list) or len(results) != len(batch):
            after = f"; {summary.accepted} before it are kept, and sending the file again does not count them twice"
            raise CommandError(f"{path}: line {batch[0][0]}: {api_client.refused(response)}{after}")
        for (line, _), result in zip(batch, results, strict=True):
            summary.add(line, result)
    summary.refused.sort()
    return summary


def _persistent(target: Target, body: Entry | Sequence[Entry], sleep: Sleep) -> api_client.Response:
    """The answer, after as many tries as it takes and TRIES allows."""
    data = json.dumps(body).encode()
    for attempt in range(TRIES):
        response = api_client.exchange(target, "POST", "/feedback", data)
        if response.status not in _AGAIN or attempt == TRIES - 1:
            break
        pause = min(PAUSE_MAX_SECONDS, max(response.retry_seconds or 0.0, 0.2 * 2**attempt))
        remark(f"Not kept yet ({response.status}): again in about {pause:.0f} s")
        sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - only so that not all come at once
    return response


def _entries(path: Path, summary: Summary) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of a file; what is no JSON object is a refusal of its line."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_MAX_BYTES + 1):
            number += 1
            if len(line) > LINE_MAX_BYTES:
                summary.refused.append((number, f"has more than {LINE_MAX_BYTES} bytes"))
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE_MAX_BYTES)
            elif line.strip():
                entry = _read(line, number, summary)
                if entry is not None:
                    named = hashlib.sha256(b"%d:%s" % (number, line.strip())).hexdigest()[:32]
                    yield number, {"event_id": named, **entry}


def _read(line: bytes, number: int, summary: Summary) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        summary.refused.append((number, f"is no JSON ({one_line(str(error), 100)})"))
        return None
    if not isinstance(entry, dict):
        summary.refused.append((number, "is no JSON object"))
        return None
    return entry


def _batches(entries: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    batch: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for line, entry in entries:
        weight = len(json.dumps(entry)) + 2
        if batch and (len(batch) == BATCH_MAX or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((line, entry))
        size += weight
    if batch:
        yield batch
