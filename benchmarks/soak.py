"""The read path for ten minutes at 50 requests a second, while the endpoint's processes are killed twice.

    python -m benchmarks.soak [--minutes 10] [--rate 50]

Asks the running twin of this folder, with an experiment open, as people come: at their own times, whether the ones
before have been answered or not. Any 5xx, any request without an answer, or memory that grows is a failure.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.open_experiment import experiment
from benchmarks.signed_http import Caller
from cli.target import Choice, Target, find
from twin import lifecycle

WORKERS = 8
PEOPLE = 600
#: What an interpreter's heap may still settle by, and the least that is called growth.
GROWTH, GROWTH_MIB = 0.10, 10.0
#: Memory is compared from here on, when every environment has served.
SETTLED_SECONDS = 30.0
#: People come in an order of their own, each as often as the others.
_STRIDE = 7919


@dataclass
class Log:
    """What came back. seconds: (when, how long, how late it was asked), since the start."""

    seconds: list[tuple[float, float, float]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Process:
    """A process of the twin: a variant's server or an environment of recommend_items."""

    pid: int
    kind: str

    def resident_mib(self) -> float:
        """0 when it has ended."""
        try:
            text = Path(f"/proc/{self.pid}/statm").read_text()
        except OSError:
            return 0.0
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def processes(twin: lifecycle.RunningTwin) -> list[Process]:
    """The twin itself, its servers of variants and its environments of recommend_items."""
    found = [Process(twin.pid, "twin")]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            told = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == twin.pid and b"RecommendItems" in told:
            found.append(Process(int(folder.name), "function"))
        elif parent == twin.pid and b"/sagemaker/endpoints/" in told:
            found.append(Process(int(folder.name), "serve"))
    return found


def resident(found: list[Process]) -> dict[str, list[float]]:
    """MiB by kind, the largest first."""
    kinds = dict.fromkeys(process.kind for process in found)
    return {kind: sorted((p.resident_mib() for p in found if p.kind == kind), reverse=True) for kind in kinds}


@dataclass(frozen=True)
class Schedule:
    """Which requests are asked when, in seconds of the monotonic clock; workers share `numbers`."""

    numbers: Iterator[int]
    start: float
    end: float
    rate: float


def ask(target: Target, log: Log, schedule: Schedule) -> None:
    """One worker: takes the next request, waits for its time, asks."""
    caller = Caller.of(target)
    for number in schedule.numbers:
        due = schedule.start + number / schedule.rate
        if due >= schedule.end:
            return
        time.sleep(max(0.0, due - time.monotonic()))
        late, at = time.monotonic() - due, due - schedule.start
        try:
            reply = caller.get(f"/recommendations?user_id={number * _STRIDE % PEOPLE + 1}&limit=10")
        except Exception as error:  # noqa: BLE001 - counted and shown
            log.faults.append(f"{at:.1f} s: {type(error).__name__}: {error}")
            continue
        log.seconds.append((at, reply.seconds, late))
        log.kinds[f"{reply.status} {reply.body.get('level', '')} {reply.body.get('slot', '')}"] += 1
        if reply.status >= 500:
            log.faults.append(f"{at:.1f} s: {reply.status} {reply.body}")


def kill_servers(twin: lifecycle.RunningTwin) -> list[int]:
    """Kill both variants' processes as the kernel would; the twin starts them again."""
    pids = [process.pid for process in processes(twin) if process.kind == "serve"]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def soak(target: Target, twin: lifecycle.RunningTwin, minutes: float, rate: float) -> tuple[Log, list[str]]:
    """Ask for `minutes`; what came back, and what of the memory is no good."""
    start = time.monotonic() + 1.0
    end = start + minutes * 60
    log, numbers = Log(), _Shared()
    workers = [
        threading.Thread(target=ask, args=(target, log, Schedule(iter(numbers), start, end, rate)))
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    kills = [start + minutes * 60 * share for share in (1 / 3, 2 / 3)]
    first: dict[str, list[float]] = {}
    for look in itertools.count():
        moment = start + (SETTLED_SECONDS if not look else SETTLED_SECONDS + 60.0 * look)
        while kills and kills[0] < min(moment, end):
            time.sleep(max(0.0, kills[0] - time.monotonic()))
            print(f"{kills.pop(0) - start:5.0f} s  killed {kill_servers(twin)}")
        if moment > end:
            break
        time.sleep(max(0.0, moment - time.monotonic()))
        told = resident(processes(twin))
        first = first or told
        print(f"{moment - start:5.0f} s  {len(log.seconds):6} answers, MiB {_said(told)}", flush=True)
    for worker in workers:
        worker.join()
    last = resident(processes(twin))
    print(f"  end    {len(log.seconds):6} answers, MiB {_said(last)}")
    return log, list(growth(first, last))


def growth(first: dict[str, list[float]], last: dict[str, list[float]]) -> Iterator[str]:
    """What grew past what a heap settles by. Not the twin itself: it keeps every log line, as CloudWatch does."""
    for kind, before in first.items():
        if kind == "twin":
            continue
        after = last.get(kind, [0.0])
        if after[0] > before[0] * (1 + GROWTH) + GROWTH_MIB:
            yield f"{kind} grew from {before[0]:.0f} to {after[0]:.0f} MiB"


class _Shared:
    """Numbers from 0 on, each given to one worker."""

    def __init__(self) -> None:
        self._lock, self._next = threading.Lock(), 0

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                number = self._next
                self._next += 1
            yield number


def _said(told: dict[str, list[float]]) -> str:
    return "; ".join(f"{kind} " + " ".join(f"{value:.0f}" for value in values) for kind, values in told.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    arguments = parser.parse_args()
    target, twin = find(Choice()), lifecycle.running(Path.cwd())
    assert twin is not None, "no twin runs for this folder"
    with experiment(target) as opened:
        log, faults = soak(target, twin, arguments.minutes, arguments.rate)
        exposures = opened.exposures()
    seconds = [took * 1000 for _, took, _ in log.seconds]
    cuts = statistics.quantiles(seconds, n=1000)
    print(f"p50 {cuts[499]:.1f} ms, p99 {cuts[989]:.1f} ms, p99.9 {cuts[998]:.1f} ms, longest {max(seconds):.0f} ms")
    print(f"asked at most {max(late for _, _, late in log.seconds) * 1000:.0f} ms late; {len(exposures)} enrolled")
    for kind, count in log.kinds.most_common():
        print(f"{count:7} {kind}")
    faults = [*log.faults, *faults]
    print("\n".join(faults[:20]) or "no 5xx, no request without an answer, memory flat")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
