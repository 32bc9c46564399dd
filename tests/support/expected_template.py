"""The values that template.yaml must have, and why. test_expected.py compares them with the processed template.

Parameters and alarms are in expected_parameters.py and expected_alarms.py.

A wrong value here breaks no request: an alarm never rings, a stranger can assume a role, a schedule never runs.
What functions may do to the table and to secrets is not listed here:
tests/security/test_least_privilege.py compares those permissions with the calls that the code makes.
"""

from typing import Any

from tests.support.template_values import DAY, HOUR, MINUTE, Properties, attribute, either, ref, sub

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
    "Publish": "publish",
    "Deliver": "deliver",
}
SCHEDULED = ("Reconcile", "ExpirySweep", "Verify", "Publish")

# ---- Functions ----


def function(name: str, *, memory: int = 512, timeout: int = 20) -> Properties:
    """memory in MB, timeout in seconds.

    The default timeout leaves room for 10 seconds of retries, on the subscription page, and a call of up to 7 seconds.
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
    # Memory: hashing a manager's code takes most of a core. Timeout: calls to Stripe take up to 20 seconds and what the
    # last one needs, and API Gateway gives up after 30 seconds.
    "CheckoutFunction": function("Checkout", memory=1024, timeout=28),
    # A cold start loads the templates before somebody sees the first page.
    "PortalFunction": function("Portal", memory=1024),
    "PurchaseWebhookFunction": function("PurchaseWebhook", timeout=28),
    # A backlog shrinks as fast as Stripe responds. 15 minutes is Lambda's maximum; a run stops itself before the end.
    "ReconcileFunction": function("Reconcile", timeout=15 * MINUTE),
    # Lots of one zone end at the same midnight. 1,769 MB is one core, more than which its threads can't use.
    "ExpirySweepFunction": function("ExpirySweep", memory=1769, timeout=15 * MINUTE),
    # It computes more than it waits.
    "VerifyFunction": function("Verify", memory=1024, timeout=15 * MINUTE),
    # The scheduled run reads every account's cursor. A run stops itself before the end.
    "PublishFunction": function("Publish", timeout=15 * MINUTE),
    # A receiver may take 10 seconds.
    "DeliverFunction": function("Deliver", timeout=40),
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
    "EVENT_SOURCE": sub("prepaid/${AWS::StackName}"),
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

# No path, query string or header: they carry account names, cursors and tokens. No text that may hold a quote.
ACCESS_LOG = {
    "request_id": "$context.requestId",
    "at": "$context.requestTimeEpoch",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency_ms": "$context.responseLatency",
    "bytes": "$context.responseLength",
    "client": "$context.authorizer.claims.client_id",
    "authorizer_error": "$context.authorizer.error",
    "lambda_status": "$context.integration.integrationStatus",
}

# ---- The API and its callers ----

# What anybody may send without a token, and no page needs often; and sessions, each of which costs a slow hash. Twenty
# managers a second may enter, and twenty buy.
SLOWED = (
    "POST /v1/accounts/{account}/manager-sessions",
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
# AUTHORIZERS name the pool's issuer in its original form, and AWS may change the default.
USER_POOL = {
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
    "IssuerConfiguration": {"Type": "ORIGINAL"},
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
    # Only keys: a stream keeps what it holds for a day, and no erasure reaches it.
    "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
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

# A role without it, or with another, would escape what bounds the others.
BOUNDARY = either("HasPermissionsBoundary", ref("PermissionsBoundary"), ref("AWS::NoValue"))

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
    "PublishFunctionSchedule": schedule("Publish", "publish", "PublishSchedule"),
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
