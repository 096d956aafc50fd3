"""The read path for ten minutes at 50 requests a second, while the endpoint's processes are killed twice.

    python -m benchmarks.soak [--minutes 10] [--rate 50]

Sends requests to the running twin of this folder while an experiment is open, at fixed times, whether or not earlier
ones have been answered. A 5xx, a request without a response, or growing memory is a failure.
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

from benchmarks.running_twin import Process, by_kind, experiment, processes
from cli.target import Choice, Target, find
from demo.api_client import ApiClient
from twin import lifecycle

WORKERS = 8
USERS = 600
#: Time between two measurements of memory.
LOOK_SECONDS = 20.0
#: Growth of a heap that is allowed in the second half of a process's life, when all its threads have their arenas.
GROWTH, GROWTH_MIB = 0.05, 5.0
#: Users come in a fixed order, each as often as the others.
_STRIDE = 7919


@dataclass
class Log:
    """Responses. seconds: (time since the start, duration, delay of the request)."""

    seconds: list[tuple[float, float, float]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Schedule:
    """When requests are sent, in seconds of the monotonic clock; workers share `numbers`."""

    numbers: Iterator[int]
    start: float
    end: float
    rate: float


def ask(target: Target, log: Log, schedule: Schedule) -> None:
    """One worker: takes the next number, waits until it is due, sends the request."""
    client = ApiClient.of(target)
    for number in schedule.numbers:
        due = schedule.start + number / schedule.rate
        if due >= schedule.end:
            return
        time.sleep(max(0.0, due - time.monotonic()))
        late, at = time.monotonic() - due, due - schedule.start
        reply = client.get(f"/recommendations?user_id={number * _STRIDE % USERS + 1}&limit=10")
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
    """Send requests for `minutes` while the servers are killed twice; returns the responses and the memory."""
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
    """Resident MiB of each process, by measurement."""

    twin: lifecycle.RunningTwin
    seen: dict[Process, list[float]] = field(default_factory=dict)

    def look(self) -> str:
        """Measure all processes; returns the values by kind, the largest first."""
        now = [(process, process.resident_mib()) for process in processes(self.twin)]
        for process, mib in now:
            self.seen.setdefault(process, []).append(mib)
        kinds = by_kind(now)
        return "; ".join(f"{kind} {' '.join(f'{mib:.0f}' for mib in each)}" for kind, each in kinds.items())

    def growth(self) -> Iterator[str]:
        """Processes that grew in the second half of their life; without the twin, which keeps logs."""
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
    print(f"sent at most {max(late for _, _, late in log.seconds) * 1000:.0f} ms late; {len(exposures)} enrolled")
    for kind, count in log.kinds.most_common():
        print(f"{count:7} {kind}")
    faults = [*log.faults, *memory.growth()]
    print("\n".join(faults[:20]) or "no 5xx, no request without a response, memory flat")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
