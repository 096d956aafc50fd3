"""Every patch of moto fits the pinned version and is held by a contract test that turns red without it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from twin import moto_patches
from twin.moto_patches import PATCHES, Patch

HERE = Path(__file__).parent


def _file(patch: Patch) -> Path:
    found = list(HERE.rglob(patch.contract.partition("::")[0].rpartition("/")[2]))
    assert len(found) == 1, f"{patch.contract}: no such file in tests/contract"
    return found[0]


def test_no_symbol_is_patched_twice() -> None:
    assert [symbol for symbol, count in Counter(patch.symbol for patch in PATCHES).items() if count > 1] == []


def test_all_patches_fit_this_moto() -> None:
    moto_patches.apply()


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.symbol)
def test_every_patch_has_its_reason_and_its_contract_test(patch: Patch) -> None:
    assert len(patch.reason) > 10
    name = patch.contract.partition("::")[2].partition("[")[0]
    functions = [
        node.name for node in ast.walk(ast.parse(_file(patch).read_text())) if isinstance(node, ast.FunctionDef)
    ]
    assert name in functions, f"{patch.contract} does not exist"


@pytest.mark.exhaustive
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.symbol)
def test_without_a_patch_its_contract_test_is_red(patch: Patch) -> None:
    node = f"{_file(patch)}::{patch.contract.partition('::')[2]}"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", node]
    environment = {**os.environ, "USHER_WITHOUT_PATCH": patch.symbol}
    ran = subprocess.run(
        command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 1, f"{patch.contract} passes, or does not run, without the patch:\n{ran.stdout[-1500:]}"
