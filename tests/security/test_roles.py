"""Which roles exist, and what those of the schedules and of the erasures may do."""

from fnmatch import fnmatchcase

import pytest

from tests.support.functions import NAMES
from tests.support.template import Template, actions_of, logical, read_template, resources_of, statements_of


@pytest.fixture(scope="module")
def template() -> Template:
    return read_template()


def test_a_schedule_may_only_start_its_function(template: Template) -> None:
    """And report the events that it gave up."""
    roles = {}
    for name, resource in template["Resources"].items():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "ScheduleV2":
                schedule = event["Properties"]
                roles[schedule["RoleArn"][1].partition(".")[0]] = {
                    ("lambda:InvokeFunction", name),
                    ("sqs:SendMessage", schedule["DeadLetterConfig"]["Arn"][1].partition(".")[0]),
                }
    for role, expected in roles.items():
        assert {
            (action, resource[1].partition(".")[0])
            for statement in statements_of(template, role)
            for action in actions_of(statement)
            for resource in resources_of(statement)
        } == expected


def test_only_one_role_may_change_an_item_and_only_its_texts(template: Template) -> None:
    """Every other right to write puts whole items, each under its own condition, or deletes rows of no ledger."""
    changing = [
        (role, statement)
        for role, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
        for statement in statements_of(template, role)
        if any(fnmatchcase("dynamodb:UpdateItem", action) for action in actions_of(statement))
    ]

    [(role, statement)] = changing
    assert role == "ErasuresRole"
    assert statement["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ACCOUNT#*"]},
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["PK", "SK", "texts"]},
    }


def test_there_are_no_other_roles(template: Template) -> None:
    roles = {name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::IAM::Role"}
    scheduled = {name for name in roles if name.endswith("ScheduleRole")}
    assert roles - scheduled == {f"{logical(function)}Role" for function in NAMES} | {"CanaryRole"}
