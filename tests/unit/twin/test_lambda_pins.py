"""The layers' pinned packages for the twin's interpreter: what goes wrong is one line that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from twin.awslambda import pins
from twin.awslambda.pins import PinsError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed yet, and there is no network."""
    monkeypatch.setattr(pins, "PROJECT", tmp_path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


PINNED = b"six==1.17.0 --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n"


def test_without_a_network_it_says_what_to_do() -> None:
    with pytest.raises(
        PinsError, match=r"of layer core:1 cannot be installed: run `python -m twin\.awslambda\.pins` once"
    ):
        pins.installed(PINNED, "layer core:1")
    assert list(pins.cache().iterdir()) == [], "nothing half done stays"


def test_a_list_without_hashes_is_refused() -> None:
    with pytest.raises(PinsError, match="hash"):
        pins.installed(b"six==1.17.0\n", "layer core:1")


def test_without_uv_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PinsError, match="of layer core:1 need uv, which is not here: run `make setup`"):
        pins.installed(PINNED, "layer core:1")


def test_a_list_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pins.installed(b"# nothing\n", "layer core:1")
    assert folder.is_dir()

    def never(*args: object) -> None:
        raise AssertionError("installed again")

    monkeypatch.setattr(pins, "_run_uv", never)
    assert pins.installed(b"# nothing\n", "layer core:1") == folder
