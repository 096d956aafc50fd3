"""HTTP APIs: the API with its address on this machine, its integrations, routes and stages."""

from __future__ import annotations

from typing import Any

from twin.apigateway import gateway
from twin.cloudformation.errors import ResourceError
from twin.cloudformation.kinds.base import ApiKind, Existing

#: What the twin's gateway does, property by property; anything else is refused when it is deployed.
_ONLY = {
    "ProtocolType": ("HTTP",),
    "AuthorizationType": ("NONE", "AWS_IAM"),
    "IntegrationType": ("AWS_PROXY",),
    "PayloadFormatVersion": ("2.0",),
}


class Api(ApiKind):
    """AWS::ApiGatewayV2::Api; ApiEndpoint is where the twin's gateway listens for it."""

    def delete(self, existing: Existing) -> None:
        ApiKind.delete(self, existing)
        gateway.current().close(existing.physical_id)


def _served(properties: dict[str, Any]) -> dict[str, Any]:
    for name, values in _ONLY.items():
        if name in properties and str(properties[name]) not in values:
            raise ResourceError(f"{name} {properties[name]}: the twin's gateway serves {' and '.join(values)} alone")
    return properties


def _child(physical_id: str, properties: Any, name: str) -> dict[str, Any]:
    return {"ApiId": properties["ApiId"], name: physical_id}


KINDS = (
    Api(
        "AWS::ApiGatewayV2::Api",
        "apigatewayv2",
        "create_api",
        delete_by="delete_api",
        update_by="update_api",
        ref=lambda _, answer: str(answer["ApiId"]),
        attributes=lambda api, *_: {"ApiId": api, "ApiEndpoint": gateway.current().url(api)},
        identify=lambda api, _: {"ApiId": api},
        replace_on=lambda properties: properties.get("ProtocolType"),
        ignored={"Tags": "nothing reads them here"},
        prepare=_served,
    ),
    ApiKind(
        "AWS::ApiGatewayV2::Integration",
        "apigatewayv2",
        "create_integration",
        delete_by="delete_integration",
        update_by="update_integration",
        ref=lambda _, answer: str(answer["IntegrationId"]),
        attributes=lambda integration, *_: {"IntegrationId": integration},
        identify=lambda integration, properties: _child(integration, properties, "IntegrationId"),
        replace_on=lambda properties: properties["ApiId"],
        prepare=_served,
    ),
    ApiKind(
        "AWS::ApiGatewayV2::Route",
        "apigatewayv2",
        "create_route",
        delete_by="delete_route",
        update_by="update_route",
        ref=lambda _, answer: str(answer["RouteId"]),
        attributes=lambda route, *_: {"RouteId": route},
        identify=lambda route, properties: _child(route, properties, "RouteId"),
        replace_on=lambda properties: properties["ApiId"],
        prepare=_served,
    ),
    ApiKind(
        "AWS::ApiGatewayV2::Stage",
        "apigatewayv2",
        "create_stage",
        delete_by="delete_stage",
        ref=lambda properties, _: str(properties["StageName"]),
        identify=lambda stage, properties: _child(stage, properties, "StageName"),
        ignored={
            "DefaultRouteSettings": "the twin's gateway neither throttles nor counts",
            "AccessLogSettings": "the twin's gateway writes no access log",
            "Tags": "nothing reads them here",
        },
    ),
)
