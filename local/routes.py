"""Creates the emulated HTTP API's authorizer and routes.

SAM writes both into the API's OpenAPI body, which AWS imports and the emulator ignores. This module creates them from
that body, including scopes and audience, so that an open route or a missing client in the template shows in tests.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local.cloud import REGION
from local.deploy import Deployed, client
from local.processes import LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

API = "HttpApi"
PSEUDO = {"AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com", "AWS::Partition": "aws"}
ANY_METHOD = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
AUTHORIZER = "x-amazon-apigateway-authorizer"


def conditions_of(parameters: Mapping[str, str]) -> dict[str, bool]:
    """The template's conditions that occur in the body."""
    return {"OwnUserPool": not parameters["JwtIssuer"], "HasExtraClients": bool(parameters["ExtraClients"])}


def resolve(value: Any, names: Mapping[str, str]) -> Any:  # noqa: PLR0911 - one for each function
    """Evaluate the few CloudFormation functions that occur in the body. names: also the stack's parameters."""
    if isinstance(value, list):
        return [resolve(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": name}:
            return names[name]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda match: names[match[1]], text)
        case {"Fn::If": [condition, yes, no]}:
            return resolve(yes if conditions_of(names)[condition] else no, names)
        case {"Fn::Split": [separator, text]}:
            return resolve(text, names).split(separator)
    return {key: resolve(item, names) for key, item in value.items()}


def deployed_functions(template: Mapping[str, Any], resources: Mapping[str, str]) -> list[str]:
    """The template's functions that exist. One whose condition doesn't hold, such as the deliverer's, doesn't."""
    return [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function" and name in resources
    ]


def import_routes(stack: Deployed) -> None:
    """Create the authorizers, integrations and routes in the deployed API's body."""
    awslambda = client(stack.cloud, "lambda")
    arns = {
        name: awslambda.get_function(FunctionName=stack.resources[name])["Configuration"]["FunctionArn"]
        for name in deployed_functions(stack.template, stack.resources)
    }
    names = {**PSEUDO, **stack.parameters, **stack.resources, **{f"{name}.Arn": arn for name, arn in arns.items()}}
    body = stack.template["Resources"][API]["Properties"]["Body"]
    gateway: ApiGatewayV2Client = client(stack.cloud, "apigatewayv2")
    api_id = stack.outputs["ApiId"]
    authorizers = _create_authorizers(gateway, api_id, body, names)
    integrations: dict[str, str] = {}
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            uri = resolve(operation[INTEGRATION]["uri"], names)
            if uri not in integrations:
                integration = gateway.create_integration(
                    ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="2.0"
                )
                integrations[uri] = integration["IntegrationId"]
            gateway.create_route(
                ApiId=api_id,
                RouteKey=f"{'ANY' if method == ANY_METHOD else method.upper()} {path}",
                Target=f"integrations/{integrations[uri]}",
                **authorization(operation, authorizers),
            )


def _create_authorizers(
    gateway: "ApiGatewayV2Client", api_id: str, body: dict[str, Any], names: dict[str, str]
) -> dict[str, str]:
    created: dict[str, str] = {}
    for name, scheme in body["components"]["securitySchemes"].items():
        settings = resolve(scheme[AUTHORIZER], names)
        jwt = settings["jwtConfiguration"]
        created[name] = gateway.create_authorizer(
            ApiId=api_id,
            Name=name,
            AuthorizerType="JWT",
            IdentitySource=[settings["identitySource"]],
            JwtConfiguration={"Issuer": jwt["issuer"], "Audience": jwt["audience"]},
        )["AuthorizerId"]
    return created


def authorization(operation: dict[str, Any], authorizers: dict[str, str]) -> Any:
    """A route's authorization settings. Raises LocalStackError for a route without `security`, which isn't open."""
    match operation.get("security"):
        case [{"NONE": []}]:
            return {"AuthorizationType": "NONE"}
        case [dict(required)] if len(required) == 1:
            name, scopes = next(iter(required.items()))
            return {"AuthorizationType": "JWT", "AuthorizerId": authorizers[name], "AuthorizationScopes": scopes}
    raise LocalStackError(f"a route of the template has no readable security: {operation.get('security')!r}")
