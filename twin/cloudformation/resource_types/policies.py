"""Policy documents of a template are parsed before a service gets them: what IAM refuses, a deployment refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twin.cloudformation.errors import ResourceError
from twin.iam import documents
from twin.iam.keys import PolicyError

#: Service and operation → the parameter that holds a policy, and how it is parsed.
_HOLDERS: dict[tuple[str, str], tuple[str, Callable[[str, Any], documents.Policy]]] = {
    ("iam", "create_role"): ("AssumeRolePolicyDocument", documents.trust_policy),
    ("iam", "update_assume_role_policy"): ("PolicyDocument", documents.trust_policy),
    ("iam", "put_role_policy"): ("PolicyDocument", documents.identity_policy),
    ("s3", "put_bucket_policy"): ("Policy", documents.resource_policy),
    ("sqs", "set_queue_attributes"): ("Policy", documents.resource_policy),
}


def check_policies(service: str, operation: str, parameters: Mapping[str, Any], where: str) -> None:
    """ResourceError, with its place, for a policy that IAM refuses or that the twin cannot evaluate."""
    if (service, operation) not in _HOLDERS:
        return
    name, parse = _HOLDERS[service, operation]
    document = parameters.get(name) or parameters.get("Attributes", {}).get(name)
    if not document:
        return
    try:
        parse(str(parameters.get("PolicyName") or name), document)
    except PolicyError as error:
        raise ResourceError(f"{where}: {error}") from error
