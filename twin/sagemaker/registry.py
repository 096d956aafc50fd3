"""The model registry: package groups, their versions, and the approval that decides what may serve."""

from __future__ import annotations

from typing import Any

from twin.sagemaker import listing
from twin.sagemaker.account import Account, Request, Resource, send_status_event
from twin.sagemaker.errors import Refused, invalid, unsupported

_CHANGED_BY_UPDATE = ("ModelApprovalStatus", "ApprovalDescription")
_SUMMARY = """ModelPackageGroupName ModelPackageVersion ModelPackageArn ModelPackageDescription ModelPackageStatus
    CreationTime ModelApprovalStatus"""


class Group(Resource):
    """A model package group; version numbers are not reused after deletions, as on AWS."""

    last_version = 0

    def describe(self) -> dict[str, Any]:
        """DescribeModelPackageGroup, and its line in the list."""
        return {
            **self.request,
            "ModelPackageGroupArn": self.arn,
            "CreationTime": self.created,
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
        }


class Package(Resource):
    """One version of a model package in a group."""

    group: Group
    version: int

    def describe(self) -> dict[str, Any]:
        """DescribeModelPackage."""
        status: dict[str, list[Any]] = {"ValidationStatuses": [], "ImageScanStatuses": []}
        return {
            "ModelApprovalStatus": "PendingManualApproval",
            **self.request,
            "ModelPackageName": self.group.name,
            "ModelPackageGroupName": self.group.name,
            "ModelPackageVersion": self.version,
            "ModelPackageArn": self.arn,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "CreatedBy": {},
        }

    def announce(self) -> None:
        """Send the status event, from which users of AWS start deployments."""
        send_status_event("Model Package", self.arn, self.describe())


def create_model_package_group(account: Account, request: Request) -> dict[str, Any]:
    name = request["ModelPackageGroupName"]
    group = Group(name, account.arn("model-package-group", name), request)
    account.put(group, invalid(f"Model Package Group already exists: {group.arn}"))
    return {"ModelPackageGroupArn": group.arn}


def describe_model_package_group(account: Account, request: Request) -> dict[str, Any]:
    return _group(account, request["ModelPackageGroupName"]).describe()


def delete_model_package_group(account: Account, request: Request) -> dict[str, Any]:
    group = _group(account, request["ModelPackageGroupName"])
    with account.lock:
        if any(package.group is group for package in account.all(Package).values()):
            raise Refused("ConflictException", f"Model Package Group {group.arn} cannot be deleted: it is not empty.")
        account.all(Group).pop(group.name, None)
    return {}


def create_model_package(account: Account, request: Request) -> dict[str, Any]:
    if request.get("ModelPackageName"):
        raise unsupported("model packages outside of a group")
    if not request.get("ModelPackageGroupName"):
        raise invalid("ModelPackageGroupName must be specified.")
    group = _group(account, request["ModelPackageGroupName"])
    _check_containers(request)
    with account.lock:
        version = group.last_version = group.last_version + 1
    arn = account.arn("model-package", f"{group.name}/{version}")
    package = Package(arn, arn, {name: value for name, value in request.items() if name != "ClientToken"})
    package.group, package.version = group, version
    account.put(package, invalid(f"{arn} exists already"))
    package.announce()
    return {"ModelPackageArn": arn}


def _check_containers(request: Request) -> None:
    containers = (request.get("InferenceSpecification") or {}).get("Containers") or []
    for container in containers:
        if not container.get("ModelDataUrl", "s3://").startswith("s3://"):
            raise invalid(f"ModelDataUrl must begin with s3://, and is {container['ModelDataUrl']!r}.")


def describe_model_package(account: Account, request: Request) -> dict[str, Any]:
    return package_of(account, request["ModelPackageName"]).describe()


def update_model_package(account: Account, request: Request) -> dict[str, Any]:
    package = package_of(account, request["ModelPackageArn"])
    others = sorted(set(request) - {"ModelPackageArn", *_CHANGED_BY_UPDATE})
    if others:
        raise unsupported(f"UpdateModelPackage with {', '.join(others)}")
    with account.lock:
        package.request.update({name: request[name] for name in _CHANGED_BY_UPDATE if name in request})
        package.touch()
    package.announce()
    return {"ModelPackageArn": package.arn}


def list_model_packages(account: Account, request: Request) -> dict[str, Any]:
    packages = account.all(Package)
    if "ModelPackageGroupName" in request:
        group = _group(account, request["ModelPackageGroupName"])
        packages = {arn: package for arn, package in list(packages.items()) if package.group is group}
    filters = {"StatusEquals": request.get("ModelApprovalStatus")}
    return listing.page(
        "ModelPackageSummaryList", packages, listing.fields(_SUMMARY), {**request, **filters}, "ModelApprovalStatus"
    )


def delete_model_package(account: Account, request: Request) -> dict[str, Any]:
    package = package_of(account, request["ModelPackageName"])
    account.all(Package).pop(package.name, None)
    return {}


def package_of(account: Account, name: str) -> Package:
    """The package of an ARN (or of a group's name, its only version); Refused when it does not exist."""
    return account.find(Package, name, invalid(f"Model Package {name} does not exist."))


def _group(account: Account, name: str) -> Group:
    missing = invalid(f"Model Package Group {name} does not exist.")
    return account.find(Group, name.rpartition("/")[2], missing)
