"""IAM roles and Secrets Manager's secrets."""

from __future__ import annotations

from twin.cloudformation.errors import ReplacementRequired
from twin.cloudformation.resource_types.base import (
    CreatedResource,
    DesiredResource,
    ExistingResource,
    Properties,
    call,
    changed_properties,
    refuse_unknown,
    tolerate_missing,
)


class Role:
    """AWS::IAM::Role, with its inline policies."""

    type = "AWS::IAM::Role"
    name = "RoleName"
    _known = frozenset(("AssumeRolePolicyDocument", "Policies", "RoleName"))

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        desired = desired.named("RoleName")
        given = {key: value for key, value in desired.properties.items() if key != "Policies"}
        role = call("iam", "create_role", given, desired.where)["Role"]
        self._put(str(role["RoleName"]), {}, desired.properties, desired.where)
        return CreatedResource(str(role["RoleName"]), {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        changed = changed_properties(desired.properties, existing.properties)
        if "RoleName" in changed:
            raise ReplacementRequired
        role = existing.physical_id
        if "AssumeRolePolicyDocument" in changed:
            parameters = {"RoleName": role, "PolicyDocument": desired.properties["AssumeRolePolicyDocument"]}
            call("iam", "update_assume_role_policy", parameters, desired.where)
        self._put(role, existing.properties, desired.properties, desired.where)
        return CreatedResource(role, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        role, where = existing.physical_id, f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: self._put(role, existing.properties, {}, where))
        tolerate_missing(lambda: call("iam", "delete_role", {"RoleName": role}, where))

    def _put(self, role: str, old: Properties, new: Properties, where: str) -> None:
        """Change the inline policies from those of `old` to those of `new`."""
        before = {one["PolicyName"]: one["PolicyDocument"] for one in old.get("Policies", [])}
        after = {one["PolicyName"]: one["PolicyDocument"] for one in new.get("Policies", [])}
        for name, document in after.items():
            if before.get(name) != document:
                parameters = {"RoleName": role, "PolicyName": name, "PolicyDocument": document}
                call("iam", "put_role_policy", parameters, where)
        # Last, and tolerant: a roll-back may start from a half-made change.
        for name in sorted(before.keys() - after.keys()):
            gone = {"RoleName": role, "PolicyName": name}
            tolerate_missing(lambda keys=gone: call("iam", "delete_role_policy", keys, where))  # type: ignore[misc]


class Secret:
    """AWS::SecretsManager::Secret with a generated value."""

    type = "AWS::SecretsManager::Secret"
    name = "Name"
    _known = frozenset(("Name", "Description", "GenerateSecretString"))

    def create(self, desired: DesiredResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        properties = dict(desired.named("Name", 512).properties)
        generate = properties.pop("GenerateSecretString")
        password = call("secretsmanager", "get_random_password", generate, desired.where)["RandomPassword"]
        made = call("secretsmanager", "create_secret", {**properties, "SecretString": password}, desired.where)
        return CreatedResource(str(made["ARN"]), {"Id": made["ARN"]})

    def update(self, desired: DesiredResource, existing: ExistingResource) -> CreatedResource:
        refuse_unknown(desired, self._known)
        if changed_properties(desired.properties, existing.properties) != {"Description"}:
            raise ReplacementRequired
        parameters = {"SecretId": existing.physical_id, "Description": desired.properties.get("Description", "")}
        call("secretsmanager", "update_secret", parameters, desired.where)
        return CreatedResource(existing.physical_id, existing.attributes)

    def delete(self, existing: ExistingResource) -> None:
        parameters = {"SecretId": existing.physical_id, "ForceDeleteWithoutRecovery": True}
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("secretsmanager", "delete_secret", parameters, where))


RESOURCE_TYPES = (Role(), Secret())
