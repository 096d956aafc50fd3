"""The kernels that the image's build compiled are found on an instance with another CPU."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

#: Compiles one kernel, without running it, on a host that says it is the CPU of the first argument; prints the cache's
#: hits and misses.
COMPILE = """
import sys
import llvmlite.binding as llvm
llvm.get_host_cpu_name = lambda: sys.argv[1]
llvm.get_host_cpu_features = lambda: llvm.FeatureMap({"avx2": True, "avx512f": sys.argv[1] != "haswell"})
import numba
from usher_models.models.fm_kernel import _cholesky
_cholesky.compile((numba.float32[:, ::1], numba.float32[:, ::1]))
print(sum(_cholesky.stats.cache_hits.values()), sum(_cholesky.stats.cache_misses.values()))
"""


def compile_on(cpu: str, folder: Path, settings: dict[str, str]) -> tuple[int, int]:
    """Hits and misses."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {**settings, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, cpu], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    hits, misses = map(int, done.stdout.split())
    return hits, misses


def image_settings() -> dict[str, str]:
    text = (PROJECT / "containers/recommender/Dockerfile").read_text()
    return dict(re.findall(r"\b(NUMBA_CPU_\w+)=(\S+)", text))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the image is for x86_64")
@pytest.mark.parametrize(("fixed", "found"), [(True, (1, 0)), (False, (0, 1))])
def test_a_kernel_is_found_on_another_cpu_because_the_image_fixes_the_target(
    tmp_path: Path, fixed: bool, found: tuple[int, int]
) -> None:
    settings = image_settings() if fixed else {}
    assert compile_on("haswell", tmp_path, settings) == (0, 1)
    assert compile_on("skylake-avx512", tmp_path, settings) == found
    assert compile_on("haswell", tmp_path, settings) == (1, 0)
