"""What makes SAM publish a new version of a function: without one, the alias stays on an earlier release's code."""

import re

import pytest

from tests.support.expected_template import FUNCTIONS, SCHEDULED
from tests.support.processed_template import processed
from tests.support.template import TEMPLATE, Template, of_type

SOURCE = TEMPLATE.read_text("utf-8")
EVERY = {f"{name}Function" for name in FUNCTIONS}


def versions(template: Template) -> dict[str, str]:
    """The logical id of each function's version. A new id is a new version."""
    return {version["FunctionName"]["Ref"]: name for name, version in of_type(template, "AWS::Lambda::Version").items()}


def changed(before: Template, after: Template) -> set[str]:
    """The functions that get a new version."""
    old, new = versions(before), versions(after)
    return {name for name in old if old[name] != new[name]}


def test_every_function_is_reached_through_its_alias() -> None:
    template = processed(SOURCE)

    aliases = of_type(template, "AWS::Lambda::Alias")
    assert {alias["FunctionName"]["Ref"]: alias["FunctionVersion"]["Fn::GetAtt"][0] for alias in aliases.values()} == (
        versions(template)
    )
    assert set(versions(template)) == EVERY
    [api] = of_type(template, "AWS::ApiGatewayV2::Api").values()
    reached = re.findall(r"functions/(.*?)/invocations", str(api["Body"]))
    assert len(reached) > len(EVERY)
    assert all(re.fullmatch(r"\$\{\w+Aliaslive\}", name) for name in reached)


def test_a_changed_layer_alone_publishes_every_function() -> None:
    before = processed(SOURCE, {"PrepaidLayer": "s3://bucket/layer-of-release-1"})

    after = processed(SOURCE, {"PrepaidLayer": "s3://bucket/layer-of-release-2"})

    assert changed(before, after) == EVERY


def test_a_changed_handler_publishes_its_function() -> None:
    after = processed(SOURCE, {"ConsumeFunction": "s3://bucket/consume-of-release-2"})

    assert changed(processed(SOURCE), after) == {"ConsumeFunction"}


def test_a_changed_setting_in_the_template_publishes() -> None:
    after = processed(SOURCE.replace("    MemorySize: 512", "    MemorySize: 640", 1))

    assert changed(processed(SOURCE), after) >= {"ConsumeFunction", "BalanceQueryFunction", "AccountsFunction"}


def test_a_changed_parameter_alone_publishes_nothing() -> None:
    """SAM names a version before it knows the values: deployment/marks.py changes the functions' code instead."""
    after = processed(SOURCE, parameters={"ReturnUrl": "https://shop.example.com/credits", "LogLevel": "DEBUG"})

    assert changed(processed(SOURCE), after) == set()


@pytest.mark.parametrize(
    "left_out", ["    AutoPublishAliasAllProperties: true\n", "      PublishLambdaVersion: true\n"]
)
def test_the_obvious_way_would_freeze_the_code(left_out: str) -> None:
    """Why the template has both lines."""
    frozen = SOURCE.replace(left_out, "", 1)
    before = processed(frozen, {"PrepaidLayer": "s3://bucket/layer-of-release-1"})

    after = processed(frozen, {"PrepaidLayer": "s3://bucket/layer-of-release-2"})

    assert frozen != SOURCE
    assert changed(before, after) == set()


def test_a_schedule_may_start_what_it_targets() -> None:
    template = processed(SOURCE)

    for name in SCHEDULED:
        target = template["Resources"][f"{name}FunctionSchedule"]["Properties"]["Target"]["Arn"]
        [policy] = template["Resources"][f"{name}ScheduleRole"]["Properties"]["Policies"]
        allowed = [
            statement["Resource"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Action"] == "lambda:InvokeFunction"
        ]
        assert allowed == [target] == [{"Ref": f"{name}FunctionAliaslive"}]


def test_a_canary_shifts_every_alias_and_watches_alarms() -> None:
    template = processed(SOURCE, parameters={"Canary": "true"})

    groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
    assert len(groups) == len(EVERY)
    for group in groups.values():
        assert group["DeploymentConfigName"] == {
            "Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": "Canary10Percent5Minutes"}]
        }
        names = [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]]
        # A metric-math alarm of the API, by the name that the template gives it.
        by_name = template["Resources"]["ApiErrors"]["Properties"]["AlarmName"]
        assert by_name in names
        watched = [name["Ref"] for name in names if name != by_name]
        assert {"InternalErrors", "ConsumeErrors", "CheckoutErrors", "PurchaseWebhookErrors"} <= set(watched)
        # CloudFormation refuses a circle: the API needs the aliases, and those wait for the groups.
        assert "HttpApi" not in str([template["Resources"][name] for name in watched])
        assert group["AutoRollbackConfiguration"]["Enabled"] is True
        assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["CanaryRole", "Arn"]}
    for name in EVERY:
        assert "CodeDeployLambdaAliasUpdate" in template["Resources"][f"{name}Aliaslive"]["UpdatePolicy"]


def test_without_a_canary_there_is_no_codedeploy() -> None:
    assert not [resource for resource in processed(SOURCE)["Resources"].values() if "CodeDeploy" in resource["Type"]]
