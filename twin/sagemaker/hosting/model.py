"""Models: an image, the data in S3, the environment. What AWS checks when a model is made is checked here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twin.sagemaker import listing, objects
from twin.sagemaker.account import Account, Request, Resource
from twin.sagemaker.errors import invalid, unsupported
from twin.sagemaker.execution_role import ExecutionRole
from twin.sagemaker.image_pull import pull

#: The supported fields of a container; others are refused.
_CONTAINER_FIELDS = {
    "Image",
    "ModelDataUrl",
    "Environment",
    "ContainerHostname",
    "Mode",
    "ImageConfig",
}


class Model(Resource):
    """A model; its request describes the container."""

    def describe(self) -> dict[str, Any]:
        """DescribeModel."""
        return {"EnableNetworkIsolation": False, **super().describe(), "ModelArn": self.arn}


@dataclass(frozen=True)
class Served:
    """What one variant runs. data: S3 URI of the model, a tar.gz. role: ARN of the execution role."""

    image: str
    data: str | None
    role: str
    environment: dict[str, str] = field(default_factory=dict)


def create_model(account: Account, request: Request) -> dict[str, Any]:
    if not request.get("ExecutionRoleArn"):
        raise invalid("ExecutionRoleArn must be specified.")
    if request.get("PrimaryContainer") and request.get("Containers"):
        raise invalid("PrimaryContainer and Containers cannot both be specified.")
    served = _served(request)
    role = ExecutionRole(served.role)
    try:
        pull(served.image)
    except KeyError:
        raise invalid(f"Requested image {served.image} not found.") from None
    if served.data and not objects.exists(role.s3, served.data):
        raise invalid(
            f"Could not access model data at {served.data}. Please ensure that the role {role.arn} exists, that it has "
            "s3:GetObject permissions and that the object exists."
        )
    name = request["ModelName"]
    model = Model(name, account.arn("model", name), request)
    account.put(model, invalid(f'Cannot create already existing model "{model.arn}".'))
    return {"ModelArn": model.arn}


def describe_model(account: Account, request: Request) -> dict[str, Any]:
    return find(account, request["ModelName"]).describe()


def list_models(account: Account, request: Request) -> dict[str, Any]:
    return listing.page("Models", account.all(Model), listing.fields("ModelName ModelArn CreationTime"), request)


def delete_model(account: Account, request: Request) -> dict[str, Any]:
    model = find(account, request["ModelName"])
    account.all(Model).pop(model.name, None)
    return {}


def find(account: Account, name: str) -> Model:
    """The model of that name; Refused when it does not exist."""
    return account.find(Model, name, invalid(f'Could not find model "{account.arn("model", name)}".'))


def served_by(account: Account, name: str) -> Served:
    """What the model's container runs; Refused when the model is gone."""
    return _served(find(account, name).request)


def _container(request: Request) -> dict[str, Any]:
    containers: list[dict[str, Any]] = request.get("Containers") or []
    if len(containers) > 1:
        raise unsupported("inference pipelines of several containers")
    container = request.get("PrimaryContainer") or (containers[0] if containers else None)
    if not container:
        raise invalid("Either PrimaryContainer or Containers must be specified.")
    others = sorted(set(container) - _CONTAINER_FIELDS)
    if others:
        raise unsupported(f"{', '.join(others)} in a model's container")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise unsupported("multi-model endpoints")
    return container


def _served(request: Request) -> Served:
    container = _container(request)
    if not container.get("Image"):
        raise invalid("Image must be specified.")
    data = container.get("ModelDataUrl")
    if data and not data.startswith("s3://"):
        raise invalid(f"The model data must lie in S3, and its URI is {data}.")
    return Served(container["Image"], data, request["ExecutionRoleArn"], dict(container.get("Environment") or {}))
