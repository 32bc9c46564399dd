"""The API's routes are created as its OpenAPI body says, and a route without security isn't open."""

import pytest

from local.processes import LocalStackError
from local.routes import authorization, resolve

NAMES = {
    "UserPool": "pool-1",
    "AWS::Region": "us-east-1",
    "ConsumeFunction.Arn": "arn:consume",
    "JwtIssuer": "",
    "JwtAudience": "",
    "ExtraClients": "",
}


def test_intrinsic_functions_of_the_body_are_resolved() -> None:
    body = {
        "issuer": {"Fn::If": ["OwnUserPool", {"Fn::Sub": "https://${AWS::Region}/${UserPool}"}, {"Ref": "JwtIssuer"}]},
        "uri": [{"Fn::Sub": "to ${ConsumeFunction.Arn}"}],
    }
    assert resolve(body, NAMES) == {"issuer": "https://us-east-1/pool-1", "uri": ["to arn:consume"]}


def test_an_issuer_of_its_own_brings_its_audiences() -> None:
    names = {**NAMES, "JwtIssuer": "https://issuer", "JwtAudience": "a,b"}
    body = {"Fn::If": ["OwnUserPool", ["the pool's"], {"Fn::Split": [",", {"Ref": "JwtAudience"}]}]}

    assert (resolve(body, NAMES), resolve(body, names)) == (["the pool's"], ["a", "b"])


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        resolve({"Ref": "Elsewhere"}, NAMES)


def test_scopes_are_passed_to_the_gateway() -> None:
    assert authorization({"security": [{"Jwt": ["prepaid/read"]}]}, {"Jwt": "a1"}) == {
        "AuthorizationType": "JWT",
        "AuthorizerId": "a1",
        "AuthorizationScopes": ["prepaid/read"],
    }


def test_only_an_explicit_none_is_open() -> None:
    assert authorization({"security": [{"NONE": []}]}, {}) == {"AuthorizationType": "NONE"}


@pytest.mark.parametrize("operation", [{}, {"security": []}, {"security": [{}]}, {"security": [{"A": []}, {"B": []}]}])
def test_anything_else_stops_the_start(operation: dict[str, object]) -> None:
    with pytest.raises(LocalStackError):
        authorization(operation, {"A": "a", "B": "b"})
