"""The scorer's import, top k, fold-in and a whole request, one user at a time, in milliseconds of CPU.

usage: python -m benchmarks.scoring BUNDLE_FOLDER      (as evaluate wrote it)
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from usher_scorer.bundle import load
from usher_scorer.invocations import invoke
from usher_scorer.profiles import Profiles
from usher_scorer.ranking import relevance, top_k

PROFILE = 50


def measure(what: str, run: Callable[[], object], times: int = 200) -> None:
    """Median and best of `times` runs."""
    taken = []
    for _ in range(times):
        start = time.process_time_ns()
        run()
        taken.append((time.process_time_ns() - start) / 1e6)
    print(f"{what:44s} median {np.median(taken):.3f} ms  best {min(taken):.3f} ms")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m benchmarks.scoring BUNDLE_FOLDER")
    code = "import time; t = time.process_time(); import usher_scorer.invocations; print(time.process_time() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)]
    print(f"import: {min(float(run.stdout) for run in runs):.2f} s CPU, the best of {len(runs)} processes")
    start = time.process_time()
    bundle = load(Path(sys.argv[1]))
    print(f"load, every digest checked: {time.process_time() - start:.2f} s CPU; {len(bundle.catalogue)} items")
    random = np.random.default_rng(0)
    items = random.choice(
        bundle.rankers[0].covered if bundle.rankers else len(bundle.catalogue), PROFILE, replace=False
    )
    values, times = random.integers(1, 11, PROFILE) / 2, np.arange(PROFILE) * 1_000_000
    profile = Profiles.of_one(items.tolist(), values.tolist(), times.tolist())
    scores = relevance(bundle, profile)[0][0]
    measure("top 10", lambda: top_k(scores, 10))
    if bundle.rankers:
        ranker = bundle.rankers[0]
        measure(f"ranker row of {PROFILE} ratings", lambda: ranker.scores(profile))
    if bundle.rater is not None:
        rater = bundle.rater
        measure(f"fm row of {PROFILE} ratings", lambda: rater.fold_in(profile))
    measure("scores of the whole catalogue", lambda: relevance(bundle, profile))
    rows = [[bundle.catalogue.ids[i], float(v), int(n)] for n, (i, v) in enumerate(zip(items, values, strict=True))]
    body = json.dumps({"op": "recommend", "profile": rows, "k": 10}).encode()
    measure("a request with a session, JSON to answer", lambda: json.dumps(invoke(bundle, body)))
    explained = json.dumps({"op": "recommend", "profile": rows, "k": 10, "explain": True}).encode()
    measure("the same, explained", lambda: json.dumps(invoke(bundle, explained)))
    known = json.dumps({"op": "recommend", "user_id": bundle.users[0], "k": 10}).encode()
    measure("a request of a known user", lambda: json.dumps(invoke(bundle, known)))


if __name__ == "__main__":
    main()
