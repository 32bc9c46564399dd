"""The local cloud's names and secrets are those that AWS would make up: none is overwritten, none looks like JSON."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.cloud import Cloud, emulator
from local.deploy import client

STACK = "again"
SECRET = {
    "Type": "AWS::SecretsManager::Secret",
    "DeletionPolicy": "Retain",
    "Properties": {"GenerateSecretString": {"PasswordLength": 400, "ExcludePunctuation": True}},
}
TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "DeletionPolicy": "Retain",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
    },
}
ROW = {"PK": {"S": "kept"}}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with emulator("tests-names") as running:
        yield running


def template(**more: Any) -> str:
    return json.dumps({"Resources": {"Table": TABLE, "Secret": SECRET, **more}})


def names(cloud: Cloud) -> dict[str, str]:
    described = client(cloud, "cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in described}


def test_a_stack_created_again_overwrites_nothing_that_was_kept(cloud: Cloud) -> None:
    formation, dynamodb = client(cloud, "cloudformation"), client(cloud, "dynamodb")
    formation.create_stack(StackName=STACK, TemplateBody=template())
    formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    first = names(cloud)
    dynamodb.put_item(TableName=first["Table"], Item=ROW)

    formation.update_stack(StackName=STACK, TemplateBody=template(Topic={"Type": "AWS::SNS::Topic"}))
    formation.get_waiter("stack_update_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    updated = names(cloud)
    formation.delete_stack(StackName=STACK)
    formation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    formation.create_stack(StackName=STACK, TemplateBody=template())
    formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    second = names(cloud)

    assert updated.items() > first.items()
    assert first.keys() == second.keys()
    assert set(first.values()).isdisjoint(second.values())
    assert dynamodb.scan(TableName=first["Table"])["Items"] == [ROW]
    assert dynamodb.scan(TableName=second["Table"])["Items"] == []
    for secret in (first["Secret"], second["Secret"]):
        # Of 400 characters, a third would be punctuation.
        assert client(cloud, "secretsmanager").get_secret_value(SecretId=secret)["SecretString"].isalnum()
