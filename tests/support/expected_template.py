"""The values that template.yaml must have, and why. test_expected.py compares them with the processed template.

A wrong value here breaks no request: an alarm never rings, a stranger can assume a role, a schedule never runs.
What functions may do to the table and to secrets is not listed here:
tests/security/test_least_privilege.py compares those permissions with the calls that the code makes.
"""

from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400

type Properties = dict[str, Any]


def ref(name: str) -> Properties:
    return {"Ref": name}


def attribute(resource: str, name: str = "Arn") -> Properties:
    return {"Fn::GetAtt": [resource, name]}


def sub(text: str) -> Properties:
    return {"Fn::Sub": text}


def either(condition: str, then: Any, otherwise: Any) -> Properties:
    return {"Fn::If": [condition, then, otherwise]}


# Logical name and folder of each function.
FUNCTIONS = {
    "Consume": "consume",
    "BalanceQuery": "balance_query",
    "Accounts": "accounts",
    "Erasures": "erasures",
    "Checkout": "checkout",
    "Portal": "portal",
    "PurchaseWebhook": "purchase_webhook",
    "Reconcile": "reconcile",
    "ExpirySweep": "expiry_sweep",
    "Verify": "verify",
}
SCHEDULED = ("Reconcile", "ExpirySweep", "Verify")

# ---- Parameters ----

ON_OFF = ["true", "false"]

LOGO = "((https?://[^/?#,; '\"]+)?/[^/?#,; '\"][^?#,; '\"]*)?"

PARAMETERS: dict[str, Properties] = {
    # Without parameters a stack is a real one that calls the real Stripe.
    "LocalStack": {"Type": "String", "Default": "false", "AllowedValues": ON_OFF},
    "StripeApiBase": {"Type": "String", "Default": "https://api.stripe.com"},
    # Empty: the name follows from where the stack is. Stripe accepts 500 characters; a name needs no more than these.
    "StripeStack": {"Type": "String", "Default": "", "MaxLength": 100},
    # Live money needs an explicit decision, so a first deployment uses test keys.
    "StripeLiveMode": {"Type": "String", "Default": "false", "AllowedValues": ON_OFF},
    # Lambda's cheaper architecture; samconfig.toml and the layer's Makefile have the same default.
    "Architecture": {"Type": "String", "Default": "arm64", "AllowedValues": ["arm64", "x86_64"]},
    # Empty: the stack's own table. An ARN, because the roles need one.
    "ExistingTable": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "(arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]+)?",
    },
    # Empty: the stack creates its own user pool.
    "JwtIssuer": {"Type": "String", "Default": ""},
    "JwtAudience": {"Type": "String", "Default": ""},
    "ExtraClients": {"Type": "String", "Default": "", "AllowedPattern": "([a-z0-9]+(,[a-z0-9]+)*)?"},
    # Cognito accepts up to 24 hours for an access token. A token cannot be revoked, so the default is short.
    "TokenHours": {"Type": "Number", "Default": 1, "MinValue": 1, "MaxValue": 24},
    "PaymentMethods": {"Type": "String", "Default": "card,pix,boleto"},
    "ReturnUrl": {"Type": "String", "Default": "https://example.com/credits"},
    # Empty: the page has the API's own address, leads back to ReturnUrl's site only, and no site may embed it.
    "PortalUrl": {"Type": "String", "Default": "", "AllowedPattern": "(https?://[^/?#,]+)?"},
    "PortalReturnOrigins": {"Type": "String", "Default": ""},
    "PortalEmbedOrigins": {"Type": "String", "Default": ""},
    # One site without a space or semicolon, because it becomes a part of the page's security policy.
    "CheckoutOrigin": {
        "Type": "String",
        "Default": "https://checkout.stripe.com",
        "AllowedPattern": "https?://[^/?#,; ]+",
    },
    # They become a part of the page's stylesheet.
    "PortalAccent": {"Type": "String", "Default": "", "AllowedPattern": "(#[0-9a-f]{6})?"},
    "PortalAccentDark": {"Type": "String", "Default": "", "AllowedPattern": "(#[0-9a-f]{6})?"},
    "PortalName": {"Type": "String", "Default": "", "MaxLength": 40},
    # Addresses without a space or semicolon, because they become a part of the page's security policy.
    "PortalLogo": {"Type": "String", "Default": "", "MaxLength": 300, "AllowedPattern": LOGO},
    "PortalLogoDark": {"Type": "String", "Default": "", "MaxLength": 300, "AllowedPattern": LOGO},
    # Alarms about the reconciliation count hours of runs, see ALARMS.
    "ReconcileSchedule": {"Type": "String", "Default": "rate(1 hour)"},
    "SweepSchedule": {"Type": "String", "Default": "rate(1 hour)"},
    "VerifySchedule": {"Type": "String", "Default": "rate(1 hour)"},
    # What the verifier finds can be compared with the table as it was before: that is kept for 35 days.
    "VerifyWholeDays": {"Type": "Number", "Default": 7, "MinValue": 1, "MaxValue": 28},
    "LogLevel": {"Type": "String", "Default": "INFO", "AllowedValues": ["DEBUG", "INFO", "WARNING", "ERROR"]},
    # CloudWatch Logs accepts these values up to two years. Zero, which would keep logs permanently, is not one of them.
    "LogRetentionDays": {
        "Type": "Number",
        "Default": 30,
        "AllowedValues": [1, 3, 7, 14, 30, 60, 90, 180, 365, 731],
    },
    # One abusive client cannot use all of the account's Lambda concurrency, which is 1,000 by default.
    "ThrottleRate": {"Type": "Number", "Default": 500},
    "ThrottleBurst": {"Type": "Number", "Default": 1000},
    # About 90 metrics once every route is in use, at 0.30 dollars a month each.
    "DetailedMetrics": {"Type": "String", "Default": "false", "AllowedValues": ON_OFF},
    # Empty: the alarms notify nobody. With live keys, a rule in RULES rejects it.
    "AlarmEmail": {"Type": "String", "Default": ""},
    # 80 percent of the quota that an account has by default.
    "ConcurrencyAlarm": {"Type": "Number", "Default": 800, "MinValue": 1},
    # A first deployment has nothing to compare with, and a test stack no traffic.
    "Canary": {"Type": "String", "Default": "false", "AllowedValues": ON_OFF},
    # AWS charges for snapshots.
    "SnapStart": {"Type": "String", "Default": "false", "AllowedValues": ON_OFF},
}


def unless_equal(name: str, value: str) -> Properties:
    return {"Fn::Not": [{"Fn::Equals": [ref(name), value]}]}


# What CloudFormation refuses before it changes anything: for each rule, when it counts, and what must hold then.
RULES = {
    # Without an audience, the authorizer accepts no token; without an issuer, the audience would be ignored.
    "OwnIssuerNamesItsAudience": (unless_equal("JwtIssuer", ""), [unless_equal("JwtAudience", "")]),
    "AudienceNeedsItsIssuer": (unless_equal("JwtAudience", ""), [unless_equal("JwtIssuer", "")]),
    # Paying customers return to a page of ours, somebody hears the alarms, and the ledger isn't a local cloud's.
    "LivePaymentsAreComplete": (
        {"Fn::Equals": [ref("StripeLiveMode"), "true"]},
        [
            unless_equal("ReturnUrl", "https://example.com/credits"),
            unless_equal("AlarmEmail", ""),
            {"Fn::Equals": [ref("LocalStack"), "false"]},
        ],
    ),
}

CONDITIONS = {
    "IsAws": {"Fn::Equals": [ref("LocalStack"), "false"]},
    "HasExistingTable": {"Fn::Not": [{"Fn::Equals": [ref("ExistingTable"), ""]}]},
    "OwnUserPool": {"Fn::Equals": [ref("JwtIssuer"), ""]},
    "HasExtraClients": {"Fn::Not": [{"Fn::Equals": [ref("ExtraClients"), ""]}]},
    "HasStripeStack": {"Fn::Not": [{"Fn::Equals": [ref("StripeStack"), ""]}]},
    "HasDetailedMetrics": {"Fn::Equals": [ref("DetailedMetrics"), "true"]},
    "HasAlarmEmail": {"Fn::Not": [{"Fn::Equals": [ref("AlarmEmail"), ""]}]},
    "HasSnapStart": {"Fn::Equals": [ref("SnapStart"), "true"]},
}

# ---- Functions ----


def function(name: str, *, memory: int = 512, timeout: int = 20) -> Properties:
    """memory in MB, timeout in seconds.

    The default timeout leaves room for 3 seconds of retries and two calls of up to 6 seconds each after them.
    """
    return {
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Architectures": [ref("Architecture")],
        "MemorySize": memory,
        "Timeout": timeout,
        "Role": attribute(f"{name}Role"),
        # A higher level than INFO drops the metrics, and at DEBUG botocore writes secrets. System logs at WARN: no line
        # for each start and end.
        "LoggingConfig": {
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "WARN",
            "LogGroup": ref(f"{name}Log"),
        },
    }


FUNCTION_SETTINGS = {
    # Callers wait for it, so it may start from a snapshot.
    "ConsumeFunction": function("Consume")
    | {"SnapStart": {"ApplyOn": either("HasSnapStart", "PublishedVersions", "None")}},
    # Timeout: a CSV file is read for up to 20 seconds.
    "BalanceQueryFunction": function("BalanceQuery", timeout=28),
    "AccountsFunction": function("Accounts"),
    # Timeout: a long ledger is walked over for up to 20 seconds.
    "ErasuresFunction": function("Erasures", timeout=28),
    # Memory: hashing a manager's code takes most of a core. Timeout: a call to Stripe comes on top, and API Gateway
    # gives up after 30 seconds.
    "CheckoutFunction": function("Checkout", memory=1024, timeout=28),
    # A cold start loads the templates before somebody sees the first page.
    "PortalFunction": function("Portal", memory=1024),
    "PurchaseWebhookFunction": function("PurchaseWebhook", timeout=28),
    # A backlog shrinks as fast as Stripe responds. 15 minutes is Lambda's maximum; a run stops itself before the end.
    "ReconcileFunction": function("Reconcile", timeout=15 * MINUTE),
    "ExpirySweepFunction": function("ExpirySweep", timeout=2 * MINUTE),
    # It computes more than it waits.
    "VerifyFunction": function("Verify", memory=1024, timeout=15 * MINUTE),
}

TABLE_NAME = either("HasExistingTable", {"Fn::Select": [1, {"Fn::Split": ["/", ref("ExistingTable")]}]}, ref("Table"))

# The value of each environment variable, in every function that has it. tests/security/test_least_privilege.py compares
# which function has which variable, secrets included, with what its code reads.
VARIABLES: Properties = {
    "TABLE_NAME": TABLE_NAME,
    "VERIFY_WHOLE_DAYS": ref("VerifyWholeDays"),
    "LOG_LEVEL": ref("LogLevel"),
    # Alarms look for the service's metrics under these two names.
    "POWERTOOLS_METRICS_NAMESPACE": "Prepaid",
    "POWERTOOLS_SERVICE_NAME": ref("AWS::StackName"),
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "PYTHONTZPATH": "/opt/python/tzdata/zoneinfo",
    # Both have a line in the template so that `sam local` can pass them on. In AWS the functions call AWS itself, and a
    # webhook's signature is valid for five minutes, as Stripe recommends.
    "AWS_ENDPOINT_URL": ref("AWS::NoValue"),
    "WEBHOOK_TOLERANCE_SECONDS": "300",
    "STRIPE_API_BASE": ref("StripeApiBase"),
    # Stays the same when the stack is deleted and created again, and no other stack has it.
    "STRIPE_STACK": either(
        "HasStripeStack", ref("StripeStack"), sub("${AWS::AccountId}/${AWS::Region}/${AWS::StackName}")
    ),
    "LIVE_MODE": ref("StripeLiveMode"),
    "PAYMENT_METHODS": ref("PaymentMethods"),
    "RETURN_URL": ref("ReturnUrl"),
    "PORTAL_URL": ref("PortalUrl"),
    "PORTAL_RETURN_ORIGINS": ref("PortalReturnOrigins"),
    "PORTAL_EMBED_ORIGINS": ref("PortalEmbedOrigins"),
    "CHECKOUT_ORIGIN": ref("CheckoutOrigin"),
    "PORTAL_ACCENT": ref("PortalAccent"),
    "PORTAL_ACCENT_DARK": ref("PortalAccentDark"),
    "PORTAL_NAME": ref("PortalName"),
    "PORTAL_LOGO": ref("PortalLogo"),
    "PORTAL_LOGO_DARK": ref("PortalLogoDark"),
}

# ---- Logs ----


def kept_for_the_retention(name: str) -> Properties:
    """A log group without RetentionInDays keeps its lines permanently."""
    return {"LogGroupName": sub(name), "RetentionInDays": ref("LogRetentionDays")}


LOG_GROUPS = {
    "ApiLog": kept_for_the_retention("/aws/vendedlogs/${AWS::StackName}-api"),
    **{
        f"{name}Log": kept_for_the_retention(f"/aws/lambda/${{AWS::StackName}}-{folder}")
        for name, folder in FUNCTIONS.items()
    },
}

# No path, query string or header: they carry account names, cursors and tokens.
ACCESS_LOG = {
    "request_id": "$context.requestId",
    "at": "$context.requestTimeEpoch",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "bytes": "$context.responseLength",
    "client": "$context.authorizer.claims.client_id",
    "authorizer_error": "$context.authorizer.error",
    "integration_error": "$context.integrationErrorMessage",
}

# ---- The API and its callers ----

# What anybody may send without a token, and no page needs often. Twenty managers a second may enter, and twenty buy.
SLOWED = (
    "POST /portal/enter/{token}",
    "POST /portal/buy",
    "POST /portal/language",
    "POST /portal/leave",
    "ANY /portal",
    "ANY /portal/{proxy+}",
)
# One stage. RouteSettings replace the throttle for a route, so only SLOWED may have some, and the webhook: Stripe
# repeats a delivery that is refused. The access log's Format is ACCESS_LOG.
STAGE = {
    "ApiId": ref("HttpApi"),
    "StageName": "$default",
    "AutoDeploy": True,
    "DefaultRouteSettings": {
        "ThrottlingRateLimit": ref("ThrottleRate"),
        "ThrottlingBurstLimit": ref("ThrottleBurst"),
        "DetailedMetricsEnabled": either("HasDetailedMetrics", True, False),
    },
    "RouteSettings": {
        **{
            route: {
                "ThrottlingRateLimit": 20,
                "ThrottlingBurstLimit": 40,
                "DetailedMetricsEnabled": either("HasDetailedMetrics", True, False),
            }
            for route in SLOWED
        },
        "POST /v1/webhooks/stripe": {
            "ThrottlingRateLimit": 50,
            "ThrottlingBurstLimit": 100,
            "DetailedMetricsEnabled": either("HasDetailedMetrics", True, False),
        },
    },
    "AccessLogDestination": attribute("ApiLog"),
}

AUTHORIZERS = {
    "Jwt": {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {
            # The pool of this stack, in this stack's region: tokens of any other issuer are refused.
            "issuer": either(
                "OwnUserPool",
                sub("https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${UserPool}"),
                ref("JwtIssuer"),
            ),
            # Cognito's access tokens carry client_id instead of aud; the authorizer accepts either.
            "audience": either(
                "OwnUserPool",
                either(
                    "HasExtraClients",
                    {"Fn::Split": [",", sub("${ServiceClient},${StorefrontClient},${AdminClient},${ExtraClients}")]},
                    [ref("ServiceClient"), ref("StorefrontClient"), ref("AdminClient")],
                ),
                {"Fn::Split": [",", ref("JwtAudience")]},
            ),
        },
    }
}

# Callers are programs, so nobody can sign up. Without the pool, every caller would need a new client id and secret.
USER_POOL = {
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
    "DeletionProtection": either("IsAws", "ACTIVE", "INACTIVE"),
}


def client(name: str, *scopes: str) -> Properties:
    """A program that gets tokens with its secret, and only so."""
    return {
        "UserPoolId": ref("UserPool"),
        "ClientName": name,
        "GenerateSecret": True,
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthScopes": list(scopes),
        "AccessTokenValidity": ref("TokenHours"),
        "TokenValidityUnits": {"AccessToken": "hours"},
        "PreventUserExistenceErrors": "ENABLED",
    }


CLIENTS = {
    # Spends credits, but can neither sell nor grant them.
    "ServiceClient": client("service", "prepaid/consume", "prepaid/read"),
    # Sells credits, but can neither spend nor grant them.
    "StorefrontClient": client("storefront", "prepaid/read", "prepaid/buy"),
    # Grants credits, but can neither spend nor sell them.
    "AdminClient": client("admin", "prepaid/admin", "prepaid/read"),
}

# ---- The table ----

# It outlives the stack, can be restored to any second of 35 days, and is encrypted.
TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "PK", "AttributeType": "S"},
        {"AttributeName": "SK", "AttributeType": "S"},
        {"AttributeName": "listed_as", "AttributeType": "S"},
        {"AttributeName": "id", "AttributeType": "S"},
    ],
    # Purchases by state, for support. Nothing else has listed_as, and nothing decides by it.
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "PurchasesByState",
            "KeySchema": [
                {"AttributeName": "listed_as", "KeyType": "HASH"},
                {"AttributeName": "id", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    "SSESpecification": {"SSEEnabled": True},
    "DeletionProtectionEnabled": either("IsAws", True, False),
    # Manager sessions have this attribute; entries, lots and purchases have expires_at, which must delete nothing.
    "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
}

# Everything else goes with the stack, but for published versions, to which an operator can go back. A lost pepper would
# make every manager's code invalid, and nobody can read a key of Stripe's again. With domain, scopes and clients, the
# callers keep the address of their tokens, ids and secrets, and another stack accepts them by JwtIssuer.
CALLERS = {"UserPool", "UserPoolDomain", "Scopes", "ServiceClient", "StorefrontClient", "AdminClient"}
STRIPE_SECRETS = {"CheckoutStripeSecret", "PurchaseWebhookStripeSecret", "ReconcileStripeSecret"}
RETAINED = {"Table", "PepperSecret"} | CALLERS | STRIPE_SECRETS

# ---- Secrets ----


def random_text(**more: Any) -> Properties:
    """Generated by Secrets Manager. Punctuation would need escapes in JSON and in shells."""
    return {"ExcludePunctuation": True, **more}


# A change of one of these values replaces the secret of every stack that is updated. Stripe's have no value of the
# template's: what a person stored there, no change of the template can overwrite.
SECRETS: Properties = {
    "CheckoutStripeSecret": {},
    "PurchaseWebhookStripeSecret": {},
    "ReconcileStripeSecret": {},
    # 64 letters and digits are more than 256 bits, the size of the HMAC keys that they become.
    "CursorSecret": {"GenerateSecretString": random_text(PasswordLength=64)},
    "PepperSecret": {"GenerateSecretString": random_text(PasswordLength=64)},
}

# ---- Roles ----


def assumed_by(service: str, condition: Properties | None = None) -> Properties:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return {"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]}


# EventBridge Scheduler serves every account. The condition keeps it from using the role for another account's schedule,
# as a confused deputy. Lambda needs none, because a function can only have a role of its own account.
OF_THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}

TRUST = {
    **{f"{name}Role": assumed_by("lambda.amazonaws.com") for name in FUNCTIONS},
    **{f"{name}ScheduleRole": assumed_by("scheduler.amazonaws.com", OF_THIS_ACCOUNT) for name in SCHEDULED},
    "CanaryRole": assumed_by("codedeploy.amazonaws.com"),
}

# ---- Schedules ----

DEAD_LETTERS = attribute("DeadLetters")


def schedule(function: str, name: str, expression: str) -> Properties:
    """Enabled, because State is absent. A run that cannot start is retried for an hour; then the next one is due."""
    return {
        "Name": sub(f"${{AWS::StackName}}-{name}"),
        "ScheduleExpression": ref(expression),
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": ref(f"{function}FunctionAliaslive"),
            "RoleArn": attribute(f"{function}ScheduleRole"),
            "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": HOUR},
            "DeadLetterConfig": {"Arn": DEAD_LETTERS},
        },
    }


SCHEDULES = {
    "ReconcileFunctionSchedule": schedule("Reconcile", "reconcile", "ReconcileSchedule"),
    "ExpirySweepFunctionSchedule": schedule("ExpirySweep", "expiry-sweep", "SweepSchedule"),
    "VerifyFunctionSchedule": schedule("Verify", "verify", "VerifySchedule"),
}

# Lambda retries a run that failed twice, and then reports it.
ASYNC_CALLS = {
    f"{name}FunctionEventInvokeConfig": {
        "FunctionName": ref(f"{name}Function"),
        "Qualifier": "live",
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": HOUR,
        "DestinationConfig": {"OnFailure": {"Destination": DEAD_LETTERS}},
    }
    for name in SCHEDULED
}

# ---- Dead letters ----

# 14 days is the maximum of SQS: a message outlasts a holiday.
QUEUE = {"SqsManagedSseEnabled": True, "MessageRetentionPeriod": 14 * DAY}

# Lambda sends with the function's role, EventBridge Scheduler with the schedule's. The queue has no policy of its own.
SENDERS = {f"{name}{role}" for name in SCHEDULED for role in ("Role", "ScheduleRole")}

# ---- Alarms ----


def alarm(
    namespace: str,
    metric: str,
    dimension: Properties,
    *,
    statistic: str = "Sum",
    period: int = 5 * MINUTE,
    threshold: Any = 1,
    periods: int = 1,
    comparison: str = "GreaterThanOrEqualToThreshold",
    missing: str = "notBreaching",
) -> Properties:
    """Rings when one period reaches the threshold. A period without data is a period without trouble."""
    return {
        "Namespace": namespace,
        "MetricName": metric,
        **({"Dimensions": [{"Name": name, "Value": value} for name, value in dimension.items()]} if dimension else {}),
        "ExtendedStatistic" if statistic.startswith("p") else "Statistic": statistic,
        "Period": period,
        **rings(threshold, periods, comparison, missing),
    }


def computed(result: Properties, *, threshold: int, **metrics: tuple[str, str, Properties]) -> Properties:
    """As `alarm`, on sums of five minutes. metrics: the namespace, name and dimension of what the expression names."""
    return {
        "Metrics": [
            {**result, "ReturnData": True},
            *(
                {
                    "Id": name,
                    "ReturnData": False,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": namespace,
                            "MetricName": metric,
                            "Dimensions": [{"Name": key, "Value": value} for key, value in dimension.items()],
                        },
                        "Period": 5 * MINUTE,
                        "Stat": "Sum",
                    },
                }
                for name, (namespace, metric, dimension) in metrics.items()
            ),
        ],
        **rings(threshold),
    }


def rings(
    threshold: Any,
    periods: int = 1,
    comparison: str = "GreaterThanOrEqualToThreshold",
    missing: str = "notBreaching",
) -> Properties:
    return {
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": comparison,
        "TreatMissingData": missing,
        "AlarmActions": either("HasAlarmEmail", [ref("AlarmTopic")], ref("AWS::NoValue")),
    }


# The only dimension with which Powertools writes the service's metrics.
SERVICE = {"service": ref("AWS::StackName")}

ALARMS = {
    # A function returns every failure that it expects, so a single error is news.
    **{f"{name}Errors": alarm("AWS/Lambda", "Errors", {"FunctionName": ref(f"{name}Function")}) for name in FUNCTIONS},
    # An HTTP API calls the metric 5xx; 5XXError is a REST API's. Each response counts 1 and each success 0, so an
    # Average is never above 1. Five, because a busy account gets a 503 now and then.
    # What an unconfigured stack refuses is subtracted; the metric exists only on such a stack.
    # The canary knows it by its name.
    "ApiErrors": {"AlarmName": {"Fn::Sub": "${AWS::StackName}-ApiErrors"}}
    | computed(
        {"Id": "errors", "Expression": "returned - FILL(unset, 0)", "Label": "5xx of a configured stack"},
        threshold=5,
        returned=("AWS/ApiGateway", "5xx", {"ApiId": ref("HttpApi")}),
        unset=("Prepaid", "PaymentsNotConfigured", SERVICE),
    ),
    # A job that doesn't run publishes nothing: three hours of no data ring.
    **{
        f"{name}Silent": alarm(
            "AWS/Lambda",
            "Invocations",
            {"FunctionName": ref(f"{name}Function")},
            period=HOUR,
            periods=3,
            comparison="LessThanThreshold",
            missing="breaching",
        )
        for name in SCHEDULED
    },
    # Anyone can send one delivery that isn't Stripe's. Stripe repeats its own for days.
    "WebhooksRejected": alarm("Prepaid", "WebhooksRejected", SERVICE, threshold=5),
    # One healed purchase is one lost delivery.
    "PurchasesHealed": alarm("Prepaid", "PurchasesHealed", SERVICE, period=HOUR),
    # Of all functions of the account, because they share its quota.
    "FunctionsThrottled": alarm("AWS/Lambda", "Throttles", {}),
    "ConcurrencyHigh": alarm(
        "AWS/Lambda", "ConcurrentExecutions", {}, statistic="Maximum", threshold=ref("ConcurrencyAlarm")
    ),
    # In milliseconds. A debit takes about 50, and on a busy account it retries for three seconds.
    "SpendingSlow": alarm(
        "AWS/Lambda",
        "Duration",
        {"FunctionName": ref("ConsumeFunction")},
        statistic="p99",
        threshold=2000,
        periods=3,
        comparison="GreaterThanThreshold",
    ),
    # A hundred, because adaptive capacity takes a moment and each call is retried.
    "TableThrottled": computed(
        {"Id": "throttled", "Expression": "FILL(reads, 0) + FILL(writes, 0)", "Label": "throttled reads and writes"},
        threshold=100,
        reads=("AWS/DynamoDB", "ReadThrottleEvents", {"TableName": TABLE_NAME}),
        writes=("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": TABLE_NAME}),
    ),
    # SQS names the queue in this dimension, not its URL. A waiting message counts once in each sample, so Maximum.
    "DeadLettersWaiting": alarm(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": attribute("DeadLetters", "QueueName")},
        statistic="Maximum",
    ),
    "InternalErrors": alarm("Prepaid", "InternalErrors", SERVICE),
    "PurchaseQuarantined": alarm("Prepaid", "PurchaseQuarantined", SERVICE),
    "PaymentProviderRefused": alarm("Prepaid", "PaymentProviderRefusals", SERVICE),
    "LedgerNotWhole": alarm("Prepaid", "VerificationFindings", SERVICE),
    # An hour holds one run of the sweep, so one alarm is about one run.
    "LotsNotSwept": alarm("Prepaid", "SweepFailures", SERVICE, period=HOUR),
    # The metrics are ages in seconds. An hour in which no run ended changes nothing. One hourly run may fail or be
    # late; three in a row do not recover by themselves.
    "PurchasesNotReconciled": alarm(
        "Prepaid",
        "ReconciliationOldestFailure",
        SERVICE,
        statistic="Maximum",
        period=HOUR,
        threshold=3 * HOUR,
        missing="ignore",
    ),
    "ReconciliationBehind": alarm(
        "Prepaid",
        "ReconciliationBehind",
        SERVICE,
        statistic="Maximum",
        period=HOUR,
        threshold=3 * HOUR,
        missing="ignore",
    ),
}

# CloudWatch cannot publish to a topic that is encrypted with the AWS managed key, and alarms carry no customer data.
TOPIC = {"Subscription": [{"Protocol": "email", "Endpoint": ref("AlarmEmail")}]}

# ---- Everything ----

# Another kind of resource, such as a function's URL or a queue's policy, could open what this table closes.
KINDS = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::DynamoDB::Table",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::Scheduler::Schedule",
    "AWS::SecretsManager::Secret",
}
# Resources that a condition leaves out of some stacks; any other one exists in every stack.
CONDITIONAL = {
    "UserPool": "OwnUserPool",
    "UserPoolDomain": "OwnUserPool",
    "Scopes": "OwnUserPool",
    "ServiceClient": "OwnUserPool",
    "StorefrontClient": "OwnUserPool",
    "AdminClient": "OwnUserPool",
    "AlarmTopic": "HasAlarmEmail",
    # The emulator can't compute with metrics.
    "ApiErrors": "IsAws",
    "TableThrottled": "IsAws",
}
