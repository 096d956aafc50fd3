"""What all tests share: numpy's BLAS on one thread, since on small matrices a second one only doubles the CPU spent."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
