"""What all tests share: numpy's BLAS on one thread, hypothesis without time limits, and Ctrl-C."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a second thread would only double the CPU time

# No test depends on the machine's speed: hypothesis limits the number of examples, never their time.
settings.register_profile("usher", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usher")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every program that they start and
# interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
