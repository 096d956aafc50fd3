"""The state of one experiment as one item of the state table: strings and whole numbers only, under 4 KB.

Arrays are little-endian float64 in base64: exact, short, and read without executing anything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usher.experiments.stats.presets import Preset
from usher.experiments.stats.state import SHAPES, State

#: Raised when a stored state would be read wrongly by an older version.
SCHEMA = 1

_LOOKS = ("look_information", "look_bound")
_INTEGERS = ("last_version", "last_minute", "stage", "stage_users", "exposed", "converted")
_REAL_ARRAYS = tuple(name for name in SHAPES if name not in _INTEGERS)


class StateError(ValueError):
    """A stored state that this version cannot read: written by a newer one, cut short, or edited by hand."""


def to_item(state: State) -> dict[str, Any]:
    """The first experiment of `state`, in the form that the state table keeps."""
    item: dict[str, Any] = {"schema": SCHEMA}
    for field in fields(State):
        value = getattr(state, field.name)[0]
        if field.name == "sample_ratio_broken":
            item[field.name] = bool(value)
        elif field.name in _INTEGERS:
            item[field.name] = [int(number) for number in value] if np.ndim(value) else int(value)
        elif np.ndim(value):
            item[field.name] = base64.b64encode(np.asarray(value, dtype="<f8").tobytes()).decode()
        else:
            item[field.name] = repr(float(value))
    return item


def from_item(item: Mapping[str, Any], preset: Preset) -> State:
    """The state that `to_item` wrote; StateError when it is newer, incomplete, or cannot be true."""
    schema = item.get("schema")
    if schema is None or isinstance(schema, str | bool) or schema != int(schema) or schema < 1:
        raise StateError(
            f"the stored state says schema {str(schema)[:20]!r}, so it is not the state of an experiment: restore it, "
            "or roll the experiment back"
        )
    if schema > SCHEMA:
        raise StateError(
            f"the stored state has schema {schema}, this version reads up to {SCHEMA}: deploy the newer version"
        )
    state = State(**{field.name: _read(item, field.name, preset) for field in fields(State)})
    _check(state, preset)
    return state


def _read(item: Mapping[str, Any], name: str, preset: Preset) -> NDArray[Any]:
    if name not in item:
        raise StateError(f"the stored state lacks {name}: restore it, or roll the experiment back")
    try:
        if name == "sample_ratio_broken":
            return np.array([_boolean(item[name])])
        if name in _INTEGERS:
            return np.array([_integers(item[name], SHAPES.get(name))], dtype=np.int64)
        if name in _LOOKS:
            return _array(item[name], (len(preset.looks),))
        if name in _REAL_ARRAYS:
            return _array(item[name], SHAPES[name])
        return np.array([float(item[name])])
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise StateError(
            f"the stored state's {name} cannot be read ({error}): restore it, or roll the experiment back"
        ) from error


def _array(text: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(1, *shape), after its length was checked: nothing larger than expected is decoded."""
    size = int(np.prod(shape)) * 8
    if not isinstance(text, str) or len(text) != 4 * ((size + 2) // 3):
        raise ValueError(f"it does not hold {size // 8} numbers")
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").reshape(1, *shape).astype(np.float64)


def _integers(value: Any, shape: tuple[int, ...] | None) -> int | list[int]:
    numbers = [value] if shape is None else list(value)
    if shape is not None and len(numbers) != shape[0]:
        raise ValueError(f"it does not hold {shape[0]} numbers")
    if any(isinstance(number, str | bool) or number != int(number) for number in numbers):
        raise ValueError("it is not a whole number")
    whole = [int(number) for number in numbers]
    return whole[0] if shape is None else whole


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it is not true or false")
    return value


def _check(state: State, preset: Preset) -> None:
    """StateError for values that no tick writes: a state edited by hand must not move traffic."""
    finite = (name for name in (field.name for field in fields(State)) if name not in _LOOKS)
    faults = [name for name in finite if not np.isfinite(getattr(state, name)).all()]
    if not 0.0 <= state.weight[0] <= 1.0:
        faults.append("weight")
    if not 0 <= state.stage[0] <= len(preset.stages):
        faults.append("stage")
    negative = ("hours", "stage_users", "exposed", "converted", "information", "reward_information", "look_hours")
    faults += [name for name in negative if (np.asarray(getattr(state, name)) < 0).any()]
    if (state.converted > state.exposed).any():
        faults.append("converted")
    if faults:
        raise StateError(
            f"the stored state is inconsistent ({', '.join(sorted(set(faults)))}): restore it, "
            "or roll the experiment back"
        )
