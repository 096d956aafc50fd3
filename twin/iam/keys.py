"""The condition keys that policies may name: AWS's global keys, and those of the services that the twin has.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html for `aws:…`; for the
services https://docs.aws.amazon.com/service-authorization/latest/reference/, where a multivalued key has a type
`ArrayOf…`. A name that ends with `/` is followed by the name of a tag.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


class PolicyError(ValueError):
    """A policy says something that IAM refuses or the twin does not know; the text says where, what, and what to do.

    problem: what, and what to do. place: where in the policy; empty until `documents` adds it.
    """

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(f"{place}: {problem}" if place else problem)
        self.problem, self.place = problem, place


@dataclass(frozen=True, slots=True)
class Key:
    """A condition key. name: in lower case, as in the context of a request. multivalued: a request has a list of it."""

    name: str
    multivalued: bool = False


_known: dict[str, Key] = {}
_spelling: dict[str, str] = {}


def extend(single: Iterable[str] = (), multivalued: Iterable[str] = ()) -> None:
    """Make keys known, in AWS's spelling. A key that is known already may be given again with the same type.

    ValueError: the key is known as single-valued and given as multivalued, or the other way round.
    """
    for names, many in ((single, False), (multivalued, True)):
        for name in names:
            key = Key(name.lower(), many)
            if _known.setdefault(key.name, key) != key:
                raise ValueError(f"{name} is known as {'single-valued' if many else 'multivalued'}: give one type")
            _spelling[key.name] = name


def find(name: str) -> Key:
    """The key of that name, in any case; of `aws:PrincipalTag/Team` the key of that tag.

    PolicyError: the key is not known, or the name of the tag is missing.
    """
    lower = name.lower()
    if (known := _known.get(lower)) is not None and not lower.endswith("/"):
        return known
    prefix, slash, tag = lower.partition("/")
    if tag and (known := _known.get(prefix + slash)) is not None:
        return Key(lower, known.multivalued)
    close = difflib.get_close_matches(lower, _known, n=1, cutoff=0.75)
    hint = f"did you mean {_spelling[close[0]]}?" if close else "the keys that the twin knows stand in twin/iam/keys.py"
    raise PolicyError(f"unknown condition key {name}: {hint}")


GLOBAL_SINGLE: Final = (
    # of the principal
    *("aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalTag/", "aws:PrincipalType"),
    *("aws:PrincipalIsAWSService", "aws:PrincipalServiceName", "aws:userid", "aws:username"),
    # of its session
    *("aws:AssumedRoot", "aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4", "aws:FederatedProvider"),
    *("aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent", "aws:SourceIdentity", "aws:TokenIssueTime"),
    *("ec2:RoleDelivery", "ec2:SourceInstanceArn", "lambda:SourceFunctionArn"),
    # of the network
    *("aws:SourceIp", "aws:SourceVpc", "aws:SourceVpcArn", "aws:SourceVpce", "aws:VpceAccount", "aws:VpceOrgID"),
    "aws:VpcSourceIp",
    # of the resource
    *("aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceTag/"),
    # of the request
    *("aws:CalledViaFirst", "aws:CalledViaLast", "aws:CurrentTime", "aws:EpochTime", "aws:referer", "aws:RequestTag/"),
    *("aws:RequestedRegion", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID"),
    *("aws:UserAgent", "aws:ViaAWSService"),
)
GLOBAL_MULTIVALUED: Final = (
    *("aws:CalledVia", "aws:PrincipalOrgPaths", "aws:PrincipalServiceNamesList", "aws:ResourceOrgPaths"),
    *("aws:SourceOrgPaths", "aws:TagKeys", "aws:VpceOrgPaths"),
)
#: The keys that `twin.iam.calls` puts into the context of a call, and no others: a condition on a key that no call
#: carries compares nothing, and ForAllValues would allow what it was meant to restrict. Such a policy is refused.
SERVICE_SINGLE: Final = (
    *("cloudformation:ChangeSetName", "cloudformation:RoleArn", "cloudformation:TemplateUrl", "cloudwatch:namespace"),
    *("dynamodb:EnclosingOperation", "dynamodb:ReturnConsumedCapacity", "dynamodb:ReturnValues", "dynamodb:Select"),
    *("iam:AWSServiceName", "iam:PassedToService", "iam:PolicyARN"),
    *("s3:delimiter", "s3:if-match", "s3:if-none-match", "s3:max-keys", "s3:prefix", "s3:RequestObjectTag/"),
    *("s3:versionid", "s3:x-amz-acl", "s3:x-amz-copy-source", "s3:x-amz-metadata-directive"),
    *("s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-storage-class"),
    "sagemaker:ModelApprovalStatus",
    *("secretsmanager:Name", "secretsmanager:SecretId", "secretsmanager:VersionId", "secretsmanager:VersionStage"),
    "servicequotas:service",
    *("sts:ExternalId", "sts:RoleSessionName"),
)
SERVICE_MULTIVALUED: Final = (
    *("cloudwatch:AlarmActions", "dynamodb:LeadingKeys", "events:TargetArn", "lambda:Layer", "s3:RequestObjectTagKeys"),
    "sagemaker:InstanceTypes",
)

extend(single=GLOBAL_SINGLE, multivalued=GLOBAL_MULTIVALUED)
extend(single=SERVICE_SINGLE, multivalued=SERVICE_MULTIVALUED)
