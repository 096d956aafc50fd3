"""Recommendation ids: a signed record of what was recommended, which feedback sends back and cannot be forged."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

#: The version of the format.
VERSION = "v1"
#: The length of the events table's field.
ID_MAX_CHARACTERS = 4096
ITEMS_MAX = 50
KEY_MIN_BYTES = 32
_MAC_BYTES = 16
_MAC_CHARACTERS = 22


class BadRecommendationId(ValueError):
    """An id that Usher did not sign, or whose key has been retired; the message never repeats the id."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The content of a recommendation id.

    experiment: id of the open experiment, or empty. version: of the router, 0 where none was read.
    variant:    A, B, or empty where no model answered. user: hash of the user id, or empty without one.
    at:         epoch seconds. model: the model's id. items: item ids in the order shown, the first 50 at most.
    """

    experiment: str
    version: int
    variant: str
    user: str
    at: int
    model: str
    items: tuple[str, ...]


def sign(recommendation: Recommendation, key: bytes) -> str:
    """`v1.<payload>.<mac>`, at most 4,096 characters: with long item ids it names fewer items.

    ValueError for a key under 32 bytes.
    """
    _check_key(key)
    named = replace(recommendation, items=recommendation.items[:ITEMS_MAX])
    room = ID_MAX_CHARACTERS - _MAC_CHARACTERS - 1
    while len(signed := _payload(named)) > room and named.items:
        named = replace(named, items=named.items[: len(named.items) * room // len(signed)])
    return f"{signed}.{_encode(_mac(signed, key))}"


def verify(text: str, keys: Sequence[bytes]) -> Recommendation:
    """The content of an id that one of `keys` signed; BadRecommendationId for any other.

    keys: the current key and, during a rotation, the previous one. The comparison takes constant time.
    """
    if len(text) > ID_MAX_CHARACTERS:
        raise BadRecommendationId(f"the recommendation id has {len(text)} characters: send at most {ID_MAX_CHARACTERS}")
    signed, _, mac = text.rpartition(".")
    given = _decode(mac)
    matches = [hmac.compare_digest(_mac(signed, key), given) for key in keys]
    if not any(matches):
        raise BadRecommendationId("the recommendation id has no valid signature: send it as the API returned it")
    version, _, payload = signed.partition(".")
    if version != VERSION:
        raise BadRecommendationId(f"the recommendation id is not of version {VERSION}: send it as the API returned it")
    return _read(_decode(payload))


def _payload(recommendation: Recommendation) -> str:
    fields = {
        "e": recommendation.experiment,
        "v": recommendation.version,
        "s": recommendation.variant,
        "u": recommendation.user,
        "t": recommendation.at,
        "m": recommendation.model,
        "i": list(recommendation.items),
    }
    return f"{VERSION}.{_encode(json.dumps(fields, ensure_ascii=False, separators=(',', ':')).encode())}"


def _read(payload: bytes) -> Recommendation:
    try:
        fields: Any = json.loads(payload)
        return Recommendation(
            str(fields["e"]),
            int(fields["v"]),
            str(fields["s"]),
            str(fields["u"]),
            int(fields["t"]),
            str(fields["m"]),
            tuple(map(str, fields["i"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRecommendationId("the recommendation id cannot be read: send one of this version") from error


def _mac(signed: str, key: bytes) -> bytes:
    _check_key(key)
    return hmac.new(key, signed.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()[:_MAC_BYTES]


def _check_key(key: bytes) -> None:
    if len(key) < KEY_MIN_BYTES:
        raise ValueError(f"the signing key has {len(key)} bytes: use at least {KEY_MIN_BYTES}")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """The bytes of unpadded base64url; only the spelling that `_encode` gives, so that an id has one form."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or _encode(data) != text:
        raise BadRecommendationId("the recommendation id is damaged: send it as the API returned it")
    return data
