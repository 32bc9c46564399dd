"""Bugs in routes and rights in template.yaml."""

from tests.planted_bugs.bug import Bug

TEMPLATE = (
    Bug(
        "a route asks for a lesser scope",
        "AccountsFunction",
        """
        Path: /v1/accounts/{account}/grants
        Auth: { AuthorizationScopes: [prepaid/admin] }
        """,
        """
        Path: /v1/accounts/{account}/grants
        Auth: { AuthorizationScopes: [prepaid/read] }
        """,
        ("test_template",),
    ),
    Bug(
        "who spends may read sessions",
        "ConsumeRole",
        'dynamodb:LeadingKeys: ["ACCOUNT#*", "CLAIM#*", "CATALOG"]',
        'dynamodb:LeadingKeys: ["ACCOUNT#*", "CLAIM#*", "CATALOG", "SESSION#*"]',
        ("test_least_privilege",),
    ),
    Bug(
        "the verifier lacks a right",
        "VerifyRole",
        '"dynamodb:LeadingKeys": ["VERIFICATION", "VERIFIED#*"]',
        '"dynamodb:LeadingKeys": ["VERIFICATION"]',
        ("functions/test_verify",),
    ),
    Bug(
        "a changed layer publishes no version",
        "PrepaidLayer",
        "PublishLambdaVersion: true",
        "",
        ("infra/test_versions",),
    ),
    Bug(
        "a schedule may not start the version that it targets",
        "ReconcileScheduleRole",
        "Resource: !Ref ReconcileFunction.Alias",
        "Resource: !GetAtt ReconcileFunction.Arn",
        ("infra/test_versions",),
    ),
    Bug(
        "a silent job rings nowhere",
        "ReconcileSilent",
        "TreatMissingData: breaching",
        "TreatMissingData: notBreaching",
        ("test_expected",),
    ),
)
