"""Every symbol of moto that the twin replaces or adds, with the reason and the contract test that holds it.

moto is pinned. tests/contract/ turns red when a patch no longer fits the pinned version: `symbol` is gone (or, for an
addition, has appeared), or what the patch makes real stopped working.
"""

from __future__ import annotations

import importlib
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


PATCHES: tuple[Patch, ...] = ()

_originals: dict[str, Any] = {}


def apply() -> None:
    """Put every replacement in place, once in a process; AttributeError when a patch does not fit this moto."""
    for patch in PATCHES:
        if patch.symbol in _originals:
            continue
        owner, name = _owner(patch.symbol)
        if patch.adds == hasattr(owner, name):
            raise AttributeError(
                f"{patch.symbol} {'exists already' if patch.adds else 'is gone'}: this moto is another version"
            )
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
