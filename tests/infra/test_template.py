"""The routes, permissions, metrics and secrets of template.yaml fit each other and the code.

The values of single resources are compared in test_expected.py.
"""

import re
from typing import Any

import pytest

from local.deploy import STRIPE_RIGHTS
from prepaid.api import openapi
from prepaid.api.http.routes import Route
from prepaid.portal.page_routes import PageRoute
from prepaid.store import keys
from prepaid.telemetry import Metric
from tests.support.apps import load_app, routes_of
from tests.support.expected_template import FUNCTIONS
from tests.support.partitions import PARTITIONS
from tests.support.template import TEMPLATE, actions_of, of_type, read_template, resources_of, statements_of

# Names of Stripe's dashboard that differ from those of its API.
STRIPE_RESOURCES = {
    "Charges and Refunds": "refund",
    "Checkout Sessions": "checkout_session",
    "Customers": "customer",
    "PaymentIntents": "payment_intent",
    "Disputes": "dispute",
    "Events": "event",
}


def pattern_of(key: keys.Key) -> str:
    """How a permission names the partitions of this kind."""
    kind, several, _ = key["PK"]["S"].partition("#")
    return f"{kind}#*" if several else kind


PATTERNS = {pattern_of(key) for key in PARTITIONS}
ROLES = [f"{name}Role" for name in FUNCTIONS]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read_template()


def test_the_template_and_the_functions_have_the_same_routes(template: dict[str, Any]) -> None:
    deployed = set()
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        for event in function["Events"].values():
            if event["Type"] != "HttpApi":
                continue
            route = event["Properties"]
            scopes = route["Auth"].get("AuthorizationScopes", [])
            assert bool(scopes) != (route["Auth"].get("Authorizer") == "NONE"), route
            assert route["ApiId"] == ("Ref", "HttpApi")
            deployed.add((name.removesuffix("Function"), route["Method"], route["Path"], tuple(scopes)))

    declared = {
        (name, route.method, route.path, getattr(route, "scopes", ()))
        for name, folder in FUNCTIONS.items()
        for route in routes_of(load_app(folder))
    }
    assert deployed == declared


def test_openapi_has_every_route_that_a_function_serves() -> None:
    routes = (route for folder in FUNCTIONS.values() for route in routes_of(load_app(folder)))
    served = [route for route in routes if not isinstance(route, PageRoute)]

    assert sorted(route.key for route in served) == sorted(route.key for route in openapi.ROUTES)
    assert len({route.operation_id for route in served}) == len(served)


@pytest.mark.parametrize("route", openapi.ROUTES, ids=lambda route: route.key)
def test_a_route_describes_the_parameters_of_its_path(route: Route) -> None:
    in_path = {parameter.name for parameter in route.parameters if parameter.where == "path"}

    assert in_path == set(re.findall(r"\{(\w+)\}", route.path))


def test_routes_require_a_token_by_default(template: dict[str, Any]) -> None:
    auth = template["Resources"]["HttpApi"]["Properties"]["Auth"]
    assert auth["DefaultAuthorizer"] in auth["Authorizers"]


def test_clients_hold_every_scope_that_exists_and_no_other(template: dict[str, Any]) -> None:
    server = template["Resources"]["Scopes"]["Properties"]
    known = {f"{server['Identifier']}/{scope['ScopeName']}" for scope in server["Scopes"]}
    clients = of_type(template, "AWS::Cognito::UserPoolClient").values()
    assert {scope for client in clients for scope in client["AllowedOAuthScopes"]} == known


# Lambda reads the stream with the publisher's role. A stream has no partitions.
OF_THE_STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
# The one function that reads the index of purchases.
LISTS_PURCHASES = ("CheckoutRole", "dynamodb:Query")


@pytest.mark.parametrize("role", ROLES)
def test_a_permission_names_kinds_of_items_that_exist(template: dict[str, Any], role: str) -> None:
    """A pattern such as A* covers the same calls as ACCOUNT#*, so test_least_privilege would not find it too wide."""
    verbs = [
        action
        for statement in statements_of(template, role)
        for action in actions_of(statement)
        if action.startswith("dynamodb:") and action not in OF_THE_STREAM
    ]
    # A condition covers all keys of a transaction, so two statements could refuse what each of them half allows.
    assert len(verbs) == len(set(verbs))
    for statement in statements_of(template, role):
        [verb, *_] = actions_of(statement)
        if not verb.startswith("dynamodb:"):
            continue
        if verb in OF_THE_STREAM:
            stream = ["HasExistingTable", ("Sub", "${ExistingTable}/stream/*"), ("GetAtt", "Table.StreamArn")]
            assert resources_of(statement) == [("If", stream)]
            continue
        index = (role, verb) == LISTS_PURCHASES
        existing, own = ("Ref", "ExistingTable"), ("GetAtt", "Table.Arn")
        indices = [("Sub", f"${{{name}}}/index/PurchasesByState") for name in ("ExistingTable", "Table.Arn")]
        tables: list[Any] = [[existing, indices[0]], [own, indices[1]]] if index else [existing, own]
        assert resources_of(statement) == [("If", ["HasExistingTable", *tables])]
        if (role, verb) == ("VerifyRole", "dynamodb:Scan"):
            assert "Condition" not in statement
            continue
        # test_least_privilege tests the further conditions of the one right to change an item.
        assert set(statement["Condition"]) - {"ForAllValues:StringEquals"} == {"ForAllValues:StringLike"}
        assert ("ForAllValues:StringEquals" in statement["Condition"]) == (verb == "dynamodb:UpdateItem")
        assert set(statement["Condition"]["ForAllValues:StringLike"]) == {"dynamodb:LeadingKeys"}
        patterns = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        if index:
            # Partitions of the index, not of the table.
            assert "PURCHASES#*" in patterns
            patterns = [pattern for pattern in patterns if pattern != "PURCHASES#*"]
        assert set(patterns) <= PATTERNS or (role, verb, patterns) == ("VerifyRole", "dynamodb:GetItem", ["*"])


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_every_kind_of_item_can_be_written_by_some_function(template: dict[str, Any], pattern: str) -> None:
    """A partition that is renamed in the code and not in the policies would be refused in AWS only."""
    assert any(
        pattern in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for role in ROLES
        for statement in statements_of(template, role)
        if statement["Action"] == "dynamodb:PutItem"
    )


def test_no_role_is_granted_a_wildcard(template: dict[str, Any]) -> None:
    for role in of_type(template, "AWS::IAM::Role"):
        for statement in statements_of(template, role):
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in actions_of(statement)), role
            for resource in resources_of(statement):
                # AWS's own policy for CodeDeploy has no narrower one.
                if (role, statement["Action"], resource) == ("CanaryRole", "cloudwatch:DescribeAlarms", "*"):
                    continue
                assert isinstance(resource, tuple), "a resource of this stack, not a literal ARN"


def test_alarms_watch_metrics_that_the_code_publishes(template: dict[str, Any]) -> None:
    root = TEMPLATE.parent
    sources = [*(root / "functions").rglob("*.py"), *(root / "layers" / "prepaid" / "prepaid").rglob("*.py")]
    code = "".join(source.read_text("utf-8") for source in sources)
    watched = {
        alarm["MetricName"]
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
        if not alarm.get("Namespace", "AWS/").startswith("AWS/")
    }

    assert watched >= {"InternalErrors", "PaymentProviderRefusals", "PurchaseQuarantined"}
    assert watched <= set(Metric)
    assert [metric.name for metric in Metric if not re.search(rf"[( ]Metric\.{metric.name},", code)] == []


def test_operators_find_every_metric_and_whether_an_alarm_watches_it(template: dict[str, Any]) -> None:
    text = (TEMPLATE.parent / "docs" / "operating.md").read_text("utf-8")
    documented = dict(re.findall(r"^\| `([A-Z]\w+)` \| (yes|no) \|", text, re.MULTILINE))
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    watched = {alarm["MetricName"] for alarm in alarms if "MetricName" in alarm}

    assert documented == {str(metric): "yes" if metric in watched else "no" for metric in Metric}


def test_operators_find_four_things_about_each_alarm(template: dict[str, Any]) -> None:
    """What it means, what customers notice, what to look at and what to do."""
    text = (TEMPLATE.parent / "docs" / "operating.md").read_text("utf-8")
    table = text.partition("## Alarms\n")[2].partition("\n## ")[0]
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}

    assert head == ["alarm", "what it means", "what customers notice", "what to look at", "what to do"]
    assert [row[0] for row in rows if len(row) != len(head) or not all(cell.strip() for cell in row)] == []
    assert documented == set(of_type(template, "AWS::CloudWatch::Alarm"))


def test_each_function_that_asks_stripe_has_a_key_of_its_own(template: dict[str, Any]) -> None:
    """Only the webhook's secret has the signing secrets of deliveries."""
    described = {
        name.removesuffix("StripeSecret"): secret["Description"]
        for name, secret in of_type(template, "AWS::SecretsManager::Secret").items()
        if name.endswith("StripeSecret")
    }
    assert set(described) == set(STRIPE_RIGHTS)
    assert all('"api_key"' in description for description in described.values())
    assert [name for name, description in described.items() if '"webhook_secrets"' in description] == [
        "PurchaseWebhook"
    ]
    for name in STRIPE_RIGHTS:
        assert template["Outputs"][f"{name}StripeSecretArn"]["Value"] == ("Ref", f"{name}StripeSecret")


def test_documented_rights_match_those_of_the_local_keys() -> None:
    """The table of docs/stripe.md, whose columns are a function and Stripe's own names for what its key may do."""
    text = (TEMPLATE.parent / "docs" / "stripe.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", text, re.MULTILINE)
    documented = {
        function: {STRIPE_RESOURCES[name]: level for name, level in re.findall(r"\*([A-Z].*?): (read|write)\*", rights)}
        for function, rights in rows
    }
    assert documented == {
        re.sub("(?<!^)([A-Z])", r"_\1", name).lower(): rights for name, rights in STRIPE_RIGHTS.items()
    }
