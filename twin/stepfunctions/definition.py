"""Checks a state machine definition at its creation, as AWS does; moto finds these faults at the execution."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from twin.stepfunctions import requests
from twin.stepfunctions.queries import QueryError, compile_query

MAX_BYTES = 1_048_576
_NAME_MAX = 80

_NESTED = ("ItemProcessor", "Iterator", "Branches")


def faults(definition: str) -> list[str]:
    """The faults of a definition beyond its grammar, each with its place."""
    if len(definition.encode()) > MAX_BYTES:
        return [f"the definition has {len(definition.encode())} bytes: at most {MAX_BYTES} are allowed"]
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return [f"INVALID_JSON_DESCRIPTION: {error}"]
    if not isinstance(machine, dict):
        return ["INVALID_JSON_DESCRIPTION: the definition is not a JSON object"]
    return list(_scope(machine, "", machine.get("QueryLanguage", "JSONPath")))


def _scope(program: Mapping[str, Any], place: str, language: str) -> Iterator[str]:
    """The faults of a program: the machine itself, a Map's processor or a Parallel's branch."""
    states = program.get("States")
    if not isinstance(states, dict) or not states:
        yield f"SCHEMA_VALIDATION_FAILED: no States at {place or '/'}"
        return
    if program.get("StartAt") not in states:
        yield f"MISSING_TRANSITION_TARGET: StartAt {program.get('StartAt')!r} at {place or '/'} is not a state there"
    for name, state in states.items():
        here = f"{place}/States/{name}"
        if len(name) > _NAME_MAX:
            yield f"SCHEMA_VALIDATION_FAILED: the name at {here} has more than {_NAME_MAX} characters"
        if isinstance(state, dict):
            yield from _state(state, here, set(states), state.get("QueryLanguage", language))
        else:
            yield f"SCHEMA_VALIDATION_FAILED: {here} is not an object"


def _state(state: Mapping[str, Any], place: str, siblings: set[str], language: str) -> Iterator[str]:
    for field, target in _targets(state):
        if target not in siblings:
            yield f"MISSING_TRANSITION_TARGET: {field} {target!r} at {place} is not a state there"
    if state.get("Type") in ("Task", "Pass", "Wait", "Map", "Parallel") and not ("Next" in state or state.get("End")):
        yield f"SCHEMA_VALIDATION_FAILED: {place} has neither Next nor End"
    yield from _request(state, place, language)
    if language == "JSONata":
        for field, text in _texts({key: value for key, value in state.items() if key not in _NESTED}):
            yield from _query(text, f"{place}/{field}")
    for nested, where in _programs(state):
        yield from _scope(nested, f"{place}/{where}", language)


def _request(state: Mapping[str, Any], place: str, language: str) -> Iterator[str]:
    """The faults that AWS finds in a task's literal request when the state machine is created: names and types."""
    if state.get("Type") != "Task":
        return
    for one in requests.literal_violations(state, language):
        if one.kind in ("unknown", "type"):
            where = "/".join((place, "Arguments" if language == "JSONata" else "Parameters", *map(str, one.path[:-1])))
            yield f"SCHEMA_VALIDATION_FAILED: {requests.sentence(one)} at {where}"


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for rule in state.get(field, ()):
            yield f"{field}[].Next", rule.get("Next")


def _programs(state: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for field in ("ItemProcessor", "Iterator"):
        if isinstance(state.get(field), dict):
            yield state[field], field
    for number, branch in enumerate(state.get("Branches", ())):
        yield branch, f"Branches[{number}]"


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _texts(member, f"{path}/{name}" if path else str(name))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _texts(member, f"{path}[{number}]")


def _query(text: str, place: str) -> Iterator[str]:
    if not text.startswith("{%"):
        return
    if not text.endswith("%}"):
        yield f"SCHEMA_VALIDATION_FAILED: the JSONata string at {place} does not end with %}}"
        return
    try:
        compile_query(text[2:-2])
    except QueryError as error:
        yield f"SCHEMA_VALIDATION_FAILED: {error} at {place}"
