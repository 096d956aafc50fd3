"""AWS Secrets Manager. The resource is the secret's ARN, with the six characters that Secrets Manager adds to the name.
A request that names a secret by its name alone is checked on `secret:<name>`, since only the service knows the
characters: a policy with the whole ARN does not allow it here, and does on AWS.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html
"""

from __future__ import annotations

from twin.iam.calls.tables import op, table

SECRET = "secret:{SecretId}"  # noqa: S105 - a template of ARNs
BY_ID = {"secretsmanager:SecretId": "SecretId"}
VERSION = {"secretsmanager:VersionId": "VersionId", "secretsmanager:VersionStage": "VersionStage"}

TABLE = table(
    "secretsmanager",
    op("GetSecretValue", SECRET, context={**BY_ID, **VERSION}),
    op("DescribeSecret", SECRET, context=BY_ID),
    op("PutSecretValue", SECRET, context=BY_ID),
    op("UpdateSecret", SECRET, context=BY_ID),
    op("DeleteSecret", SECRET, context=BY_ID),
    op("RestoreSecret", SECRET, context=BY_ID),
    op("ListSecretVersionIds", SECRET, context=BY_ID),
    op("TagResource", SECRET, context=BY_ID, tags="Tags"),
    op("GetResourcePolicy", SECRET, context=BY_ID),
    op("CreateSecret", "secret:{Name}", context={"secretsmanager:Name": "Name"}, tags="Tags"),
    op("ListSecrets"),
    op("GetRandomPassword"),
)
