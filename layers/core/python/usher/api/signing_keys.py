"""The keys that sign recommendation ids, from Secrets Manager: the current one and, after a rotation, the previous."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from usher.errors import OperatorError, code
from usher.schema.signing import KEY_MIN_BYTES

#: How long a key may be cached.
KEY_SECONDS = 300.0


def current_key(secrets: Any, secret: str) -> bytes:
    """The key that signs. secrets: a `secretsmanager` client.

    OperatorError when the key is too short; an AWS error when it cannot be read.
    """
    return _key(secrets, secret, "AWSCURRENT")


def valid_keys(secrets: Any, secret: str) -> tuple[bytes, ...]:
    """The keys that verify a signature: the current one, and the one before it if the secret was ever rotated."""
    keys = [current_key(secrets, secret)]
    try:
        keys.append(_key(secrets, secret, "AWSPREVIOUS"))
    except ClientError as error:
        if code(error) != "ResourceNotFoundException":
            raise
    return tuple(keys)


def _key(secrets: Any, secret: str, stage: str) -> bytes:
    answer: Any = secrets.get_secret_value(SecretId=secret, VersionStage=stage)
    key = str(answer.get("SecretString", "")).encode()
    if len(key) < KEY_MIN_BYTES:
        raise OperatorError(
            f"the signing secret ({stage}) has {len(key)} bytes: store a value of at least {KEY_MIN_BYTES} bytes"
        )
    return key
