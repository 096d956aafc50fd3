"""Who may do what: IAM roles and policies; secrets, parameters and keys."""

from __future__ import annotations

import json
from typing import Any

from twin import context
from twin.cloudformation.errors import Replace
from twin.cloudformation.kinds.base import (
    ApiKind,
    Existing,
    Made,
    Order,
    Properties,
    call,
    changed_properties,
    only_known,
    tolerate_missing,
)

_ROLE_CALL = ("AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Path", "PermissionsBoundary", "Tags")


class Role:
    """AWS::IAM::Role, with its inline policies and attachments."""

    type = "AWS::IAM::Role"
    name = "RoleName"

    def create(self, order: Order) -> Made:
        only_known(order, frozenset((*_ROLE_CALL, "RoleName", "Policies", "ManagedPolicyArns")))
        order = order.named("RoleName")
        given = {key: value for key, value in order.properties.items() if key in (*_ROLE_CALL, "RoleName")}
        role = call("iam", "create_role", given, order.logical_id)["Role"]
        self._put(str(role["RoleName"]), {}, order.properties, order.logical_id)
        return Made(str(role["RoleName"]), {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update(self, order: Order, existing: Existing) -> Made:
        only_known(order, frozenset((*_ROLE_CALL, "RoleName", "Policies", "ManagedPolicyArns")))
        changed = changed_properties(order.properties, existing.properties)
        if changed & {"RoleName", "Path", "PermissionsBoundary", "Tags"}:
            raise Replace
        role = existing.physical_id
        if "AssumeRolePolicyDocument" in changed:
            parameters = {"RoleName": role, "PolicyDocument": order.properties["AssumeRolePolicyDocument"]}
            call("iam", "update_assume_role_policy", parameters, order.logical_id)
        if changed & {"Description", "MaxSessionDuration"}:
            parameters = {"RoleName": role, "Description": order.properties.get("Description", "")}
            parameters["MaxSessionDuration"] = order.properties.get("MaxSessionDuration", 3600)
            call("iam", "update_role", parameters, order.logical_id)
        self._put(role, existing.properties, order.properties, order.logical_id)
        return Made(role, existing.attributes)

    def delete(self, existing: Existing) -> None:
        role, where = existing.physical_id, f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: self._put(role, existing.properties, {}, where))
        tolerate_missing(lambda: call("iam", "delete_role", {"RoleName": role}, where))

    def _put(self, role: str, old: Properties, new: Properties, where: str) -> None:
        """Bring inline policies and attachments from what `old` says to what `new` says."""
        before = {one["PolicyName"]: one["PolicyDocument"] for one in old.get("Policies", [])}
        after = {one["PolicyName"]: one["PolicyDocument"] for one in new.get("Policies", [])}
        attached, wanted = set(old.get("ManagedPolicyArns", [])), set(new.get("ManagedPolicyArns", []))
        for name, document in after.items():
            if before.get(name) != document:
                parameters = {"RoleName": role, "PolicyName": name, "PolicyDocument": document}
                call("iam", "put_role_policy", parameters, where)
        for policy in sorted(wanted - attached):
            call("iam", "attach_role_policy", {"RoleName": role, "PolicyArn": policy}, where)
        # Last, and tolerant: a roll-back starts from a change that may have got half way only.
        for name in sorted(before.keys() - after.keys()):
            gone = {"RoleName": role, "PolicyName": name}
            tolerate_missing(lambda keys=gone: call("iam", "delete_role_policy", keys, where))  # type: ignore[misc]
        for policy in sorted(attached - wanted):
            gone = {"RoleName": role, "PolicyArn": policy}
            tolerate_missing(lambda keys=gone: call("iam", "detach_role_policy", keys, where))  # type: ignore[misc]


class InlinePolicy:
    """AWS::IAM::Policy: one inline policy in each of its roles."""

    type = "AWS::IAM::Policy"

    def create(self, order: Order) -> Made:
        only_known(order, frozenset(("PolicyName", "PolicyDocument", "Roles")))
        for role in order.properties.get("Roles", []):
            parameters = {"RoleName": role, **self._keys(order.properties)}
            parameters["PolicyDocument"] = order.properties["PolicyDocument"]
            call("iam", "put_role_policy", parameters, order.logical_id)
        return Made(f"{order.stack_name}-{order.logical_id}")

    def update(self, order: Order, existing: Existing) -> Made:
        same_name = order.properties["PolicyName"] == existing.properties["PolicyName"]
        kept = order.properties.get("Roles", []) if same_name else []
        self._remove(existing, [role for role in existing.properties.get("Roles", []) if role not in kept])
        self.create(order)
        return Made(existing.physical_id)

    def delete(self, existing: Existing) -> None:
        self._remove(existing, existing.properties.get("Roles", []))

    def _remove(self, existing: Existing, roles: list[str]) -> None:
        for role in roles:
            parameters = {"RoleName": role, **self._keys(existing.properties)}
            tolerate_missing(lambda given=parameters: call("iam", "delete_role_policy", given, existing.logical_id))  # type: ignore[misc]

    def _keys(self, properties: Properties) -> dict[str, Any]:
        return {"PolicyName": properties["PolicyName"]}


class ManagedPolicy:
    """AWS::IAM::ManagedPolicy, attached to the roles it names."""

    type = "AWS::IAM::ManagedPolicy"
    name = "ManagedPolicyName"
    _known = frozenset(("ManagedPolicyName", "PolicyDocument", "Description", "Path", "Roles"))

    def create(self, order: Order) -> Made:
        only_known(order, self._known)
        order = order.named("ManagedPolicyName", 128)
        given = {
            key: value for key, value in order.properties.items() if key in ("PolicyDocument", "Description", "Path")
        }
        given["PolicyName"] = order.properties["ManagedPolicyName"]
        policy = str(call("iam", "create_policy", given, order.logical_id)["Policy"]["Arn"])
        for role in order.properties.get("Roles", []):
            call("iam", "attach_role_policy", {"RoleName": role, "PolicyArn": policy}, order.logical_id)
        return Made(policy, {"PolicyArn": policy})

    def update(self, order: Order, existing: Existing) -> Made:
        only_known(order, self._known)
        policy = existing.physical_id
        changed = changed_properties(order.properties, existing.properties)
        if changed - {"PolicyDocument", "Roles"}:
            raise Replace
        if "PolicyDocument" in changed:
            self._new_version(policy, order)
        old, new = set(existing.properties.get("Roles", [])), set(order.properties.get("Roles", []))
        for role in sorted(new - old):
            call("iam", "attach_role_policy", {"RoleName": role, "PolicyArn": policy}, order.logical_id)
        for role in sorted(old - new):
            call("iam", "detach_role_policy", {"RoleName": role, "PolicyArn": policy}, order.logical_id)
        return Made(policy, existing.attributes)

    def delete(self, existing: Existing) -> None:
        policy, where = existing.physical_id, f"{existing.logical_id} ({self.type})"
        for role in existing.properties.get("Roles", []):
            parameters = {"RoleName": role, "PolicyArn": policy}
            tolerate_missing(lambda given=parameters: call("iam", "detach_role_policy", given, where))  # type: ignore[misc]
        tolerate_missing(lambda: call("iam", "delete_policy", {"PolicyArn": policy}, where))

    def _new_version(self, policy: str, order: Order) -> None:
        client = context.client("iam")
        for version in client.list_policy_versions(PolicyArn=policy)["Versions"]:
            if not version["IsDefaultVersion"]:  # a policy holds five versions; one to go back to is enough
                client.delete_policy_version(PolicyArn=policy, VersionId=version["VersionId"])
        parameters = {"PolicyArn": policy, "PolicyDocument": order.properties["PolicyDocument"], "SetAsDefault": True}
        call("iam", "create_policy_version", parameters, order.logical_id)


class Secret:
    """AWS::SecretsManager::Secret, with a generated value where the template asks for one."""

    type = "AWS::SecretsManager::Secret"
    name = "Name"

    def create(self, order: Order) -> Made:
        order = order.named("Name", 512)
        properties = dict(order.properties)
        generate = properties.pop("GenerateSecretString", None)
        if generate is not None:
            properties["SecretString"] = self._generate(generate, order.logical_id)
        secret = str(call("secretsmanager", "create_secret", properties, f"{order.logical_id} ({self.type})")["ARN"])
        return Made(secret, {"Id": secret})

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed & {"Name", "Tags", "ReplicaRegions"}:
            raise Replace
        parameters = {key: value for key, value in order.properties.items() if key in changed}
        if "GenerateSecretString" in parameters:
            parameters["SecretString"] = self._generate(parameters.pop("GenerateSecretString"), order.logical_id)
        call("secretsmanager", "update_secret", {"SecretId": existing.physical_id, **parameters}, order.logical_id)
        return Made(existing.physical_id, existing.attributes)

    def delete(self, existing: Existing) -> None:
        parameters = {"SecretId": existing.physical_id, "ForceDeleteWithoutRecovery": True}
        where = f"{existing.logical_id} ({self.type})"
        tolerate_missing(lambda: call("secretsmanager", "delete_secret", parameters, where))

    def _generate(self, wanted: dict[str, Any], where: str) -> str:
        asked = {
            key: value for key, value in wanted.items() if key not in ("SecretStringTemplate", "GenerateStringKey")
        }
        password = str(call("secretsmanager", "get_random_password", asked, where)["RandomPassword"])
        if "SecretStringTemplate" not in wanted:
            return password
        return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: password})


class Key:
    """AWS::KMS::Key"""

    type = "AWS::KMS::Key"
    _call = frozenset(("KeyPolicy", "Description", "KeyUsage", "KeySpec", "MultiRegion", "Tags"))

    def create(self, order: Order) -> Made:
        only_known(order, self._call | {"EnableKeyRotation", "PendingWindowInDays", "Enabled"})
        given = {key: value for key, value in order.properties.items() if key in self._call}
        if "KeyPolicy" in given:
            given["Policy"] = given.pop("KeyPolicy")
        if "Tags" in given:
            given["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in given["Tags"]]
        key = call("kms", "create_key", given, order.logical_id)["KeyMetadata"]
        self._switch(str(key["KeyId"]), order)
        return Made(str(key["KeyId"]), {"Arn": key["Arn"], "KeyId": key["KeyId"]})

    def update(self, order: Order, existing: Existing) -> Made:
        changed = changed_properties(order.properties, existing.properties)
        if changed - {"KeyPolicy", "EnableKeyRotation", "Enabled", "Description", "PendingWindowInDays"}:
            raise Replace
        key = existing.physical_id
        if "KeyPolicy" in changed:
            parameters = {"KeyId": key, "PolicyName": "default", "Policy": order.properties["KeyPolicy"]}
            call("kms", "put_key_policy", parameters, order.logical_id)
        if "Description" in changed:
            parameters = {"KeyId": key, "Description": order.properties.get("Description", "")}
            call("kms", "update_key_description", parameters, order.logical_id)
        self._switch(key, order)
        return Made(key, existing.attributes)

    def delete(self, existing: Existing) -> None:
        days = existing.properties.get("PendingWindowInDays", 30)
        parameters = {"KeyId": existing.physical_id, "PendingWindowInDays": days}
        tolerate_missing(lambda: call("kms", "schedule_key_deletion", parameters, existing.logical_id))

    def _switch(self, key: str, order: Order) -> None:
        rotate = str(order.properties.get("EnableKeyRotation", "false")).lower() == "true"
        call("kms", "enable_key_rotation" if rotate else "disable_key_rotation", {"KeyId": key}, order.logical_id)
        enabled = str(order.properties.get("Enabled", "true")).lower() == "true"
        call("kms", "enable_key" if enabled else "disable_key", {"KeyId": key}, order.logical_id)


KINDS = (
    Role(),
    InlinePolicy(),
    ManagedPolicy(),
    Secret(),
    Key(),
    ApiKind(
        "AWS::KMS::Alias",
        "kms",
        "create_alias",
        delete_by="delete_alias",
        update_by="update_alias",
        ref=lambda properties, _: str(properties["AliasName"]),
        identify=lambda alias, _: {"AliasName": alias},
    ),
    ApiKind(
        "AWS::SSM::Parameter",
        "ssm",
        "put_parameter",
        delete_by="delete_parameter",
        update_by="put_parameter",
        on_update={"Overwrite": True},
        name="Name",
        name_limit=1011,
        ref=lambda properties, _: str(properties["Name"]),
        attributes=lambda _, properties, __: {"Type": properties["Type"], "Value": properties["Value"]},
        identify=lambda parameter, _: {"Name": parameter},
        prepare=lambda properties: {
            **properties,
            **(
                {"Tags": [{"Key": key, "Value": value} for key, value in properties["Tags"].items()]}
                if "Tags" in properties
                else {}
            ),
        },
    ),
)
