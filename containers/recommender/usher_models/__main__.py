"""`python -m usher_models train|serve|prepare|evaluate`: the container's programs and their exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from usher_models.container import Paths
from usher_models.errors import RefusedError

PROGRAMS = ("train", "serve", "prepare", "evaluate")
#: How OpenBLAS, MKL, Apple's Accelerate and OpenMP are told their number of threads.
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")
#: SageMaker shows at most so many characters of the failure file.
FAILURE_MAX = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one program: 0 done; 1 failed, with the reason in output/failure and output/message; 2 not started."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0] not in PROGRAMS:
        sys.stderr.write(f"usage: python -m usher_models {'|'.join(PROGRAMS)}\n")
        return 2
    return run(arguments[0], Paths.read(os.environ))


def run(program: str, paths: Paths) -> int:
    """Run one program and write its failure, if any, into output/failure and output/message."""
    from usher_scorer.errors import ScorerError  # noqa: PLC0415 - imported only where it is used: start-up time

    try:
        return _start(program, paths)
    except (RefusedError, ScorerError) as error:
        return _fail(paths, f"{program}: {error}")
    except MemoryError:
        return _fail(paths, f"{program}: not enough memory; use a larger instance or fewer factors, samples or items")
    except Exception as error:  # noqa: BLE001 - every failure must reach the job's FailureReason
        traceback.print_exc()
        return _fail(paths, f"{program}: unexpected {type(error).__name__}: {error}")


def _start(program: str, paths: Paths) -> int:
    """Each program imports its own libraries: serve needs neither numba nor DuckDB."""
    signal.signal(signal.SIGTERM, _stop)  # first: the kernel drops it for a container's first process without a handler
    if program == "serve":
        _use_one_blas_thread()
        from usher_models.serve import serve  # noqa: PLC0415 - imported only where it is used: start-up time

        return serve(paths)
    if program == "train":
        from usher_models.train import train  # noqa: PLC0415 - imported only where it is used: start-up time

        train(paths)
    elif program == "prepare":
        from usher_models.prepare.program import prepare  # noqa: PLC0415 - imported only where it is used: start-up time

        prepare(paths)
    else:
        from usher_models.evaluation.program import evaluate  # noqa: PLC0415 - imported only where it is used: start-up time

        evaluate(paths)
    return 0


def _use_one_blas_thread() -> None:
    """One BLAS thread, unless the environment says otherwise: `serve` has a thread for each request already, and the
    spinning of more takes the cores from them. The libraries read this when numpy loads them.
    """
    for name in BLAS_VARIABLES:
        os.environ.setdefault(name, "1")


def _stop(*_: object) -> None:
    """SageMaker stops a job with SIGTERM: leave at once; files are written whole or not at all."""
    raise SystemExit(143)


def _fail(paths: Paths, message: str) -> int:
    line = " ".join(message.split())[:FAILURE_MAX]
    sys.stderr.write(f"{line}\n")
    for path in (paths.failure, paths.message):
        _write_failure(path, line)
    return 1


def _write_failure(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line, encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"{path} cannot be written: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
