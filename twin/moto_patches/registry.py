"""Replaces symbols of moto by the twin's own, and keeps the originals for replacements that call them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """One replaced symbol.

    symbol:      `module:attribute.path` in moto.
    replacement: `module:attribute` in the twin.
    reason:      what moto does, or does not do.
    contract:    the test in tests/contract/ that shows the replaced behaviour, `file.py::test_name`.
    adds:        the symbol does not exist in moto.
    """

    symbol: str
    replacement: str
    reason: str
    contract: str
    adds: bool = False


_originals: dict[str, Any] = {}


def install(patches: Iterable[Patch]) -> None:
    """Put the replacements in place, each once in a process; AttributeError when one does not fit this moto."""
    for patch in patches:
        if patch.symbol in _originals:
            continue
        owner, name = _owner(patch.symbol)
        if patch.adds == hasattr(owner, name):
            problem = "exists already" if patch.adds else "does not exist"
            raise AttributeError(f"{patch.symbol} {problem}: install the pinned version of moto")
        _originals[patch.symbol] = getattr(owner, name, None)
        setattr(owner, name, _resolve(patch.replacement))


def original(symbol: str) -> Any:
    """What moto had at `symbol` before the patch."""
    return _originals[symbol]


def _owner(symbol: str) -> tuple[Any, str]:
    module, _, path = symbol.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def _resolve(symbol: str) -> Any:
    owner, name = _owner(symbol)
    return getattr(owner, name)
