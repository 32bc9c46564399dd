"""What must stay true of template.yaml, whoever edits it: who may call, who may touch which items, who is watched."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.deploy import STRIPE_RIGHTS
from prepaid.store import keys

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"

# Function, method, path and the scopes of which one opens it.
ROUTES = {
    ("Consume", "POST", "/v1/accounts/{account}/consumptions", ("prepaid/consume",)),
    ("BalanceQuery", "GET", "/v1/accounts/{account}/balance", ("prepaid/read",)),
    ("BalanceQuery", "GET", "/v1/accounts/{account}/history", ("prepaid/read",)),
    ("Accounts", "PUT", "/v1/accounts/{account}", ("prepaid/admin",)),
    ("Accounts", "GET", "/v1/accounts/{account}", ("prepaid/read",)),
    ("Accounts", "POST", "/v1/accounts/{account}/grants", ("prepaid/admin",)),
    ("Accounts", "GET", "/v1/packs", ("prepaid/read",)),
    ("Accounts", "GET", "/v1/catalog", ("prepaid/read",)),
    ("Accounts", "PUT", "/v1/catalog", ("prepaid/admin",)),
    ("Checkout", "PUT", "/v1/accounts/{account}/manager-code", ("prepaid/admin", "prepaid/buy")),
    ("Checkout", "POST", "/v1/accounts/{account}/manager-sessions", ("prepaid/buy",)),
    ("Checkout", "POST", "/v1/accounts/{account}/purchases", ("prepaid/buy",)),
    ("Checkout", "GET", "/v1/accounts/{account}/purchases", ("prepaid/read",)),
    ("Checkout", "GET", "/v1/accounts/{account}/purchases/{id}", ("prepaid/read",)),
    ("PurchaseWebhook", "POST", "/v1/webhooks/stripe", ()),
}

# What each function may do to which partitions of the table.
TABLE_RIGHTS = {
    "Consume": {
        "Query": {"ACCOUNT#*"},
        "GetItem": {"ACCOUNT#*", "CLAIM#*", "CATALOG"},
        "PutItem": {"ACCOUNT#*", "CLAIM#*"},
    },
    "BalanceQuery": {"Query": {"ACCOUNT#*"}, "GetItem": {"ACCOUNT#*", "CATALOG"}},
    "Accounts": {
        "Query": {"ACCOUNT#*"},
        "GetItem": {"ACCOUNT#*", "CLAIM#*", "CATALOG"},
        "PutItem": {"ACCOUNT#*", "CLAIM#*", "DUE#*", "CATALOG"},
    },
    "Checkout": {
        "Query": {"ACCOUNT#*"},
        "GetItem": {"ACCOUNT#*", "CATALOG", "CLAIM#*", "SESSION#*"},
        "PutItem": {"ACCOUNT#*", "CLAIM#*", "PENDING_CHECK", "SESSION#*"},
        "ConditionCheckItem": {"ACCOUNT#*", "CLAIM#*", "PENDING_CHECK", "SESSION#*"},
    },
    "PurchaseWebhook": {
        "Query": {"ACCOUNT#*"},
        "GetItem": {"ACCOUNT#*", "CATALOG", "PAYMENT#*"},
        "PutItem": {"ACCOUNT#*", "DUE#*", "PAYMENT#*", "QUARANTINE#*", "PENDING_CHECK"},
    },
    "Reconcile": {
        "Query": {"ACCOUNT#*", "RECONCILIATION", "PENDING_CHECK"},
        "GetItem": {"ACCOUNT#*", "CATALOG", "PAYMENT#*", "RECONCILIATION"},
        "PutItem": {"ACCOUNT#*", "DUE#*", "PAYMENT#*", "QUARANTINE#*", "RECONCILIATION", "PENDING_CHECK"},
        "DeleteItem": {"RECONCILIATION", "PENDING_CHECK"},
    },
    "ExpirySweep": {
        "Query": {"ACCOUNT#*", "DUE#*"},
        "GetItem": {"SWEEP", "CATALOG"},
        "PutItem": {"ACCOUNT#*", "SWEEP"},
        "DeleteItem": {"DUE#*"},
    },
    "Verify": {
        "Query": {"ACCOUNT#*"},
        "GetItem": {"*"},
        "BatchGetItem": {"ACCOUNT#*", "CATALOG", "DUE#*", "PAYMENT#*", "PENDING_CHECK", "VERIFIED#*"},
        "PutItem": {"VERIFICATION", "VERIFIED#*"},
    },
}
OTHER_RIGHTS = {
    "Consume": set(),
    "BalanceQuery": {"secretsmanager:GetSecretValue"},
    "Accounts": set(),
    "Checkout": {"secretsmanager:GetSecretValue"},
    "PurchaseWebhook": {"secretsmanager:GetSecretValue"},
    "Reconcile": {"secretsmanager:GetSecretValue", "sqs:SendMessage"},
    "ExpirySweep": {"sqs:SendMessage"},
    "Verify": {"sqs:SendMessage"},
}
SECRETS = {
    "BalanceQuery": {"CursorSecret"},
    "Checkout": {"PepperSecret", "CheckoutStripeSecret"},
    "PurchaseWebhook": {"PurchaseWebhookStripeSecret"},
    "Reconcile": {"ReconcileStripeSecret"},
}
# As Stripe's dashboard calls what its API calls otherwise.
STRIPE_RESOURCES = {
    "Charges and Refunds": "refund",
    "Checkout Sessions": "checkout_session",
    "Customers": "customer",
    "Disputes": "dispute",
    "Events": "event",
}
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}
FUNCTIONS = sorted(TABLE_RIGHTS)

PARTITIONS = [
    keys.entry("petshop-1", 1),
    keys.profile("petshop-1"),
    keys.purchase("petshop-1", "pur_1"),
    keys.customer("petshop-1"),
    keys.manager("petshop-1"),
    keys.manager_session("5d41402a"),
    keys.pending_check(datetime(2026, 11, 22, tzinfo=UTC), "pur_1"),
    keys.claim("petshop-1", "key-1"),
    keys.due(date(2026, 11, 22), 0, "petshop-1", "lot_1"),
    keys.payment("pi_1"),
    keys.quarantine(date(2026, 11, 22), "evt_1"),
    keys.catalog_version(1),
    keys.CATALOG,
    keys.CHECKPOINT,
    keys.RECONCILIATION,
    keys.VERIFICATION,
    keys.verified("petshop-1"),
    keys.failed("evt_1"),
]


class CloudFormationLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, each read as (tag, value)."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> tuple[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return (tag, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return (tag, loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return (tag, loader.construct_mapping(node, deep=True))


CloudFormationLoader.add_multi_constructor("!", _tagged)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=CloudFormationLoader)  # noqa: S506 - a safe loader
    return loaded


def of_type(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """The properties of all resources of one type, by logical id."""
    return {name: made["Properties"] for name, made in template["Resources"].items() if made["Type"] == kind}


def statements(template: dict[str, Any], role: str) -> Iterator[dict[str, Any]]:
    for policy in template["Resources"][role]["Properties"]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def actions(statement: dict[str, Any]) -> list[str]:
    said = statement["Action"]
    return [said] if isinstance(said, str) else said


def resources(statement: dict[str, Any]) -> list[Any]:
    said = statement["Resource"]
    return said if isinstance(said, list) else [said]


def test_every_route_has_its_function_and_scope(template: dict[str, Any]) -> None:
    found = set()
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        for event in function["Events"].values():
            if event["Type"] != "HttpApi":
                continue
            route = event["Properties"]
            scopes = route["Auth"].get("AuthorizationScopes", [])
            assert bool(scopes) != (route["Auth"].get("Authorizer") == "NONE"), route
            assert route["ApiId"] == ("Ref", "HttpApi")
            found.add((name.removesuffix("Function"), route["Method"], route["Path"], tuple(scopes)))
    assert found == ROUTES


def test_a_token_is_asked_for_where_a_route_says_nothing(template: dict[str, Any]) -> None:
    auth = template["Resources"]["HttpApi"]["Properties"]["Auth"]
    assert auth["DefaultAuthorizer"] in auth["Authorizers"]


def test_the_authorizer_accepts_every_client_of_the_pool(template: dict[str, Any]) -> None:
    jwt = template["Resources"]["HttpApi"]["Properties"]["Auth"]["Authorizers"]["Jwt"]["JwtConfiguration"]
    _, (_, own, _) = jwt["audience"]
    assert {client for _, client in own} == set(of_type(template, "AWS::Cognito::UserPoolClient"))


def test_clients_hold_only_scopes_that_exist(template: dict[str, Any]) -> None:
    server = template["Resources"]["Scopes"]["Properties"]
    known = {f"{server['Identifier']}/{scope['ScopeName']}" for scope in server["Scopes"]}
    held = {
        name: set(client["AllowedOAuthScopes"])
        for name, client in of_type(template, "AWS::Cognito::UserPoolClient").items()
    }
    assert set.union(*held.values()) == known
    assert held == {
        "ServiceClient": {"prepaid/consume", "prepaid/read"},
        "StorefrontClient": {"prepaid/read", "prepaid/buy"},
        "AdminClient": {"prepaid/admin", "prepaid/read"},
    }


def test_functions_are_those_named_here(template: dict[str, Any]) -> None:
    assert set(of_type(template, "AWS::Serverless::Function")) == {f"{name}Function" for name in FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_touch_these_items_and_no_others(template: dict[str, Any], name: str) -> None:
    rights: dict[str, set[str]] = {}
    for statement in statements(template, f"{name}Role"):
        for action in actions(statement):
            service, _, verb = action.partition(":")
            if service != "dynamodb":
                continue
            assert statement["Resource"] == ("GetAtt", "Table.Arn")
            if verb == "Scan":
                # It has no partition key to put a condition on; who may is said below.
                continue
            # Of several statements for one verb each would have to cover a whole transaction; so there is one.
            assert verb not in rights
            rights[verb] = set(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
    assert rights == TABLE_RIGHTS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_no_other_rights(template: dict[str, Any], name: str) -> None:
    granted = {action for one in statements(template, f"{name}Role") for action in actions(one)}
    others = {action for action in granted if not action.startswith("dynamodb:")}
    assert others == LOGGING | OTHER_RIGHTS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_reads_its_own_secrets_only(template: dict[str, Any], name: str) -> None:
    found = {
        resource
        for statement in statements(template, f"{name}Role")
        if "secretsmanager:GetSecretValue" in actions(statement)
        for resource in resources(statement)
    }
    assert found == {("GetAtt", f"{secret}.Id") for secret in SECRETS.get(name, set())}


def test_no_role_is_granted_a_wildcard(template: dict[str, Any]) -> None:
    for role in of_type(template, "AWS::IAM::Role"):
        for statement in statements(template, role):
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in actions(statement)), role
            for resource in resources(statement):
                assert isinstance(resource, tuple), "a resource of this stack, not an address spelled out"


def test_the_verifier_alone_reads_the_table_as_a_whole_and_nobody_updates(template: dict[str, Any]) -> None:
    for role in of_type(template, "AWS::IAM::Role"):
        granted = {action for statement in statements(template, role) for action in actions(statement)}
        assert ("dynamodb:Scan" in granted) == (role == "VerifyRole")
        assert not granted & {
            "dynamodb:UpdateItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:PartiQLUpdate",
        }


@pytest.mark.parametrize("key", PARTITIONS, ids=lambda key: str(key["PK"]["S"]))
def test_every_kind_of_item_can_be_written_by_some_function(key: keys.Key) -> None:
    """A partition that is renamed in the code and not in the policies would be refused in AWS only."""
    writable = set[str]().union(*(rights.get("PutItem", set()) for rights in TABLE_RIGHTS.values()))
    assert any(fnmatchcase(key["PK"]["S"], pattern) for pattern in writable)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_own_role_log_and_alarm(template: dict[str, Any], name: str) -> None:
    function = template["Resources"][f"{name}Function"]["Properties"]
    assert function["Role"] == ("GetAtt", f"{name}Role.Arn")
    assert function["LoggingConfig"]["LogGroup"] == ("Ref", f"{name}Log")
    log = template["Resources"][f"{name}Log"]["Properties"]
    assert log["RetentionInDays"] == ("Ref", "LogRetentionDays")
    logging = next(one for one in statements(template, f"{name}Role") if set(actions(one)) == LOGGING)
    assert logging["Resource"] == ("GetAtt", f"{name}Log.Arn")
    alarm = template["Resources"][f"{name}Errors"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": ("Ref", f"{name}Function")}]


def test_alarms_reach_whoever_asked_for_them(template: dict[str, Any]) -> None:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    assert {
        "DeadLettersWaiting",
        "LotsNotSwept",
        "LedgerNotWhole",
        "PaymentProviderRefused",
        "PurchaseQuarantined",
    } <= set(alarms)
    assert {"PurchasesNotReconciled", "ReconciliationBehind"} <= set(alarms)
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == ("If", ["HasAlarmEmail", [("Ref", "AlarmTopic")], ("Ref", "AWS::NoValue")])
        assert alarm["TreatMissingData"] == "notBreaching"


def test_metrics_are_watched_under_the_name_they_are_written_with(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        if not alarm["Namespace"].startswith("AWS/"):
            assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
            assert alarm["Dimensions"] == [{"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}]


def test_what_is_watched_is_counted_somewhere(template: dict[str, Any]) -> None:
    root = TEMPLATE.parent
    sources = [*(root / "functions").rglob("*.py"), *(root / "layers" / "prepaid" / "prepaid").rglob("*.py")]
    code = "".join(source.read_text("utf-8") for source in sources)
    watched = {
        alarm["MetricName"]
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
        if not alarm["Namespace"].startswith("AWS/")
    }
    assert watched >= {"InternalErrors", "PaymentProviderRefusals", "PurchaseQuarantined"}
    assert [name for name in watched if f'"{name}"' not in code] == []


def test_the_ledger_outlives_the_stack(template: dict[str, Any]) -> None:
    table = template["Resources"]["Table"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] == ("If", ["IsAws", True, False])
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_a_real_stack_is_the_default(template: dict[str, Any]) -> None:
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    assert defaults["LocalStack"] == "false"
    assert defaults["StripeApiBase"] == "https://api.stripe.com"
    assert defaults["Architecture"] == "arm64"


def test_functions_ask_aws_itself_and_believe_fresh_deliveries_only(template: dict[str, Any]) -> None:
    """Both have a line in the template only so that `sam local` passes them on."""
    assert template["Globals"]["Function"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"] == ("Ref", "AWS::NoValue")
    webhook = template["Resources"]["PurchaseWebhookFunction"]["Properties"]["Environment"]["Variables"]
    assert webhook["WEBHOOK_TOLERANCE_SECONDS"] == "300"


def test_no_webhook_is_believed_before_its_secret_is_set(template: dict[str, Any]) -> None:
    generated = template["Resources"]["PurchaseWebhookStripeSecret"]["Properties"]["GenerateSecretString"]
    assert generated["SecretStringTemplate"] == '{"webhook_secrets": []}'
    assert generated["GenerateStringKey"] == "api_key"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_told_of_its_own_secrets_only(template: dict[str, Any], name: str) -> None:
    variables = template["Resources"][f"{name}Function"]["Properties"].get("Environment", {"Variables": {}})[
        "Variables"
    ]
    told = {value[1] for variable, value in variables.items() if variable.endswith("_SECRET_NAME")}
    assert told == SECRETS.get(name, set())


def test_each_function_that_asks_stripe_has_a_key_of_its_own(template: dict[str, Any]) -> None:
    """What signs the webhook's deliveries is in the webhook's secret alone."""
    generated = {
        name.removesuffix("StripeSecret"): secret["GenerateSecretString"]
        for name, secret in of_type(template, "AWS::SecretsManager::Secret").items()
        if name.endswith("StripeSecret")
    }
    assert set(generated) == set(STRIPE_RIGHTS)
    assert {secret["GenerateStringKey"] for secret in generated.values()} == {"api_key"}
    assert [name for name, one in generated.items() if "webhook" in one["SecretStringTemplate"]] == ["PurchaseWebhook"]
    for name in STRIPE_RIGHTS:
        assert template["Outputs"][f"{name}StripeSecretArn"]["Value"] == ("Ref", f"{name}StripeSecret")


def test_people_are_told_the_rights_that_the_local_keys_have() -> None:
    """The table of docs/stripe.md, whose columns are a function and Stripe's own names for what its key may do."""
    text = (TEMPLATE.parent / "docs" / "stripe.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", text, re.MULTILINE)
    told = {
        function: {STRIPE_RESOURCES[name]: level for name, level in re.findall(r"\*([A-Z].*?): (read|write)\*", rights)}
        for function, rights in rows
    }
    assert told == {re.sub("(?<!^)([A-Z])", r"_\1", name).lower(): one for name, one in STRIPE_RIGHTS.items()}


def test_the_pepper_outlives_the_stack(template: dict[str, Any]) -> None:
    pepper = template["Resources"]["PepperSecret"]
    assert (pepper["DeletionPolicy"], pepper["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert pepper["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32


@pytest.mark.parametrize("name", ["ExpirySweep", "Reconcile", "Verify"])
def test_what_is_scheduled_is_retried_and_its_failures_are_kept(template: dict[str, Any], name: str) -> None:
    function = template["Resources"][f"{name}Function"]["Properties"]
    schedule = function["Events"]["Schedule"]["Properties"]
    assert schedule["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert schedule["DeadLetterConfig"]["Arn"] == ("GetAtt", "DeadLetters.Arn")
    assert function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"] == {
        "Type": "SQS",
        "Destination": ("GetAtt", "DeadLetters.Arn"),
    }
