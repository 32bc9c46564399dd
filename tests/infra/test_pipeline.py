"""The pipeline deploys one tested build. It has never run at GitHub. Its roles: test_pipeline_rights.py."""

import re
from typing import Any

import pytest
import yaml

from tests.support.processed_template import long_form
from tests.support.template import TEMPLATE, Template, actions_of

ROOT = TEMPLATE.parent
# What AWS knows no resource for, or none before it exists.
ON_EVERYTHING = {
    "cloudformation:GetTemplateSummary",
    "cloudwatch:DescribeAlarms",
    "cognito-idp:CreateUserPool",
    "cognito-idp:DescribeUserPoolDomain",
    "lambda:CreateEventSourceMapping",
    "lambda:GetAccountSettings",
    "secretsmanager:GetRandomPassword",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text("utf-8"))["jobs"]
    return found


@pytest.fixture(scope="module")
def roles() -> Template:
    return long_form((ROOT / "deployment/github-role.yaml").read_text("utf-8"))


def statements(roles: Template, role: str) -> list[dict[str, Any]]:
    policies = roles["Resources"][role]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_prod_gets_what_was_tested_built_and_checked_in_staging(jobs: dict[str, Any]) -> None:
    assert [(name, job.get("needs")) for name, job in jobs.items()] == [
        ("test", None),
        ("build", "test"),
        ("staging", "build"),
        ("prod", "staging"),
    ]
    builds = [name for name, job in jobs.items() if any("make build" in step.get("run", "") for step in job["steps"])]
    assert builds == ["build"]
    for name in ("staging", "prod"):
        commands = [step["run"] for step in jobs[name]["steps"] if "run" in step]
        assert jobs[name]["environment"] == name
        assert commands[0].startswith(f"make release ENV={name} ")
        assert commands[-1] == f"make check-deployed ENV={name}"


def test_only_deploying_jobs_may_ask_for_aws_credentials(jobs: dict[str, Any]) -> None:
    asking = [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})]

    assert asking == ["staging", "prod"]


def test_each_action_is_the_commit_that_was_read() -> None:
    used = re.findall(r"uses: (.*)", (ROOT / ".github/workflows/deploy.yml").read_text("utf-8"))

    assert len(used) > 8
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_only_one_environment_of_one_repository_may_deploy(roles: Template) -> None:
    [trust] = roles["Resources"]["Deployer"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {
                "Fn::Sub": "repo:${Repository}:environment:${GitHubEnvironment}"
            },
        }
    }


@pytest.mark.parametrize("role", ["Deployer", "Execution"])
def test_a_right_on_everything_has_no_narrower_form(roles: Template, role: str) -> None:
    wide = {
        action
        for statement in statements(roles, role)
        if statement["Resource"] == "*"
        for action in actions_of(statement)
    }

    assert wide <= ON_EVERYTHING


def test_cloudformation_reads_no_secret_and_deletes_no_table(roles: Template) -> None:
    actions = {action for statement in statements(roles, "Execution") for action in actions_of(statement)}

    assert not actions & {"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:*"}
    assert not actions & {"sqs:ReceiveMessage", "sqs:*", "sns:Publish", "sns:*"}
    assert not actions & {"dynamodb:DeleteTable", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:*"}
    assert not any(action.startswith("iam:") and action.endswith("*") for action in actions)
