"""The processed template has the values of expected_template.py, and no resource that it does not know."""

import json
import re
from typing import Any

import pytest

from tests.support import expected_alarms, expected_parameters
from tests.support import expected_events as events
from tests.support import expected_template as expected
from tests.support.processed_template import processed
from tests.support.template import TEMPLATE, Template, of_type


@pytest.fixture(scope="module")
def template() -> Template:
    return processed(TEMPLATE.read_text("utf-8"))


def without(properties: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in names}


def test_parameters_have_safe_defaults_and_limits(template: Template) -> None:
    found = {name: without(parameter, "Description") for name, parameter in template["Parameters"].items()}
    assert found == expected_parameters.PARAMETERS | events.PARAMETERS
    assert template["Conditions"] == expected_parameters.CONDITIONS | events.CONDITIONS


def test_parameters_that_contradict_each_other_are_refused(template: Template) -> None:
    found = {
        name: (rule["RuleCondition"], [assertion["Assert"] for assertion in rule["Assertions"]])
        for name, rule in template["Rules"].items()
    }
    assert found == expected_parameters.RULES


def test_there_is_no_other_kind_of_resource(template: Template) -> None:
    assert {resource["Type"] for resource in template["Resources"].values()} == expected.KINDS | events.KINDS
    conditional = {
        name: resource["Condition"]
        for name, resource in template["Resources"].items()
        if "Condition" in resource and resource["Type"] != "AWS::Lambda::Version"
    }
    assert conditional == expected.CONDITIONAL | events.CONDITIONAL


def test_the_ledger_its_pepper_and_callers_outlive_the_stack(template: Template) -> None:
    policies = ("DeletionPolicy", "UpdateReplacePolicy")
    found = {
        name: tuple(resource.get(policy) for policy in policies) for name, resource in template["Resources"].items()
    }
    # SAM gives a layer's version the policy that its RetentionPolicy asks for, and keeps the versions of functions.
    passing = {(None, None), ("Delete", None)}
    versions = of_type(template, "AWS::Lambda::Version")
    kept = {name: policy for name, policy in found.items() if policy not in passing and name not in versions}
    assert kept == dict.fromkeys(expected.RETAINED | events.RETAINED, ("Retain", "Retain"))


def test_functions_have_enough_memory_and_time(template: Template) -> None:
    of_no_interest = ("Description", "Code", "Tags", "Layers", "Environment")
    found = {
        name: without(function, *of_no_interest)
        for name, function in of_type(template, "AWS::Lambda::Function").items()
    }
    assert found == expected.FUNCTION_SETTINGS


def test_every_function_has_the_one_layer(template: Template) -> None:
    [layer] = of_type(template, "AWS::Lambda::LayerVersion")
    assert all(
        function["Layers"] == [{"Ref": layer}] for function in of_type(template, "AWS::Lambda::Function").values()
    )


def test_environment_variables_have_one_meaning_everywhere(template: Template) -> None:
    expected_variables = expected.VARIABLES | events.VARIABLES
    found: dict[str, Any] = {}
    for function in of_type(template, "AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        plain = {name: value for name, value in variables.items() if not name.endswith("_SECRET_NAME")}
        assert plain == {name: expected_variables.get(name) for name in plain}
        found |= plain
    assert found == expected_variables


def test_logs_are_kept_for_the_retention_and_no_longer(template: Template) -> None:
    assert of_type(template, "AWS::Logs::LogGroup") == expected.LOG_GROUPS


def test_the_api_is_throttled_and_logs_no_secrets(template: Template) -> None:
    [stage] = of_type(template, "AWS::ApiGatewayV2::Stage").values()
    access_log = stage["AccessLogSettings"]
    found = without(stage, "Tags", "AccessLogSettings") | {"AccessLogDestination": access_log["DestinationArn"]}
    assert found == expected.STAGE
    assert json.loads(access_log["Format"]) == expected.ACCESS_LOG


def test_the_access_log_has_no_path_query_body_or_address(template: Template) -> None:
    """A path has the ids of accounts, and a query can have a customer's name. The route is the pattern."""
    [stage] = of_type(template, "AWS::ApiGatewayV2::Stage").values()

    logged = re.findall(r"\$\w+(?:\.\w+)*", stage["AccessLogSettings"]["Format"])

    assert "$context.routeKey" in logged
    personal = ("path", "query", "uri", "identity", "sourceIp", "userAgent", "header", "body", "$request", "claims.sub")
    assert not [name for name in logged for word in personal if word.lower() in name.lower()]


def test_a_route_that_cannot_be_created_fails_the_deployment(template: Template) -> None:
    [api] = of_type(template, "AWS::ApiGatewayV2::Api").values()
    assert api["FailOnWarnings"] is True


def test_the_authorizer_accepts_one_issuer_and_its_clients(template: Template) -> None:
    [api] = of_type(template, "AWS::ApiGatewayV2::Api").values()
    schemes = api["Body"]["components"]["securitySchemes"]
    assert {name: scheme["x-amazon-apigateway-authorizer"] for name, scheme in schemes.items()} == expected.AUTHORIZERS


def test_clients_are_programs_with_few_scopes(template: Template) -> None:
    assert of_type(template, "AWS::Cognito::UserPool") == {"UserPool": expected.USER_POOL}
    assert of_type(template, "AWS::Cognito::UserPoolClient") == expected.CLIENTS


def test_the_table_is_protected_and_only_sessions_expire(template: Template) -> None:
    assert of_type(template, "AWS::DynamoDB::Table") == {"Table": expected.TABLE}


def test_a_changed_template_overwrites_no_secret(template: Template) -> None:
    secrets = of_type(template, "AWS::SecretsManager::Secret")
    found = {name: without(secret, "Description") for name, secret in secrets.items()}
    assert found == expected.SECRETS | events.SECRETS


def test_only_aws_services_of_this_account_assume_a_role(template: Template) -> None:
    roles = of_type(template, "AWS::IAM::Role")
    assert {name: role["AssumeRolePolicyDocument"] for name, role in roles.items()} == expected.TRUST
    # No managed policy, so the template lists everything that a role may do. The boundary takes from it only.
    assert {name for role in roles.values() for name in role} == {
        "AssumeRolePolicyDocument",
        "PermissionsBoundary",
        "Policies",
    }
    assert {name for name, role in roles.items() if role["PermissionsBoundary"] != expected.BOUNDARY} == set()


def test_schedules_run_retry_and_report_failures(template: Template) -> None:
    assert of_type(template, "AWS::Scheduler::Schedule") == expected.SCHEDULES
    assert of_type(template, "AWS::Lambda::EventInvokeConfig") == expected.ASYNC_CALLS


def test_dead_letters_are_kept_for_14_days_and_sent_by_few(template: Template) -> None:
    senders = {
        name
        for name, role in of_type(template, "AWS::IAM::Role").items()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "sqs:SendMessage" in statement["Action"]
    }
    assert of_type(template, "AWS::SQS::Queue") == {"DeadLetters": expected.QUEUE, **events.FIFO_QUEUES}
    assert senders == expected.SENDERS | events.SENDERS


def test_alarms_ring_on_the_right_number_and_reach_a_person(template: Template) -> None:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    assert {
        name: without(alarm, "AlarmDescription") for name, alarm in alarms.items()
    } == expected_alarms.ALARMS | events.ALARMS
    assert of_type(template, "AWS::SNS::Topic") == {"AlarmTopic": expected_alarms.TOPIC}


def test_changes_and_messages_start_the_right_functions(template: Template) -> None:
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping")
    [changes] = mappings["PublishFunctionChanges"].pop("FilterCriteria")["Filters"]

    assert mappings == {"PublishFunctionChanges": events.STREAM, "DeliverFunctionMessages": events.MESSAGES}
    assert json.loads(changes["Pattern"]) == events.CHANGES
    assert of_type(template, "AWS::Events::EventBus") == {"EventBus": events.BUS}


def test_a_stack_with_an_existing_table_refers_to_that_one_alone(template: Template) -> None:
    parts = {**template["Resources"], "Outputs": template["Outputs"]}

    used = references(chosen({name: part for name, part in parts.items() if name != "Table"}, "HasExistingTable"))

    assert "ExistingTable" in used
    assert "Table" not in used
    # The stack's own table stays in it, with or without another one.
    assert "Condition" not in template["Resources"]["Table"]


def chosen(part: Any, condition: str) -> Any:
    """The part of a template with the branch of each Fn::If that it has if this condition is true."""
    if isinstance(part, list):
        return [chosen(each, condition) for each in part]
    if not isinstance(part, dict):
        return part
    if part.keys() == {"Fn::If"} and part["Fn::If"][0] == condition:
        return chosen(part["Fn::If"][1], condition)
    return {name: chosen(each, condition) for name, each in part.items()}


def references(part: Any) -> set[str]:
    """The names that a part of a template refers to."""
    if isinstance(part, list):
        return set[str]().union(*map(references, part))
    if not isinstance(part, dict):
        return set()
    found = set[str]().union(*map(references, part.values()))
    if isinstance(part.get("Ref"), str):
        found.add(part["Ref"])
    if isinstance(part.get("Fn::GetAtt"), list):
        found.add(part["Fn::GetAtt"][0])
    sub = part.get("Fn::Sub")
    text = sub[0] if isinstance(sub, list) else sub
    return found | set(re.findall(r"\$\{(\w+)", text or ""))
