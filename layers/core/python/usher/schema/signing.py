"""Recommendation ids: what an answer was, signed, so that feedback can name it and nobody can make one up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

#: The format's name, and its place for a successor.
VERSION = "v1"
#: As long as the field of the events table that keeps it.
ID_MAX_CHARACTERS = 4096
ITEMS_MAX = 50
KEY_MIN_BYTES = 32
_MAC_BYTES = 16
_MAC_CHARACTERS = 22


class BadRecommendationId(ValueError):
    """An id that Usher did not make, or whose key has been retired; the message never repeats the id."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What a recommendation id says.

    experiment: id of the open experiment, or empty. version: the router's, 0 where none was read.
    variant:       A, B, or empty where no model answered. user: the user's hash, or empty for nobody known.
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
    """`v1.<payload>.<mac>`, at most 4,096 characters: where ids are long, it names fewer items.

    ValueError for a key under 32 bytes.
    """
    _check_key(key)
    named = replace(recommendation, items=recommendation.items[:ITEMS_MAX])
    room = ID_MAX_CHARACTERS - _MAC_CHARACTERS - 1
    while len(signed := _payload(named)) > room and named.items:
        named = replace(named, items=named.items[: len(named.items) * room // len(signed)])
    return f"{signed}.{_encode(_mac(signed, key))}"


def verify(text: str, keys: Sequence[bytes]) -> Recommendation:
    """What the id says, if one of `keys` signed it; BadRecommendationId otherwise.

    keys: the current key and, during a rotation, the one before. The comparison takes as long for any text.
    """
    if len(text) > ID_MAX_CHARACTERS:
        raise BadRecommendationId(f"the recommendation id has {len(text)} characters: {ID_MAX_CHARACTERS} at most")
    signed, _, mac = text.rpartition(".")
    given = _decode(mac)
    matches = [hmac.compare_digest(_mac(signed, key), given) for key in keys]
    if not any(matches):
        raise BadRecommendationId("the recommendation id bears no valid signature: send it as it was given")
    version, _, payload = signed.partition(".")
    if version != VERSION:
        raise BadRecommendationId(f"the recommendation id is of another version than {VERSION}")
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
        raise BadRecommendationId("the recommendation id is signed, but of another make") from error


def _mac(signed: str, key: bytes) -> bytes:
    _check_key(key)
    return hmac.new(key, signed.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()[:_MAC_BYTES]


def _check_key(key: bytes) -> None:
    if len(key) < KEY_MIN_BYTES:
        raise ValueError(f"the signing key has {len(key)} bytes: {KEY_MIN_BYTES} are the least")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """The bytes of unpadded base64url; only the spelling that `_encode` gives, so that an id has one form."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or _encode(data) != text:
        raise BadRecommendationId("the recommendation id is damaged: send it as it was given")
    return data
