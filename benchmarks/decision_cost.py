"""CPU time of the experiment statistics (minute, epoch, look, replay, assignment) and size of the stored state.

python benchmarks/decision_cost.py
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from usher.experiments.stats.codec import from_item, to_item
from usher.experiments.stats.decisions import Minute, check_minute, close_epoch
from usher.experiments.stats.presets import PRESETS
from usher.experiments.stats.state import State, new_state
from usher.experiments.stats.strata import RoleCount, Stratum
from usher.serving.assignment import Split, place

PRESET = PRESETS["default"]


def hourly_strata(hours: int, seed: int = 1) -> list[Stratum]:
    """Strata of 2,000 users an hour, split evenly, with a conversion rate of 10 %."""
    rng = np.random.default_rng(seed)
    strata = []
    for version in range(1, hours + 1):
        users = rng.poisson(2000)
        exposed = [users - users // 2, users // 2]
        counts = [RoleCount(n, c, float(c), float(c)) for n, c in ((n, int(rng.binomial(n, 0.1))) for n in exposed)]
        strata.append(Stratum(version, 0.5, *counts))
    return strata


def state_after(strata: list[Stratum]) -> State:
    """The state after one epoch for each stratum; its decisions are ignored."""
    state = new_state(PRESET)
    for hour, stratum in enumerate(strata, 1):
        state = close_epoch(state, [stratum], float(hour), PRESET).state
    return state


def cpu_milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median CPU of one call."""
    times = []
    for _ in range(repeats):
        start = time.process_time_ns()
        work()
        times.append(time.process_time_ns() - start)
    return float(np.median(times)) / 1e6


def main() -> int:
    strata = hourly_strata(335)
    stored = json.dumps(to_item(state_after(strata)))
    before_look = json.dumps(to_item(state_after(strata[:286])))
    last, at_look = hourly_strata(336)[-1:], hourly_strata(288)[-2:]

    def epoch() -> object:
        state = from_item(json.loads(stored), PRESET)
        return to_item(close_epoch(state, last, 335.5, PRESET).state)

    def look() -> object:
        return to_item(close_epoch(from_item(json.loads(before_look), PRESET), at_look, 288.0, PRESET).state)

    def minute() -> object:
        counts = Minute(20_159, (17, 16), {"errors": (0, 0), "slow": (0, 0), "empty": (0, 0)})
        return to_item(check_minute(from_item(json.loads(stored), PRESET), counts, PRESET).state)

    def replay() -> object:
        return close_epoch(new_state(PRESET), strata, 335.0, PRESET)

    split = Split("salt", {"champion": 0.5, "challenger": 0.5}, 3600.0)
    users = [f"{number:032x}" for number in range(2000)]

    def assignments() -> object:
        return [place(split, user, None, 0.0) for user in users]

    figures = (
        ("a minute, from the stored state to the stored state", cpu_milliseconds(minute, 51), "ms CPU", 20.0),
        ("an epoch, from the stored state to the stored state", cpu_milliseconds(epoch, 51), "ms CPU", 20.0),
        ("the same at the look of 288 h", cpu_milliseconds(look, 21), "ms CPU", 100.0),
        ("from 14 days of hourly strata", cpu_milliseconds(replay, 5), "ms CPU", 250.0),
        ("the stored state after 14 days", len(stored) / 1024, "KB", 4.0),
        ("placing one user", cpu_milliseconds(assignments, 21) / len(users) * 1000, "µs CPU", 20.0),
    )
    for what, value, unit, bound in figures:
        print(f"{what:55s} {value:8.2f} {unit:7s} (≤ {bound:g})")
    return int(any(value > bound for _, value, _, bound in figures))


if __name__ == "__main__":
    sys.exit(main())
