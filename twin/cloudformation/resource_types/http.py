"""HTTP APIs: the API with its address on this machine, its integrations, routes and stages."""

from __future__ import annotations

from typing import Any

from twin.apigateway import gateway
from twin.cloudformation.errors import ResourceError
from twin.cloudformation.resource_types.base import ApiResourceType, ExistingResource

#: The property values that the twin's gateway supports; anything else is refused at deployment.
_ONLY = {
    "ProtocolType": ("HTTP",),
    "AuthorizationType": ("NONE", "AWS_IAM"),
    "IntegrationType": ("AWS_PROXY",),
    "PayloadFormatVersion": ("2.0",),
    "StageName": ("$default",),
    "AutoDeploy": ("True",),
}
_UNSUPPORTED = ("CorsConfiguration", "StageVariables")


class Api(ApiResourceType):
    """AWS::ApiGatewayV2::Api; ApiEndpoint is where the twin's gateway listens for it."""

    def delete(self, existing: ExistingResource) -> None:
        ApiResourceType.delete(self, existing)
        gateway.current().close(existing.physical_id)


def _supported(properties: dict[str, Any]) -> dict[str, Any]:
    for name, values in _ONLY.items():
        if name in properties and str(properties[name]) not in values:
            raise ResourceError(f"{name} {properties[name]}: the twin's gateway supports only {' and '.join(values)}")
    if unsupported := [name for name in _UNSUPPORTED if name in properties]:
        raise ResourceError(f"{unsupported[0]}: the twin's gateway does not support it")
    if "{" in properties.get("RouteKey", "") or properties.get("RouteKey", "").startswith(("ANY ", "$")):
        raise ResourceError(f"RouteKey {properties['RouteKey']}: the twin's gateway supports only METHOD /literal/path")
    return properties


def _child(physical_id: str, properties: Any, name: str) -> dict[str, Any]:
    return {"ApiId": properties["ApiId"], name: physical_id}


RESOURCE_TYPES = (
    Api(
        "AWS::ApiGatewayV2::Api",
        "apigatewayv2",
        "create_api",
        delete_by="delete_api",
        update_by="update_api",
        ref=lambda _, response: str(response["ApiId"]),
        attributes=lambda api, *_: {"ApiId": api, "ApiEndpoint": gateway.current().url(api)},
        identify=lambda api, _: {"ApiId": api},
        replace_on=lambda properties: properties.get("ProtocolType"),
        prepare=_supported,
    ),
    ApiResourceType(
        "AWS::ApiGatewayV2::Integration",
        "apigatewayv2",
        "create_integration",
        delete_by="delete_integration",
        update_by="update_integration",
        ref=lambda _, response: str(response["IntegrationId"]),
        identify=lambda integration, properties: _child(integration, properties, "IntegrationId"),
        replace_on=lambda properties: properties["ApiId"],
        prepare=_supported,
    ),
    ApiResourceType(
        "AWS::ApiGatewayV2::Route",
        "apigatewayv2",
        "create_route",
        delete_by="delete_route",
        update_by="update_route",
        ref=lambda _, response: str(response["RouteId"]),
        identify=lambda route, properties: _child(route, properties, "RouteId"),
        replace_on=lambda properties: properties["ApiId"],
        prepare=_supported,
    ),
    ApiResourceType(
        "AWS::ApiGatewayV2::Stage",
        "apigatewayv2",
        "create_stage",
        delete_by="delete_stage",
        ref=lambda properties, _: str(properties["StageName"]),
        identify=lambda stage, properties: _child(stage, properties, "StageName"),
        ignored={"DefaultRouteSettings": "the twin's gateway does not throttle"},
        prepare=_supported,
    ),
)
