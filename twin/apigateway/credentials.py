"""Who an access key is: the twin's own account, a user's key of IAM, or the temporary key of an assumed role."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from twin import context


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose signature it is. token: the session token that has to come along, or empty."""

    access_key: str
    secret_key: str
    arn: str
    user_id: str
    token: str = ""

    def as_authorizer(self) -> dict[str, Any]:
        """`requestContext.authorizer.iam` of payload 2.0."""
        return {
            "accessKey": self.access_key,
            "accountId": context.ACCOUNT,
            "callerId": self.user_id,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": self.arn,
            "userId": self.user_id,
        }


def identify(access_key: str) -> Identity | None:
    """The identity of an access key that is known, active and not expired; None for any other."""
    if access_key == context.ACCESS_KEY:
        root = f"arn:aws:iam::{context.ACCOUNT}:root"
        return Identity(access_key, context.SECRET_KEY, root, context.ACCOUNT)
    return _assumed(access_key) or _user(access_key)


def _assumed(access_key: str) -> Identity | None:
    from moto.sts.models import sts_backends  # noqa: PLC0415 - moto is heavy

    role = sts_backends[context.ACCOUNT]["aws"].get_assumed_role_from_access_key(access_key)
    if role is None or role.expiration <= datetime.datetime.now(role.expiration.tzinfo):
        return None
    return Identity(access_key, role.secret_access_key, role.arn, role.user_id, role.session_token)


def _user(access_key: str) -> Identity | None:
    from moto.iam.models import iam_backends  # noqa: PLC0415 - moto is heavy

    for user in iam_backends[context.ACCOUNT]["aws"].users.values():
        for key in user.access_keys:
            if key.access_key_id == access_key and key.status == "Active":
                return Identity(access_key, key.secret_access_key, user.arn, user.id)
    return None
