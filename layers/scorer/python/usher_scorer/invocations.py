"""`POST /invocations`, also of the function back end: checks a JSON request field by field and returns its response."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from usher.schema.interactions import EVENT_TYPES, KINDS, RATING_SCALE, on_scale
from usher_scorer.bundle import Bundle
from usher_scorer.errors import RequestError
from usher_scorer.recommend import Filters, Rated, popular, recommend, score, similar

#: SageMaker's limit of a real-time request.
BODY_MAX_BYTES = 6 * 1024 * 1024
K_MAX = 500
PROFILE_MAX = 1000
LIST_MAX = 10_000
ID_MAX_BYTES = 128
_SECONDS_MAX = 4_102_444_800

Body = Mapping[str, Any]


def invoke(bundle: Bundle, body: bytes) -> dict[str, Any]:
    """The response to one request; RequestError (400) for a malformed one."""
    if len(body) > BODY_MAX_BYTES:
        raise RequestError("too_large", f"the body has {len(body)} bytes: {BODY_MAX_BYTES} are allowed")
    try:
        request = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError("bad_json", f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(request, dict):
        raise RequestError("bad_json", 'the body must be an object as {"op": "recommend", "user_id": "42"}')
    if "instances" in request:
        return _instances(bundle, request)
    operation = request.get("op")
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        known = ", ".join(_OPERATIONS)
        raise RequestError("unknown_op", f"op is {str(operation)[:40]!r}: it is one of {known} (or send instances)")
    return _OPERATIONS[operation](bundle, request)


def problem(error: RequestError) -> dict[str, Any]:
    """The body of a 400."""
    return {"error": {"code": error.code, "message": str(error)}}


def _recommend(bundle: Bundle, body: Body) -> dict[str, Any]:
    user, profile = _optional_id(body, "user_id"), _profile(body)
    return recommend(bundle, user, profile, _k(body), _filters(body), explain=_flag(body, "explain"))


def _similar(bundle: Bundle, body: Body) -> dict[str, Any]:
    return similar(bundle, _id(body.get("item_id"), "item_id"), _k(body), _filters(body))


def _popular(bundle: Bundle, body: Body) -> dict[str, Any]:
    return popular(bundle, _k(body), _filters(body), recent=_flag(body, "recent"))


def _score(bundle: Bundle, body: Body) -> dict[str, Any]:
    return score(bundle, _optional_id(body, "user_id"), _profile(body), _ids(body, "items", required=True))


_OPERATIONS: Mapping[str, Callable[[Bundle, Body], dict[str, Any]]] = {
    "recommend": _recommend,
    "similar": _similar,
    "popular": _popular,
    "score": _score,
}


def _instances(bundle: Bundle, body: Body) -> dict[str, Any]:
    """Requests in the form of SageMaker's built-in factorization machine: features = [dense user, dense item]."""
    instances = body["instances"]
    if not isinstance(instances, list) or len(instances) > LIST_MAX:
        raise RequestError("bad_instances", f"instances must be a list of at most {LIST_MAX}")
    pairs = [_pair(n, instance, bundle) for n, instance in enumerate(instances)]
    scores = np.zeros(len(pairs))
    for user in dict.fromkeys(user for user, _ in pairs):
        places = [n for n, (other, _) in enumerate(pairs) if other == user]
        items = [bundle.catalogue.ids[pairs[n][1]] for n in places]
        scores[places] = score(bundle, bundle.users[user], [], items)["scores"]
    return {"predictions": [{"score": float(value)} for value in scores]}


def _pair(n: int, instance: Any, bundle: Bundle) -> tuple[int, int]:
    features = instance.get("features") if isinstance(instance, dict) else None
    whole = isinstance(features, list) and len(features) == 2 and all(_whole(value) for value in features)
    if not whole or features is None:
        raise RequestError(
            "bad_instances", f"instance {n}: features must be [user number, item number], as the bundle counts them"
        )
    user, item = int(features[0]), int(features[1])
    if not (0 <= user < len(bundle.users) and 0 <= item < len(bundle.catalogue)):
        raise RequestError(
            "bad_instances",
            f"instance {n}: users are 0 to {len(bundle.users) - 1}, items 0 to {len(bundle.catalogue) - 1}",
        )
    return user, item


def _whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _k(body: Body) -> int:
    value = body.get("k", 10)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= K_MAX:
        raise RequestError("bad_k", f"k is {str(value)[:40]}: it must be a whole number from 1 to {K_MAX}")
    return value


def _flag(body: Body, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise RequestError(f"bad_{name}", f"{name} must be true or false")
    return value


def _text(body: Body, name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 1024:
        raise RequestError(f"bad_{name}", f"{name} must be a string of at most 1024 characters")
    return value


def _id(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode("utf-8", "surrogatepass")) <= ID_MAX_BYTES:
        raise RequestError(f"bad_{name}", f"{name} must be a string of 1 to {ID_MAX_BYTES} bytes")
    return value


def _optional_id(body: Body, name: str) -> str | None:
    return None if body.get(name) is None else _id(body[name], name)


def _ids(body: Body, name: str, *, required: bool = False) -> list[str]:
    values = body.get(name)
    if values is None and not required:
        return []
    if not isinstance(values, list) or len(values) > LIST_MAX:
        raise RequestError(f"bad_{name}", f"{name} must be a list of at most {LIST_MAX} item ids")
    return [_id(value, name) for value in values]


def _profile(body: Body) -> list[Rated]:
    rows = body.get("profile")
    if rows is None:
        return []
    if not isinstance(rows, list) or len(rows) > PROFILE_MAX:
        raise RequestError(
            "bad_profile", f"profile must be a list of at most {PROFILE_MAX} [item_id, rating, epoch_second]"
        )
    return [_rated(n, row) for n, row in enumerate(rows)]


def _rated(n: int, row: Any) -> Rated:
    if not isinstance(row, list) or len(row) != 3:
        raise RequestError("bad_profile", f"profile row {n} must be [item_id, rating, epoch_second]")
    item, (rating, second) = _id(row[0], f"profile row {n}: item_id"), row[1:]
    if not _number(second) or not 0 <= second < _SECONDS_MAX:
        raise RequestError("bad_profile", f"profile row {n}: the time must be seconds since 1970, before 2100")
    at_us = int(second * 1_000_000)
    if isinstance(rating, str) and rating in EVENT_TYPES:
        return Rated(item, 0.0, at_us, KINDS.index(rating))
    if not _number(rating) or not on_scale(rating):
        known = ", ".join(EVENT_TYPES)
        raise RequestError(
            "bad_profile", f"profile row {n}: the rating must be a number from {RATING_SCALE}, or {known}"
        )
    return Rated(item, float(rating), at_us)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _filters(body: Body) -> Filters:
    return Filters(_ids(body, "exclude"), _text(body, "genre"), _text(body, "not_released_after"))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
