"""Filter criteria of an event source: which messages a function gets. The others are deleted, as Lambda does."""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.events.exceptions import InvalidEventPatternException
from moto.events.models import EventPattern

_DATA = {"body"}


def checked(criteria: dict[str, Any] | None) -> list[Any]:
    """The patterns of some criteria. Raises what AWS answers to a bad one."""
    patterns = []
    for each in (criteria or {}).get("Filters") or []:
        text = each.get("Pattern") or "{}"
        try:
            fields = set(json.loads(text))
            patterns.append(EventPattern.load(text))
        except (ValueError, TypeError, InvalidEventPatternException) as error:
            raise InvalidParameterValueException(f"Invalid filter pattern definition: {text}") from error
        if fields - _DATA:
            raise InvalidParameterValueException(f"the twin filters SQS messages by body only, not by {fields - _DATA}")
    return patterns


def matches(patterns: list[Any], body: str) -> bool:
    """Whether a message's body fits one of the patterns; without patterns every one does.

    A pattern for the content of a JSON body does not fit a body that is plain text, and the other way round.
    """
    if not patterns:
        return True
    try:
        content = json.loads(body)
    except ValueError:
        content = body
    return any(pattern.matches_event({"body": content}) for pattern in patterns)
