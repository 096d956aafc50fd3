"""The processes of a running twin that answer recommendations, with their memory and CPU time, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from twin.lifecycle import RunningTwin


@dataclass(frozen=True)
class Process:
    """kind: twin (moto, the API, the runtime API), serve (a variant) or function (an environment of the function)."""

    pid: int
    kind: str

    def resident_mib(self) -> float:
        """0 when it has ended."""
        try:
            text = Path(f"/proc/{self.pid}/statm").read_text()
        except OSError:
            return 0.0
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_seconds(self) -> float:
        """User and system time so far; 0 when it has ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes(twin: RunningTwin, function: str = "recommend_items") -> list[Process]:
    """The twin itself, its servers of variants and its environments of a function."""
    named = f"POWERTOOLS_SERVICE_NAME={function}\0".encode()
    found = [Process(twin.pid, "twin")]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            told = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == twin.pid and named in told:
            found.append(Process(int(folder.name), "function"))
        elif parent == twin.pid and b"\0serve\0" in told:
            found.append(Process(int(folder.name), "serve"))
    return found


def by_kind(values: Iterable[tuple[Process, float]]) -> dict[str, list[float]]:
    """The values of each kind, the largest first."""
    found: dict[str, list[float]] = {}
    for process, value in values:
        found.setdefault(process.kind, []).append(value)
    return {kind: sorted(each, reverse=True) for kind, each in found.items()}
