"""`make check-deployed`: what is missing in an account, in words. tests/stack runs it against the local cloud."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployment import check
from deployment.check import Stack, expected_routes, missing, read_stack
from deployment.deploy import POLICY
from deployment.settings import ROOT, SettingsError, read_template
from fake_stripe.server import RunningFake
from tests.support.described_aws import DescribedAws, refusal
from tests.support.processed_template import long_form
from tests.support.template import actions_of

TEMPLATE = read_template()
TOPIC = "arn:aws:sns:us-east-1:111122223333:alarms"
NOW = datetime(2026, 11, 27, tzinfo=UTC)
CREATED = {"ResourceType": "any", "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}
KEY = "rk_test_of_a_stack_in_a_test"
UNPROTECTED = "the stack's policy isn't deployment/stack-policy.json, which protects the table: make deploy sets it"
WHY = "the last deployment failed; its events in CloudFormation show why"


class Gateway(BaseHTTPRequestHandler):
    """An API whose authorizer refuses what has no token. failing: routes that fail."""

    def __init__(self, failing: tuple[str, ...], *connection: Any) -> None:
        self.failing = failing
        # The base class answers the requests of the connection while it is created.
        super().__init__(*connection)

    def answer(self) -> None:
        patterns = {key.replace("{", "").replace("}", ""): scopes for key, scopes in expected_routes(TEMPLATE).items()}
        key = f"{self.command} {self.path}"
        status = 500 if key in self.failing else 401 if patterns.get(key) else 400
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def gateway(*failing: str) -> Iterator[str]:
    """The address of an API, some of whose routes fail."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Gateway, failing))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def api_url() -> Iterator[str]:
    with gateway() as url:
        yield url


@pytest.fixture(scope="module")
def stripe_url() -> Iterator[str]:
    with RunningFake(api_keys={KEY: None}) as fake:
        yield fake.url


def route(key: str, scopes: tuple[str, ...] | None) -> dict[str, Any]:
    if scopes is None:
        return {"RouteKey": key, "AuthorizationType": "NONE"}
    return {"RouteKey": key, "AuthorizationType": "JWT", "AuthorizationScopes": list(scopes)}


def function(params: Any) -> dict[str, Any]:
    """A function, and its version behind the alias, with the same code, layer and settings."""
    return {
        "Version": "7" if "Qualifier" in params else "$LATEST",
        "CodeSha256": "same",
        "Layers": [{"Arn": "arn:layer:7"}],
        "Environment": {"Variables": {"LOG_LEVEL": "INFO"}},
    }


SCHEDULED = ("Reconcile", "ExpirySweep", "Verify", "Publish")
SOURCES = ("PublishFunctionChanges", "DeliverFunctionMessages")
CONNECTED = {"State": "Enabled", "FunctionArn": "arn:aws:lambda:f:live"}


def physical(name: str) -> str:
    """An id of AWS. That of an event source is a UUID, which botocore recognises by its length."""
    return f"physical-{name}".ljust(36, "-") if name in SOURCES else f"physical-{name}"


def secret(_: Any) -> dict[str, Any]:
    return {"SecretString": json.dumps({"api_key": KEY, "webhook_secrets": ["whsec_in_a_test"]})}


@pytest.fixture
def aws(api_url: str, stripe_url: str) -> DescribedAws:
    """An account with a stack that lacks nothing."""
    names = [*TEMPLATE["Resources"], *(f"{name}FunctionSchedule" for name in SCHEDULED), *SOURCES]
    outputs = {"ApiUrl": api_url, "ApiId": "api", "TableName": "table", "AlarmTopicArn": TOPIC} | {
        f"{name}StripeSecretArn": name for name in check.KEYS
    }
    parameters = {
        "StripeLiveMode": "false",
        "StripeApiBase": stripe_url,
        "PaymentMethods": "card,pix",
        "ReturnUrl": "https://shop.example.com/credits",
        "ConcurrencyAlarm": "800",
    }
    stack = {
        "StackName": "prepaid",
        "CreationTime": NOW,
        "StackStatus": "UPDATE_COMPLETE",
        "EnableTerminationProtection": True,
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    alarms = [name for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    return DescribedAws(
        {
            "DescribeStacks": {"Stacks": [stack]},
            "ListStackResources": {
                "StackResourceSummaries": [
                    {"LogicalResourceId": name, "PhysicalResourceId": physical(name), **CREATED} for name in names
                ]
            },
            "GetStackPolicy": {"StackPolicyBody": POLICY.read_text("utf-8")},
            "GetRoutes": {"Items": [route(key, scopes) for key, scopes in expected_routes(TEMPLATE).items()]},
            "GetAuthorizers": {"Items": [{"Name": "Jwt", "JwtConfiguration": {"Audience": ["client"]}}]},
            "GetFunctionConfiguration": function,
            "GetAlias": {"FunctionVersion": "7"},
            "GetSchedule": {"State": "ENABLED", "Target": {"Arn": "arn:aws:lambda:f:live", "RoleArn": "arn:role"}},
            "GetEventSourceMapping": CONNECTED,
            "GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
            "DescribeAlarms": {
                "MetricAlarms": [
                    {"AlarmName": f"physical-{name}", "AlarmActions": [TOPIC], "StateValue": "OK"} for name in alarms
                ]
            },
            "ListSubscriptionsByTopic": {"Subscriptions": [{"SubscriptionArn": f"{TOPIC}:1"}]},
            "DescribeTable": {"Table": {"DeletionProtectionEnabled": True}},
            "DescribeContinuousBackups": {
                "ContinuousBackupsDescription": {
                    "ContinuousBackupsStatus": "ENABLED",
                    "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"},
                }
            },
            "DescribeTimeToLive": {"TimeToLiveDescription": {"AttributeName": "ttl", "TimeToLiveStatus": "ENABLED"}},
            "GetSecretValue": secret,
        }
    )


def found(aws: DescribedAws) -> list[str]:
    return missing(read_stack(aws.client, "prepaid", TEMPLATE))


def test_a_complete_stack_lacks_nothing(aws: DescribedAws) -> None:
    assert found(aws) == []


def test_the_pipeline_may_ask_what_the_check_asks(aws: DescribedAws) -> None:
    role = long_form((ROOT / "deployment/github-role.yaml").read_text("utf-8"))["Resources"]["Deployer"]["Properties"]
    rights = {
        action.partition(":")[2]
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in actions_of(statement)
    }

    assert found(aws) == []

    called = {operation for operation, _ in aws.calls}
    # API Gateway's rights are the methods of its API.
    assert called - rights == {"GetRoutes", "GetAuthorizers"}
    assert "GET" in rights


def test_a_stack_that_is_not_there_is_an_error(aws: DescribedAws) -> None:
    aws.answers["DescribeStacks"] = refusal("ValidationError")

    with pytest.raises(SettingsError, match="there is no stack prepaid"):
        found(aws)


def test_dropped_routes_are_named_after_a_green_deployment(aws: DescribedAws) -> None:
    """What API Gateway does without FailOnWarnings when it can't create the authorizer."""
    kept = {key: scopes for key, scopes in expected_routes(TEMPLATE).items() if scopes is None}
    aws.answers["GetRoutes"] = {"Items": [route(key, scopes) for key, scopes in kept.items()]}
    aws.answers["GetAuthorizers"] = {"Items": []}

    sentences = found(aws)

    lost = expected_routes(TEMPLATE).keys() - kept.keys()
    assert len(lost) > 30
    assert [sentence for sentence in sentences if "API Gateway has no route" in sentence] == [
        f"routes: API Gateway has no route {key}: deploy again, and read the API's import warnings"
        for key in sorted(lost)
    ]
    assert "routes: the API must have one authorizer with an audience: without it, every token is refused" in sentences


def test_an_open_route_and_a_wrong_scope_are_named(aws: DescribedAws) -> None:
    routes = {key: route(key, scopes) for key, scopes in expected_routes(TEMPLATE).items()}
    routes["GET /v1/catalog"] = route("GET /v1/catalog", None)
    routes["POST /v1/accounts/{account}/grants"]["AuthorizationScopes"] = ["prepaid/read"]
    aws.answers["GetRoutes"] = {"Items": list(routes.values())}

    assert [sentence.partition(" instead")[0] for sentence in found(aws)] == [
        "routes: GET /v1/catalog has authorization NONE",
        "routes: GET /v1/catalog asks for the scopes []",
        "routes: POST /v1/accounts/{account}/grants asks for the scopes ['prepaid/read']",
    ]


def test_a_route_that_fails_without_a_token_is_named(aws: DescribedAws) -> None:
    with gateway("POST /v1/webhooks/stripe", "GET /v1/packs") as url:
        sentences = missing(read_stack(aws.client, "prepaid", TEMPLATE, url))

    assert sentences == [
        "answers: GET /v1/packs answers 500 without a token instead of 401",
        "answers: POST /v1/webhooks/stripe answers 500: ",
    ]


def test_an_alias_on_old_code_is_named(aws: DescribedAws) -> None:
    """What happens when a release changes only the layer and SAM publishes no version."""

    def frozen(params: Any) -> dict[str, Any]:
        old = "Qualifier" in params and "Consume" in params["FunctionName"]
        return {**function(params), "Layers": [{"Arn": "arn:layer:6" if old else "arn:layer:7"}]}

    aws.answers["GetFunctionConfiguration"] = frozen

    assert found(aws) == [
        "functions: ConsumeFunction: callers reach version 7, whose Layers isn't the last deployed one"
    ]


def test_a_schedule_that_never_starts_is_named(aws: DescribedAws) -> None:
    aws.answers["GetSchedule"] = {
        "State": "DISABLED",
        "Target": {"Arn": "arn:aws:lambda:us-east-1:111122223333:function:f", "RoleArn": "arn:role"},
    }

    sentences = found(aws)

    assert len(sentences) == 2 * len(SCHEDULED)
    assert "schedules: the schedule of ReconcileFunction is DISABLED" in sentences
    assert any("instead of its alias live" in sentence for sentence in sentences)


def test_an_event_source_that_starts_nothing_is_named(aws: DescribedAws) -> None:
    def described(params: Any) -> dict[str, Any]:
        if "Messages" in params["UUID"]:
            return {**CONNECTED, "State": "Disabled"}
        return {**CONNECTED, "FunctionArn": "arn:aws:lambda:f"}

    aws.answers["GetEventSourceMapping"] = described

    assert found(aws) == [
        "event sources: the event source Changes of PublishFunction starts arn:aws:lambda:f instead of its alias live",
        "event sources: the event source Messages of DeliverFunction is Disabled",
    ]


def test_a_stream_whose_last_batch_failed_is_named(aws: DescribedAws) -> None:
    aws.answers["GetEventSourceMapping"] = {**CONNECTED, "LastProcessingResult": "PROBLEM: Function call failed"}

    sentence = "event sources: the event source Changes of PublishFunction fails: PROBLEM: Function call failed"
    assert sentence in found(aws)


def test_an_alarm_above_the_accounts_quota_is_named(aws: DescribedAws) -> None:
    aws.answers["GetAccountSettings"] = {"AccountLimit": {"ConcurrentExecutions": 10}}

    assert found(aws) == ["quotas: ConcurrencyAlarm=800 isn't below the account's quota, 10: raise it, or set 8"]


def test_a_version_that_starts_without_its_snapshot_is_named(aws: DescribedAws) -> None:
    def without(params: Any) -> dict[str, Any]:
        consume = "Consume" in params["FunctionName"]
        snapshot = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
        return {**function(params), **({"SnapStart": snapshot} if consume else {})}

    aws.answers["GetFunctionConfiguration"] = without

    assert found(aws) == ["functions: ConsumeFunction: version 7 starts without its snapshot, although SnapStart=true"]


def test_an_event_source_that_is_gone_is_named(aws: DescribedAws) -> None:
    listed: Any = aws.answers["ListStackResources"]
    kept = [
        resource
        for resource in listed["StackResourceSummaries"]
        if resource["LogicalResourceId"] != "PublishFunctionChanges"
    ]
    aws.answers["ListStackResources"] = {"StackResourceSummaries": kept}

    assert found(aws) == ["event sources: PublishFunction has no event source Changes: nothing starts it"]


def test_a_stack_without_a_webhook_needs_no_queue(aws: DescribedAws) -> None:
    listed: Any = aws.answers["ListStackResources"]
    without = [
        resource
        for resource in listed["StackResourceSummaries"]
        if not resource["LogicalResourceId"].startswith("Deliver")
    ]
    aws.answers["ListStackResources"] = {"StackResourceSummaries": without}

    assert found(aws) == []


def test_a_stack_whose_alarms_nobody_hears_fails_the_check(aws: DescribedAws) -> None:
    described: Any = aws.answers["DescribeStacks"]
    [stack] = described["Stacks"]
    outputs = [output for output in stack["Outputs"] if output["OutputKey"] != "AlarmTopicArn"]
    aws.answers["DescribeStacks"] = {"Stacks": [stack | {"Outputs": outputs}]}

    assert found(aws) == ["alarms: NOBODY RECEIVES THE ALARMS: set AlarmEmail in samconfig.toml"]


def test_alarms_without_a_receiver_are_named(aws: DescribedAws) -> None:
    aws.answers["ListSubscriptionsByTopic"] = {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}

    assert found(aws) == ["alarms: nobody has confirmed the subscription to the alarms: click the link in AWS's email"]


def test_a_missing_and_a_ringing_alarm_are_named(aws: DescribedAws) -> None:
    described: Any = aws.answers["DescribeAlarms"]
    alarms = [alarm for alarm in described["MetricAlarms"] if alarm["AlarmName"] != "physical-ApiErrors"]
    aws.answers["DescribeAlarms"] = {
        "MetricAlarms": [
            alarm | ({"StateValue": "ALARM", "AlarmActions": []} if "VerifySilent" in alarm["AlarmName"] else {})
            for alarm in alarms
        ]
    }

    assert found(aws) == [
        "alarms: the alarm ApiErrors is gone",
        "alarms: the alarm VerifySilent is ringing: docs/operating.md explains it",
        "alarms: these alarms notify nobody: VerifySilent",
    ]


def test_keys_that_nobody_stored_are_named(aws: DescribedAws) -> None:
    aws.answers["GetSecretValue"] = refusal("ResourceNotFoundException")

    assert found(aws) == [
        f"payments: nobody has stored Stripe's key of {name}: write it into the secret of the output "
        f"{name}StripeSecretArn"
        for name in check.KEYS
    ]


def test_keys_of_the_other_mode_are_named(aws: DescribedAws) -> None:
    stack = read_stack(aws.client, "prepaid", TEMPLATE)
    live = replace(stack, parameters={**stack.parameters, "StripeLiveMode": "true"})

    assert [sentence for sentence in missing(live) if "mode" in sentence] == [
        f"payments: Stripe's key of {name} is not one of the live mode that StripeLiveMode says" for name in check.KEYS
    ]


def test_a_payment_page_that_stripe_refuses_is_named(aws: DescribedAws) -> None:
    aws.answers["GetSecretValue"] = {"SecretString": json.dumps({"api_key": "rk_test_wrong", "webhook_secrets": ["w"]})}

    [sentence] = found(aws)

    assert sentence.startswith("payments: Stripe doesn't open a payment page: ")


def test_a_creation_that_failed_has_no_outputs_to_check(aws: DescribedAws) -> None:
    described: Any = aws.answers["DescribeStacks"]
    [stack] = described["Stacks"]
    aws.answers["DescribeStacks"] = {"Stacks": [stack | {"StackStatus": "ROLLBACK_COMPLETE", "Outputs": []}]}

    with pytest.raises(SettingsError, match="the stack prepaid is in ROLLBACK_COMPLETE and has no outputs"):
        found(aws)


def test_a_check_without_rights_hides_no_other_check(aws: DescribedAws) -> None:
    aws.answers["GetRoutes"] = refusal("AccessDeniedException")
    aws.answers["DescribeTable"] = {"Table": {"DeletionProtectionEnabled": False}}

    denied, unprotected = found(aws)

    assert denied.startswith("routes: could not be checked: ClientError")
    assert unprotected == "table: the table table can be deleted: switch its deletion protection on"


def test_every_check_of_the_stack_itself_is_named(aws: DescribedAws) -> None:
    described: Any = aws.answers["DescribeStacks"]
    [stack] = described["Stacks"]
    aws.answers["DescribeStacks"] = {"Stacks": [stack | {"StackStatus": "UPDATE_ROLLBACK_COMPLETE"}]}
    aws.answers["GetStackPolicy"] = {}
    listed: Any = aws.answers["ListStackResources"]
    aws.answers["ListStackResources"] = {
        "StackResourceSummaries": [
            resource
            for resource in listed["StackResourceSummaries"]
            if resource["LogicalResourceId"] != "WebhooksRejected"
        ]
    }

    assert found(aws) == [
        f"stack: the stack is in UPDATE_ROLLBACK_COMPLETE: {WHY}",
        "stack: the stack has no WebhooksRejected, which template.yaml has: deploy again",
        f"stack: {UNPROTECTED}",
    ]


@pytest.mark.parametrize("change", [{"Effect": "Allow"}, {"Action": ["Update:Delete"]}])
def test_a_policy_that_protects_less_is_named(aws: DescribedAws, change: dict[str, Any]) -> None:
    policy = json.loads(POLICY.read_text("utf-8"))
    policy["Statement"][-1] |= change
    aws.answers["GetStackPolicy"] = {"StackPolicyBody": json.dumps(policy)}

    assert found(aws) == [f"stack: {UNPROTECTED}"]


def test_routes_that_answer_nothing_are_named(aws: DescribedAws) -> None:
    stack = read_stack(aws.client, "prepaid", TEMPLATE, "http://127.0.0.1:9")

    silent = [sentence for sentence in missing(stack) if " answers nothing: " in sentence]

    assert len(silent) == len(expected_routes(TEMPLATE))


def test_the_expected_routes_are_the_templates(aws: DescribedAws) -> None:
    stack: Stack = read_stack(aws.client, "prepaid", TEMPLATE)

    routes = expected_routes(stack.template)

    assert routes["POST /v1/webhooks/stripe"] is None
    assert routes["POST /v1/accounts/{account}/consumptions"] == ("prepaid/consume",)
    assert len(routes) > 40
