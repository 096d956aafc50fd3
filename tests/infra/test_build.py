"""What `sam build` made runs on Lambda: every handler and layer is there, for the platform, and small enough.

`sam build` and `sam validate` accept a misspelled handler and a missing layer, so this resolves and imports each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from twin.awslambda import pins

if TYPE_CHECKING:
    from tests.infra.conftest import Built

LAMBDA_UNZIPPED_LIMIT = 262_144_000
SITE_PACKAGES = Path("python/lib/python3.13/site-packages")
FUNCTIONS = [
    *("IngestStream", "IngestObjects", "CatalogTables", "CatalogObjects"),
    *("PrepareRun", "PrepareNext", "EvaluateGate", "DeployExperiment", "ShiftTraffic"),
    *("RecommendItems", "IngestFeedback"),
]
PROJECT = Path(__file__).parents[2]


def test_every_function_of_the_template_is_tested_here(built: Built) -> None:
    assert sorted(built.functions) == sorted(FUNCTIONS)


def import_handler(built: Built, function: str, python: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    module, name = built.functions[function].get("Handler", built.template["Globals"]["Function"]["Handler"]).split(".")
    return subprocess.run(
        [python, "-S", "-c", f"import {module}, sys; print(callable({module}.{name})); print(*sorted(sys.modules))"],
        cwd=built.code(function),
        env={"PYTHONPATH": os.pathsep.join(map(str, path)), "PATH": "/usr/bin:/bin", "AWS_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )


def host_path(built: Built, function: str) -> list[Path]:
    """What a function sees in the twin: its code, its layers' own code, and their pins for this interpreter."""
    layers = built.layers(function)
    packages = [pins.installed((layer / "requirements.txt").read_bytes(), layer.name) for layer in layers]
    return [built.code(function), *(layer / "python" for layer in layers), *packages, pins.runtime()]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_handler_imports_from_its_own_code_and_layers_alone(built: Built, function: str) -> None:
    result = import_handler(built, function, sys.executable, host_path(built, function))
    assert result.stdout.startswith("True"), result.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_handler_imports_with_the_layers_that_are_shipped(built: Built, function: str) -> None:
    """The trimmed wheels for Lambda's Python 3.13, where this machine has one."""
    python = python313()
    if python is None:
        pytest.skip("no Python 3.13 on this machine to load the layers' wheels for it")
    layers = built.layers(function)
    # boto3 is pure Python, so this interpreter's copy serves the other one too.
    packages = [layer / part for layer in layers for part in ("python", SITE_PACKAGES)]
    path = [built.code(function), *packages, pins.runtime()]
    result = import_handler(built, function, str(python), path)
    assert result.stdout.startswith("True"), result.stderr


def python313() -> Path | None:
    """A real CPython 3.13: this interpreter, one on PATH, or one of pyenv's (whose shims answer without running)."""
    candidates = [Path(sys.executable)] if sys.version_info[:2] == (3, 13) else []
    candidates += [Path(folder) / "python3.13" for folder in os.get_exec_path()]
    candidates += sorted((Path.home() / ".pyenv" / "versions").glob("3.13.*/bin/python3.13"))
    for path in candidates:
        if path.exists() and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("layer", ["CoreLayer", "LakeLayer", "ScorerLayer"])
def test_every_wheel_of_a_layer_has_the_platforms_tags(built: Built, layer: str) -> None:
    folder = PROJECT / ".aws-sam" / "build" / built.resources[layer]["Properties"]["ContentUri"] / SITE_PACKAGES
    wheels = list(folder.glob("*.dist-info/WHEEL"))
    assert wheels, f"{layer} holds no packages"
    foreign = {}
    for wheel in wheels:
        tags = [line.removeprefix("Tag: ") for line in wheel.read_text().splitlines() if line.startswith("Tag: ")]
        if not any(runs_on_lambda(tag) for tag in tags):
            foreign[wheel.parent.name] = tags
    assert not foreign


def runs_on_lambda(tag: str) -> bool:
    """Pure Python, or CPython 3.13 (or the stable ABI) on x86_64 Linux with glibc 2.28 or older."""
    python, abi, platform = tag.split("-")
    if platform == "any":
        return python in ("py3", "py2.py3", "cp313")
    if not platform.startswith("manylinux") or not platform.endswith("x86_64"):
        return False
    glibc = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}.get(platform.split("_")[0])
    minor = glibc if glibc is not None else int(platform.split("_")[2])
    return minor <= 28 and (abi in ("cp313", "abi3", "none"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_with_its_layers_fits_into_lambda(built: Built, function: str) -> None:
    folders = [built.code(function), *built.layers(function)]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    assert size <= LAMBDA_UNZIPPED_LIMIT


#: Modules that a handler must not load when it starts, with what each would cost.
START_UP = {
    "IngestStream": ["pyiceberg", "pyarrow.parquet", "pydantic", "aws_xray_sdk", "pandas"],
    "IngestObjects": ["pyiceberg", "pydantic", "aws_xray_sdk", "pandas"],
    "CatalogTables": ["pandas", "aws_xray_sdk"],
    "CatalogObjects": ["pandas", "aws_xray_sdk"],
    "PrepareRun": ["numpy", "pyarrow", "pydantic", "aws_xray_sdk"],
    "PrepareNext": ["numpy", "pyarrow", "pydantic", "aws_xray_sdk"],
    "EvaluateGate": ["numpy", "pyarrow", "pydantic", "aws_xray_sdk"],
    "DeployExperiment": ["numpy", "pyarrow", "pydantic", "aws_xray_sdk"],
    "ShiftTraffic": ["usher_scorer", "pyarrow", "pydantic", "aws_xray_sdk", "aws_lambda_powertools.event_handler"],
    "IngestFeedback": ["numpy", "usher_scorer", "pydantic", "aws_xray_sdk", "aws_lambda_powertools.event_handler"],
    "RecommendItems": ["numpy", "usher_scorer", "pydantic", "aws_xray_sdk", "aws_lambda_powertools.event_handler"],
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_loads_nothing_that_it_does_not_need_at_start(built: Built, function: str) -> None:
    result = import_handler(built, function, sys.executable, host_path(built, function))
    loaded = set(result.stdout.splitlines()[-1].split()) if result.stdout else set()
    assert loaded, result.stderr
    assert not loaded & set(START_UP[function])
