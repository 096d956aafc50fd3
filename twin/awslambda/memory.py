"""How much memory a process has used at most, for the REPORT line."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_mb(pid: int) -> int:
    """The highest resident memory so far in MB, rounded up; without /proc the present one; 0 for a gone process."""
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
        kilobytes = int(found[1]) if found else 0
    except OSError:
        kilobytes = 0 if Path("/proc/self/status").exists() else _present(pid)
    return -(-kilobytes // 1024)


def _present(pid: int) -> int:
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(listed.stdout.strip() or 0)
