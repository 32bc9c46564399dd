"""`make check-deployed`: reports what a deployed stack lacks, and how to fix it.

CloudFormation reports success for a stack that doesn't work: one without routes, without a receiver for its alarms, or
without Stripe's keys. Each check here reads one of these from AWS itself.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import stripe
from botocore.exceptions import BotoCoreError, ClientError

from deployment.deploy import POLICY
from deployment.settings import ROOT, SettingsError, account_of, read_environment, read_template

ALIAS = "live"
ANSWER_SECONDS = 30
# From this status on, a route without a token has failed. Any lower status is a response of its own.
FAILED = 500
NOT_CONFIGURED = "payments_not_configured"
# Types of SAM events that Lambda polls with an event source mapping.
MAPPED = frozenset({"DynamoDB", "SQS"})
KEYS = ("Checkout", "PurchaseWebhook", "Reconcile")
# The beginning of AWS's LastProcessingResult for a stream whose last batch failed.
PROBLEM = "PROBLEM"

type Client = Callable[[str], Any]
type Answer = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A deployed stack. client: opens an AWS client. template: this repository's.

    parameters, outputs: of the stack. resources: physical ids by logical id. facts: the result of DescribeStacks.
    """

    client: Client
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    facts: Mapping[str, Any]
    api_url: str

    def of_type(self, kind: str) -> list[str]:
        """The logical ids of the stack's resources of one type, as far as the template has them."""
        return [
            name
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind and name in self.resources
        ]


def read_stack(client: Client, name: str, template: Mapping[str, Any], api_url: str | None = None) -> Stack:
    """The stack as AWS describes it. Raises SettingsError if there is none, or its creation failed."""
    formation = client("cloudformation")
    try:
        [facts] = formation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        raise SettingsError(f"there is no stack {name}: {error.response['Error']['Message']}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in facts.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise SettingsError(
            f"the stack {name} is in {facts['StackStatus']} and has no outputs: its events in CloudFormation show why; "
            "docs/disaster.md describes what a failed creation leaves behind"
        )
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
    return Stack(
        client=client,
        template=template,
        parameters={
            parameter["ParameterKey"]: parameter.get("ParameterValue", "") for parameter in facts.get("Parameters", [])
        },
        outputs=outputs,
        resources={
            resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
            for page in pages
            for resource in page["StackResourceSummaries"]
        },
        facts=facts,
        api_url=api_url or outputs["ApiUrl"],
    )


def expected_routes(template: Mapping[str, Any]) -> dict[str, tuple[str, ...] | None]:
    """The scopes of each route of the template, by its key; None for one without a token."""
    routes: dict[str, tuple[str, ...] | None] = {}
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "HttpApi":
                route = event["Properties"]
                scopes = route["Auth"].get("AuthorizationScopes")
                routes[f"{route['Method']} {route['Path']}"] = tuple(scopes) if scopes else None
    return routes


# ---- The checks: each yields what is missing ----


def check_stack(stack: Stack) -> Iterator[str]:
    """The last deployment succeeded, and the stack is protected."""
    status = stack.facts["StackStatus"]
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        yield f"the stack is in {status}: the last deployment failed; its events in CloudFormation show why"
    if not stack.facts.get("EnableTerminationProtection"):
        yield "the stack can be deleted: make deploy switches termination protection on"
    # Without the layer's version, whose logical id SAM changes.
    resources = {
        name: resource
        for name, resource in stack.template["Resources"].items()
        if "LayerVersion" not in resource["Type"]
    }
    for name in sorted(
        name for name in resources if "Condition" not in resources[name] and name not in stack.resources
    ):
        yield f"the stack has no {name}, which template.yaml has: deploy again"
    policy = stack.client("cloudformation").get_stack_policy(StackName=stack.facts["StackName"])
    if json.loads(policy.get("StackPolicyBody", "{}")) != json.loads(POLICY.read_text("utf-8")):
        yield "the stack's policy isn't deployment/stack-policy.json, which protects the table: make deploy sets it"


def check_routes(stack: Stack) -> Iterator[str]:
    """API Gateway has every route, with its authorizer and scopes."""
    gateway, api = stack.client("apigatewayv2"), stack.outputs["ApiId"]
    routes = {
        route["RouteKey"]: route
        for page in gateway.get_paginator("get_routes").paginate(ApiId=api)
        for route in page["Items"]
    }
    expected = expected_routes(stack.template)
    for key in sorted(expected.keys() - routes.keys()):
        yield f"API Gateway has no route {key}: deploy again, and read the API's import warnings"
    for key in sorted(routes.keys() - expected.keys()):
        yield f"API Gateway has a route that the template doesn't have: {key}"
    for key in sorted(expected.keys() & routes.keys()):
        scopes, route = expected[key], routes[key]
        expected_type = "NONE" if scopes is None else "JWT"
        if route.get("AuthorizationType", "NONE") != expected_type:
            yield f"{key} has authorization {route.get('AuthorizationType', 'NONE')} instead of {expected_type}"
        if set(route.get("AuthorizationScopes", [])) != set(scopes or ()):
            route_scopes = sorted(route.get("AuthorizationScopes", []))
            yield f"{key} asks for the scopes {route_scopes} instead of {sorted(scopes or ())}"
    authorizers = gateway.get_authorizers(ApiId=api)["Items"]
    if len(authorizers) != 1 or not all(authorizers[0]["JwtConfiguration"].get("Audience") or [""]):
        yield "the API must have one authorizer with an audience: without it, every token is refused"


def check_answers(stack: Stack) -> Iterator[str]:
    """Each route responds to a request without a token: with 401, or with its own response if it needs no token."""
    for key, scopes in sorted(expected_routes(stack.template).items()):
        method, _, path = key.partition(" ")
        # ANY covers the methods that no other route has.
        method = "DELETE" if method == "ANY" else method
        status, body = ask(method, stack.api_url + path.replace("{", "").replace("}", ""))
        if not status:
            yield f"{key} answers nothing: {body[:100]}"
        elif scopes is not None and status != 401:  # noqa: PLR2004
            yield f"{key} answers {status} without a token instead of 401"
        elif scopes is None and NOT_CONFIGURED in body:
            continue
        elif scopes is None and (status >= FAILED or body == '{"message":"Not Found"}'):
            yield f"{key} answers {status}: {body[:100]}"


def ask(method: str, url: str) -> Answer:
    """The response to an empty request; (0, reason) if there was none."""
    request = urllib.request.Request(url, method=method, data=b"" if method in {"POST", "PUT", "PATCH"} else None)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def check_functions(stack: Stack) -> Iterator[str]:
    """Callers reach the code, layer and settings that were deployed last."""
    functions = stack.client("lambda")
    for name in stack.of_type("AWS::Serverless::Function"):
        function = stack.resources[name]
        try:
            live = functions.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        except ClientError as error:
            yield f"{name} has no alias {ALIAS}: {error.response['Error']['Code']}"
            continue
        newest = functions.get_function_configuration(FunctionName=function)
        for setting in ("CodeSha256", "Layers", "Environment"):
            if _compared(live.get(setting)) != _compared(newest.get(setting)):
                yield f"{name}: callers reach version {live['Version']}, whose {setting} isn't the last deployed one"
        snapshot = live.get("SnapStart", {})
        if snapshot.get("ApplyOn") == "PublishedVersions" and snapshot.get("OptimizationStatus") != "On":
            yield f"{name}: version {live['Version']} starts without its snapshot, although SnapStart=true"
        weights = functions.get_alias(FunctionName=function, Name=ALIAS).get("RoutingConfig") or {}
        if weights.get("AdditionalVersionWeights"):
            yield f"{name}: a canary is running; ask again when it has ended"


def _compared(value: Any) -> str:
    # CodeSize differs between the copies of a layer's description.
    if isinstance(value, list):
        value = [layer["Arn"] for layer in value]
    return json.dumps(value, sort_keys=True)


def check_schedules(stack: Stack) -> Iterator[str]:
    """Each scheduled job is enabled and starts the version in use."""
    scheduler = stack.client("scheduler")
    for name in stack.of_type("AWS::Serverless::Function"):
        for event, source in stack.template["Resources"][name]["Properties"].get("Events", {}).items():
            if source["Type"] != "ScheduleV2":
                continue
            physical = stack.resources.get(f"{name}{event}")
            if not physical:
                yield f"{name} has no schedule: nothing starts it"
                continue
            schedule = scheduler.get_schedule(Name=physical.rpartition("/")[2])
            if schedule["State"] != "ENABLED":
                yield f"the schedule of {name} is {schedule['State']}"
            if not schedule["Target"]["Arn"].endswith(f":{ALIAS}"):
                yield f"the schedule of {name} starts {schedule['Target']['Arn']} instead of its alias {ALIAS}"


def check_event_sources(stack: Stack) -> Iterator[str]:
    """Each stream and queue that starts a function is connected to the version in use."""
    functions = stack.client("lambda")
    for name in stack.of_type("AWS::Serverless::Function"):
        for event, source in stack.template["Resources"][name]["Properties"].get("Events", {}).items():
            if source["Type"] not in MAPPED:
                continue
            physical = stack.resources.get(f"{name}{event}")
            if not physical:
                yield f"{name} has no event source {event}: nothing starts it"
                continue
            mapping = functions.get_event_source_mapping(UUID=physical)
            if mapping["State"] != "Enabled":
                yield f"the event source {event} of {name} is {mapping['State']}"
            if not mapping["FunctionArn"].endswith(f":{ALIAS}"):
                yield f"the event source {event} of {name} starts {mapping['FunctionArn']} instead of its alias {ALIAS}"
            if mapping.get("LastProcessingResult", "").startswith(PROBLEM):
                yield f"the event source {event} of {name} fails: {mapping['LastProcessingResult']}"


def check_quotas(stack: Stack) -> Iterator[str]:
    """The alarm on concurrency rings before the account's quota refuses calls."""
    quota = stack.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    threshold = int(stack.parameters["ConcurrencyAlarm"])
    if threshold >= quota:
        problem = f"ConcurrencyAlarm={threshold} isn't below the account's quota, {quota}"
        yield f"{problem}: raise it, or set {max(1, quota * 8 // 10)}"


def check_alarms(stack: Stack) -> Iterator[str]:
    """Every alarm exists, notifies somebody, and is quiet."""
    expected = stack.of_type("AWS::CloudWatch::Alarm")
    ids = {stack.resources[name]: name for name in expected}
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
    alarms = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    for missing in sorted(set(ids) - set(alarms)):
        yield f"the alarm {ids[missing]} is gone"
    present = {ids[name]: alarm for name, alarm in alarms.items() if name in ids}
    for name, alarm in sorted(present.items()):
        if alarm.get("StateValue") == "ALARM":
            yield f"the alarm {name} is ringing: docs/operating.md explains it"
    topic = stack.outputs.get("AlarmTopicArn")
    if topic is None:
        yield "NOBODY RECEIVES THE ALARMS: set AlarmEmail in samconfig.toml"
        return
    silent = sorted(name for name, alarm in present.items() if topic not in alarm.get("AlarmActions", []))
    if silent:
        yield f"these alarms notify nobody: {', '.join(silent)}"
    subscriptions = stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    if not [subscription for subscription in subscriptions if subscription["SubscriptionArn"].startswith("arn:")]:
        yield "nobody has confirmed the subscription to the alarms: click the link in AWS's email"


def check_table(stack: Stack) -> Iterator[str]:
    """The ledger can be restored, and can't be deleted."""
    dynamodb, name = stack.client("dynamodb"), stack.outputs["TableName"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    if not table.get("DeletionProtectionEnabled"):
        yield f"the table {name} can be deleted: switch its deletion protection on"
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if recovery != "ENABLED":
        yield f"the table {name} can't be restored to a point in time: switch point-in-time recovery on"
    if dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"].get("AttributeName") != "ttl":
        yield f"the table {name} keeps ended sessions: switch TTL on for the attribute ttl"


def check_payments(stack: Stack) -> Iterator[str]:
    """Each Stripe secret is stored, of the right mode, and a payment page can be opened."""
    secrets = stack.client("secretsmanager")
    values: dict[str, dict[str, Any]] = {}
    for name in KEYS:
        output = f"{name}StripeSecretArn"
        try:
            text = secrets.get_secret_value(SecretId=stack.outputs[output])["SecretString"]
            values[name] = dict(json.loads(text))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            yield f"nobody has stored Stripe's key of {name}: write it into the secret of the output {output}"
        except (ValueError, TypeError):
            yield f"the secret of the output {output} isn't a JSON object"
    mode = "live" if stack.parameters.get("StripeLiveMode") == "true" else "test"
    for name, value in values.items():
        key = str(value.get("api_key", ""))
        if f"_{mode}_" not in key:
            yield f"Stripe's key of {name} is not one of the {mode} mode that StripeLiveMode says"
    if "PurchaseWebhook" in values and not values["PurchaseWebhook"].get("webhook_secrets"):
        yield "nobody has stored the webhook's signing secret: every delivery is refused"
    if values.get("Checkout", {}).get("api_key"):
        yield from open_page(stack, str(values["Checkout"]["api_key"]))


def open_page(stack: Stack, key: str) -> Iterator[str]:
    """Stripe opens a payment page with the deployment's methods. The page is closed at once, and nobody is charged."""
    base = stack.parameters.get("StripeApiBase", "https://api.stripe.com")
    client = stripe.StripeClient(key, base_addresses={"api": base}, max_network_retries=1)
    methods = [name for name in stack.parameters["PaymentMethods"].split(",") if name]
    parameters: Any = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "brl",
                    "unit_amount": 1000,
                    "product_data": {"name": "make check-deployed"},
                },
            }
        ],
        "allowed_payment_method_types": methods,
        "success_url": stack.parameters["ReturnUrl"],
        "client_reference_id": "check-deployed",
    }
    try:
        session = client.v1.checkout.sessions.create(parameters)
        client.v1.checkout.sessions.expire(session.id)
    except stripe.StripeError as error:
        yield f"Stripe doesn't open a payment page: {error.user_message or type(error).__name__}"


CHECKS: tuple[tuple[str, Callable[[Stack], Iterator[str]]], ...] = (
    ("stack", check_stack),
    ("routes", check_routes),
    ("answers", check_answers),
    ("functions", check_functions),
    ("schedules", check_schedules),
    ("event sources", check_event_sources),
    ("quotas", check_quotas),
    ("alarms", check_alarms),
    ("table", check_table),
    ("payments", check_payments),
)


def missing(stack: Stack) -> list[str]:
    """What the stack lacks, one sentence each, with the check's name in front."""
    sentences = []
    for name, check in CHECKS:
        try:
            sentences += [f"{name}: {sentence}" for sentence in check(stack)]
        except (BotoCoreError, ClientError, KeyError) as error:
            # A permission that the caller lacks must not hide the results of the other checks.
            sentences.append(f"{name}: could not be checked: {type(error).__name__}: {error}")
    return sentences


def deployed(environment: str) -> Stack:
    """The stack of an environment, with the shell's credentials."""
    settings = read_environment(environment)
    return read_stack(account_of(settings).session.client, settings.stack_name, read_template())


def local(name: str) -> Stack:
    """The stack of a running `make run`."""
    file = ROOT / ".local" / f"{name}.json"
    if not file.exists():
        raise SettingsError(f"no local stack {name} is running; name an environment with ENV=staging or ENV=prod")
    addresses = json.loads(file.read_text("utf-8"))
    session: Any = boto3.Session("test", "test", region_name="us-east-1")

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=addresses["aws_endpoint_url"])

    return read_stack(client, "prepaid", read_template(), addresses["api_url"])


def main() -> int:
    """0 if nothing is missing."""
    parser = argparse.ArgumentParser(prog="make check-deployed", description=__doc__)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--environment", help="a section of samconfig.toml (ENV=)")
    target.add_argument("--local", help="the name of a running local stack (STACK=)")
    options = parser.parse_args()
    stack = deployed(options.environment) if options.environment else local(options.local)
    sentences = missing(stack)
    print("\n".join(f"- {sentence}" for sentence in sentences) or f"{stack.facts['StackName']}: nothing is missing")
    return 1 if sentences else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SettingsError as error:
        sys.exit(f"make check-deployed: {error}")
