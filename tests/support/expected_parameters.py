"""The parameters that template.yaml must have, and what CloudFormation refuses and decides by them."""

from tests.support.template_values import Properties, ref

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
    # Empty: the template alone decides what its roles may do.
    "PermissionsBoundary": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "(arn:[a-z-]+:iam::[0-9]{12}:policy/[A-Za-z0-9+=,.@_/-]+)?",
    },
    # AWS charges for snapshots.
    "SnapStart": {"Type": "String", "Default": "false", "AllowedValues": ON_OFF},
}


def unless_equal(name: str, value: str) -> Properties:
    return {"Fn::Not": [{"Fn::Equals": [ref(name), value]}]}


# What CloudFormation refuses before it changes anything: for each rule, when it counts, and what must hold then.
RULES = {
    # The functions write to a table whose changes start the publisher.
    "ExistingTableNamesItsStream": (unless_equal("ExistingTable", ""), [unless_equal("ExistingTableStream", "")]),
    "StreamNeedsItsExistingTable": (unless_equal("ExistingTableStream", ""), [unless_equal("ExistingTable", "")]),
    # Without an audience, the authorizer accepts no token; without an issuer, the audience would be ignored.
    "OwnIssuerNamesItsAudience": (unless_equal("JwtIssuer", ""), [unless_equal("JwtAudience", "")]),
    "AudienceNeedsItsIssuer": (unless_equal("JwtAudience", ""), [unless_equal("JwtIssuer", "")]),
    # The authorizer ignores them under another issuer, and their tokens would be refused.
    "ExtraClientsAreOfTheOwnPool": (unless_equal("ExtraClients", ""), [{"Fn::Equals": [ref("JwtIssuer"), ""]}]),
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
    "HasPermissionsBoundary": unless_equal("PermissionsBoundary", ""),
    "HasSnapStart": {"Fn::Equals": [ref("SnapStart"), "true"]},
}
