"""Simulated worlds, and the loop that runs the experiment statistics in them: behind `usher simulate` and its tests."""

from __future__ import annotations

import os

# Before numpy is imported: on these small matrices a second thread only doubles the CPU (measured: 4.8 to 10.9 s).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
