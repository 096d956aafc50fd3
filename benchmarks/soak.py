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
from benchmarks.twin_processes import Process, by_kind, processes
from cli.target import Choice, Target, find
from demo.api_client import ApiClient
from twin import lifecycle

WORKERS = 8
PEOPLE = 600
#: Memory is looked at this often.
LOOK_SECONDS = 20.0
#: What a heap may still settle by in the second half of a process's life, when all its threads have their arenas.
GROWTH, GROWTH_MIB = 0.05, 5.0
#: People come in an order of their own, each as often as the others.
_STRIDE = 7919


@dataclass
class Log:
    """What came back. seconds: (when, how long, how late it was asked), since the start."""

    seconds: list[tuple[float, float, float]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Schedule:
    """Which requests are asked when, in seconds of the monotonic clock; workers share `numbers`."""

    numbers: Iterator[int]
    start: float
    end: float
    rate: float


def ask(target: Target, log: Log, schedule: Schedule) -> None:
    """One worker: takes the next request, waits for its time, asks."""
    client = ApiClient.of(target)
    for number in schedule.numbers:
        due = schedule.start + number / schedule.rate
        if due >= schedule.end:
            return
        time.sleep(max(0.0, due - time.monotonic()))
        late, at = time.monotonic() - due, due - schedule.start
        reply = client.get(f"/recommendations?user_id={number * _STRIDE % PEOPLE + 1}&limit=10")
        if not reply.status:
            log.faults.append(f"{at:.1f} s: no response")
            continue
        log.seconds.append((at, reply.seconds, late))
        log.kinds[f"{reply.status} {reply.body.get('level', '')} {reply.body.get('variant', '')}"] += 1
        if reply.status >= 500:
            log.faults.append(f"{at:.1f} s: {reply.status} {reply.body}")


def kill_servers(twin: lifecycle.RunningTwin) -> list[int]:
    """Kill both variants' processes as the kernel would; the twin starts them again."""
    pids = [process.pid for process in processes(twin) if process.kind == "serve"]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def soak(target: Target, twin: lifecycle.RunningTwin, minutes: float, rate: float) -> tuple[Log, Memory]:
    """Ask for `minutes` while the servers are killed twice; what came back, and the memory meanwhile."""
    start = time.monotonic() + 1.0
    end = start + minutes * 60
    log, memory, numbers = Log(), Memory(twin), iter(_Shared())
    workers = [
        threading.Thread(target=ask, args=(target, log, Schedule(numbers, start, end, rate))) for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    kills = [start + minutes * 60 * share for share in (1 / 3, 2 / 3)]
    for look in itertools.count(1):
        moment = min(start + look * LOOK_SECONDS, end)
        while kills and kills[0] < moment:
            time.sleep(max(0.0, kills[0] - time.monotonic()))
            print(f"{kills.pop(0) - start:5.0f} s  killed {kill_servers(twin)}", flush=True)
        time.sleep(max(0.0, moment - time.monotonic()))
        print(f"{moment - start:5.0f} s  {len(log.seconds):6} answers, MiB {memory.look()}", flush=True)
        if moment >= end:
            break
    for worker in workers:
        worker.join()
    return log, memory


@dataclass
class Memory:
    """Resident MiB of each process, look by look."""

    twin: lifecycle.RunningTwin
    seen: dict[Process, list[float]] = field(default_factory=dict)

    def look(self) -> str:
        """Look at all processes; what there is now, by kind, the largest first."""
        now = [(process, process.resident_mib()) for process in processes(self.twin)]
        for process, mib in now:
            self.seen.setdefault(process, []).append(mib)
        told = by_kind(now)
        return "; ".join(f"{kind} {' '.join(f'{mib:.0f}' for mib in each)}" for kind, each in told.items())

    def growth(self) -> Iterator[str]:
        """Which process still grew in the second half of its life. Not the twin: it keeps logs, as CloudWatch does."""
        for process, mib in self.seen.items():
            settled = mib[len(mib) // 2 :]
            if process.kind != "twin" and settled and settled[-1] > settled[0] * (1 + GROWTH) + GROWTH_MIB:
                yield f"{process.kind} {process.pid} grew from {settled[0]:.0f} to {settled[-1]:.0f} MiB"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    arguments = parser.parse_args()
    target, twin = find(Choice()), lifecycle.running(Path.cwd())
    assert twin is not None, "no twin runs for this folder"
    with experiment(target) as opened:
        log, memory = soak(target, twin, arguments.minutes, arguments.rate)
        exposures = opened.exposures()
    seconds = [took * 1000 for _, took, _ in log.seconds]
    cuts = statistics.quantiles(seconds, n=1000)
    print(f"p50 {cuts[499]:.1f} ms, p99 {cuts[989]:.1f} ms, p99.9 {cuts[998]:.1f} ms, longest {max(seconds):.0f} ms")
    print(f"asked at most {max(late for _, _, late in log.seconds) * 1000:.0f} ms late; {len(exposures)} enrolled")
    for kind, count in log.kinds.most_common():
        print(f"{count:7} {kind}")
    faults = [*log.faults, *memory.growth()]
    print("\n".join(faults[:20]) or "no 5xx, no request without an answer, memory flat")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
