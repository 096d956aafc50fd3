"""What the policies are asked: who calls, which action, on which resource, in which context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a session of a role, a service in its own name, or the account's administrator.

    arn:     of the caller, as AWS's messages name it: `arn:aws:sts::<account>:assumed-role/<role>/<session>`,
             `arn:aws:iam::<account>:root`; for a service its name, `events.amazonaws.com`.
    role:    ARN of the role whose session it is; empty for a service and for the administrator.
    service: name of a service that calls in its own name; empty for the others.
    """

    arn: str
    role: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One action on one resource. A call may need several: CreateTrainingJob needs iam:PassRole too.

    action:   `dynamodb:GetItem`, in the spelling of AWS's service authorization reference.
    resource: the ARN; `*` for an action without resource types.
    context:  condition key in lower case → its values; a key that the request does not carry is absent.
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A signed request to an AWS API, as the twin's server receives it.

    service: the signing name in the credential scope (`dynamodb`, `s3`, `states`, `sagemaker`, …).
    headers: names in lower case. path: not decoded. query: without `?`.
    """

    service: str
    region: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
