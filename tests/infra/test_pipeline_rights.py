"""The pipeline's roles may do what their work needs, to this stack only. AWS has never been asked.

What CloudFormation needs is in the schemas of resource types, which AWS publishes and cfn-lint brings along: for each
type, the rights that its handlers use to create, read, update and delete.
"""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from tests.support.processed_template import long_form, processed
from tests.support.template import TEMPLATE, Template, actions_of, of_type

ROLES = TEMPLATE.parent / "deployment/github-role.yaml"
# The schemas are the same in every region that has all the types.
REGION = "us-east-1"
# A right on everything with a name covers only what has one: a mapping of events has none.
WITHOUT_NAME = {"AWS::Lambda::EventSourceMapping"}

# Rights of the handlers that the role doesn't have, by the reason.
LEFT_OUT = {
    "the table, the pool and the secrets outlive their stack": {
        "cognito-idp:DeleteUserPool",
        "dynamodb:DeleteTable",
        "secretsmanager:DeleteSecret",
    },
    # Whether a handler insists on it, only AWS can tell.
    "what a person stored in a secret is none of a deployment's business": {"secretsmanager:GetSecretValue"},
    "the stack policy refuses every change of a secret": {
        "secretsmanager:UntagResource",
        "secretsmanager:UpdateSecret",
    },
    "a role keeps its boundary": {"iam:DeleteRolePermissionsBoundary"},
    "no role has a managed policy, a description or a longest session": {
        "iam:AttachRolePolicy",
        "iam:DetachRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription",
    },
    "no table has a replica and no pool sends email, which need a linked role": {"iam:CreateServiceLinkedRole"},
    "AWS's own keys encrypt everything; the table's needs only a grant": {
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ListAliases",
        "kms:ReEncrypt",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:RevokeGrant",
        "logs:AssociateKmsKey",
        "logs:DisassociateKmsKey",
    },
    "the table has no replica": {
        "dynamodb:AssociateTableReplica",
        "dynamodb:BatchWriteItem",
        "dynamodb:CreateTableReplica",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
    },
    "the table is not imported from S3": {
        "dynamodb:DescribeImport",
        "dynamodb:ImportTable",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:GetObjectMetadata",
        "s3:ListBucket",
    },
    "the table has no stream in Kinesis, no policy and no insights": {
        "dynamodb:DeleteResourcePolicy",
        "dynamodb:DisableKinesisStreamingDestination",
        "dynamodb:EnableKinesisStreamingDestination",
        "dynamodb:PutResourcePolicy",
        "dynamodb:UpdateContributorInsights",
        "dynamodb:UpdateKinesisStreamingDestination",
        "kinesis:DescribeStream",
        "kinesis:PutRecords",
    },
    "the pool has no second factor and no attribute of its own": {
        "cognito-idp:AddCustomAttributes",
        "cognito-idp:SetUserPoolMfaConfig",
    },
    "the pool's domain is Cognito's; another prefix would be another domain": {
        "cloudfront:updateDistribution",
        "cognito-idp:UpdateUserPoolDomain",
    },
    "the bus has no policy": {"events:PutPermission", "events:RemovePermission"},
    "the functions have no network of ours and no file system": {
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "elasticfilesystem:DescribeMountTargets",
        "s3files:ListMountTargets",
    },
    "SAM gives each artifact a name of its own, not a version": {"s3:GetObjectVersion"},
    "a log group has only a name and a retention": {
        "firehose:TagDeliveryStream",
        "logs:DeleteDataProtectionPolicy",
        "logs:DeleteIndexPolicy",
        "logs:DeleteResourcePolicy",
        "logs:PutBearerTokenAuthentication",
        "logs:PutDataProtectionPolicy",
        "logs:PutIndexPolicy",
        "logs:PutLogGroupDeletionProtection",
        "s3:REST.PUT.OBJECT",
    },
    "the topic has no policy about personal data": {"sns:PutDataProtectionPolicy"},
    "a secret stays in its region": {
        "secretsmanager:RemoveRegionsFromReplication",
        "secretsmanager:ReplicateSecretToRegions",
    },
}

# What the role has beside the handlers' rights, by the reason.
ADDED = {
    "the template is SAM's": {"cloudformation:CreateChangeSet"},
    "API Gateway asks its caller for these when a stage gets an access log": {
        "logs:DeleteLogDelivery",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:UpdateLogDelivery",
    },
}


@pytest.fixture(scope="module")
def template() -> Template:
    """With every resource that a parameter adds."""
    return processed(TEMPLATE.read_text("utf-8"), parameters={"Canary": "true"})


@pytest.fixture(scope="module")
def roles() -> Template:
    return long_form(ROLES.read_text("utf-8"))


def statements(roles: Template, role: str) -> list[dict[str, Any]]:
    policies = roles["Resources"][role]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def handlers_rights(kind: str) -> set[str]:
    """What AWS's handlers of a resource type may call."""
    handlers: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema["handlers"]
    return {
        right
        for work in ("create", "read", "update", "delete")
        for right in handlers.get(work, {"permissions": []})["permissions"]
    }


def holds(granted: set[str], right: str) -> bool:
    return any(fnmatchcase(right.lower(), pattern.lower()) for pattern in granted)


# ---- What CloudFormation needs ----


def test_cloudformation_has_each_right_of_a_handler_or_a_reason(template: Template, roles: Template) -> None:
    granted = {action for statement in statements(roles, "Execution") for action in actions_of(statement)}
    by_name = {action for action in granted if not action.endswith("*")}
    reasoned = set[str]().union(*LEFT_OUT.values())
    kinds = {resource["Type"] for resource in template["Resources"].values()}

    missing = {
        (kind, right)
        for kind in kinds
        for right in handlers_rights(kind)
        if right not in reasoned and not holds(by_name if kind in WITHOUT_NAME else granted, right)
    }

    assert missing == set()


def test_each_reason_is_about_a_right_that_a_handler_has(template: Template, roles: Template) -> None:
    granted = {action for statement in statements(roles, "Execution") for action in actions_of(statement)}
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    needed = set[str]().union(*map(handlers_rights, kinds))
    reasoned = set[str]().union(*LEFT_OUT.values())

    assert reasoned - needed == set()
    assert {right for right in reasoned if holds(granted, right)} == set()


def test_cloudformation_has_no_other_right(template: Template, roles: Template) -> None:
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    needed = {right.lower() for kind in kinds for right in handlers_rights(kind)}
    granted = {action for statement in statements(roles, "Execution") for action in actions_of(statement)}

    more = {action for action in granted if not any(fnmatchcase(right, action.lower()) for right in needed)}

    assert more == set[str]().union(*ADDED.values())


# Of a deployment, which may only make one.
SECRET_RIGHTS = ("CreateSecret", "DescribeSecret", "GetRandomPassword", "TagResource")

# ---- This stack only ----

# Named by SAM or by AWS, the same for all stacks of the account.
SHARED = (
    ":aws:transform/Serverless-2016-10-31",
    "aws-sam-cli-managed-default",
    "deploymentconfig:CodeDeployDefault.",
)


@pytest.mark.parametrize("role", ["Deployer", "Execution"])
def test_a_right_reaches_no_other_stack(roles: Template, role: str) -> None:
    wide = [
        (actions_of(statement), resource)
        for statement in statements(roles, role)
        for resource in listed(statement["Resource"])
        if resource != "*"
        and "StackName" not in str(resource) + str(statement.get("Condition"))
        and not any(shared in str(resource) for shared in SHARED)
    ]

    # The table's key is AWS's own. CloudFormation takes the other role.
    assert (
        wide
        == [
            (["iam:PassRole"], {"Fn::GetAtt": ["Execution", "Arn"]}),
        ]
        if role == "Deployer"
        else [actions for actions, _ in wide] == [["kms:CreateGrant", "kms:DescribeKey"]]
    )


def test_a_deployment_changes_no_stored_secret(roles: Template) -> None:
    """Secrets are named by their logical ids, the same in staging and in prod."""
    secrets = {
        action
        for statement in statements(roles, "Execution")
        for action in actions_of(statement)
        if action.startswith("secretsmanager:")
    }

    assert secrets == {f"secretsmanager:{name}" for name in SECRET_RIGHTS}


def test_a_tag_decides_only_where_cloudformation_gives_it(roles: Template) -> None:
    """The schemas say which types get CloudFormation's own tags."""
    deciding = {
        action.partition(":")[0]
        for role in ("Deployer", "Execution")
        for statement in statements(roles, role)
        if "aws:ResourceTag" in str(statement.get("Condition"))
        for action in actions_of(statement)
    }
    kinds = {
        "apigateway": ["AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage"],
        "cognito-idp": ["AWS::Cognito::UserPool"],
        "lambda": ["AWS::Lambda::EventSourceMapping"],
        "secretsmanager": ["AWS::SecretsManager::Secret"],
    }

    assert deciding == kinds.keys()
    for kind in set[str]().union(*map(set, kinds.values())):
        tagging = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema["tagging"]
        assert (tagging["cloudFormationSystemTags"], tagging["tagOnCreate"]) == (True, True)


@pytest.mark.parametrize("role", ["Deployer", "Execution"])
def test_a_roles_policies_fit_into_it(roles: Template, role: str) -> None:
    """IAM accepts 10,240 characters of inline policies, without white space, whatever the stack's name."""
    name = "s" * 51
    region, other = "ap-southeast-1", "x" * 120

    def filled(part: Any) -> Any:
        match part:
            case {"Fn::Sub": sub}:
                return re.sub(
                    r"\$\{([\w:]+)\}",
                    lambda found: {"AWS::Region": region, "StackName": name}.get(found[1], ACCOUNT),
                    sub,
                )
            case {"Ref": "StackName"}:
                return name
            case {"Ref": _} | {"Fn::GetAtt": _}:
                return other
            case dict():
                return {key: filled(value) for key, value in part.items()}
            case list():
                return [filled(value) for value in part]
            case _:
                return part

    policies = roles["Resources"][role]["Properties"]["Policies"]
    written = "".join(json.dumps(filled(policy["PolicyDocument"]), separators=(",", ":")) for policy in policies)

    assert len(written.replace(" ", "")) <= 10_240


# ---- The boundary of the stack's own roles ----

ACCOUNT = "111122223333"
KEPT = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/kept"
VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "prepaid-staging",
    "StackName": "prepaid-staging",
    "ExistingTable": KEPT,
}
# How AWS names a resource to which the template gives no name: by the stack and the logical id, a secret by the latter.
NAMED = {
    "AWS::DynamoDB::Table": "dynamodb:{place}:table/prepaid-staging-{name}-1A2B",
    "AWS::Lambda::Alias": "lambda:{place}:function:prepaid-staging-{name}-1A2B:live",
    "AWS::SQS::Queue": "sqs:{place}:prepaid-staging-{name}-1A2B",
    "AWS::SecretsManager::Secret": "secretsmanager:{place}:secret:{name}-1A2B-3c4d5e",
    "AWS::Events::EventBus": "events:{place}:event-bus/prepaid-staging",
    "AWS::Logs::LogGroup": "logs:{place}:log-group:/aws/lambda/{group}:*",
}


def text(sub: str) -> str:
    return re.sub(r"\$\{([\w:]+)\}", lambda found: VALUES[found[1]], sub)


def arns(value: Any, template: Template) -> Iterator[str]:
    """The ARNs that a Resource of a role stands for, with each branch of a condition."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from arns(item, template)
        case {"Fn::If": [_, yes, no]}:
            yield from arns([yes, no], template)
        case {"Fn::Sub": sub}:
            name, dot, rest = sub.removeprefix("${").partition(".Arn}")
            yield f"{next(arns({'Fn::GetAtt': [name, 'Arn']}, template))}{rest}" if dot else text(sub)
        case {"Ref": name} if name in VALUES:
            yield VALUES[name]
        case {"Ref": "AWS::NoValue"}:
            return
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            resource = template["Resources"][name]
            group = text(resource["Properties"].get("LogGroupName", {"Fn::Sub": ""})["Fn::Sub"]).removeprefix(
                "/aws/lambda/"
            )
            arn = "arn:aws:" + NAMED[resource["Type"]].format(place=f"{REGION}:{ACCOUNT}", name=name, group=group)
            # A stream is a part of its table.
            yield f"{arn}/stream/1" if value.get("Fn::GetAtt", [None, None])[1] == "StreamArn" else arn
        case _:
            raise AssertionError(value)


def boundary(roles: Template) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = roles["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    return found


def test_the_boundary_allows_what_each_role_of_the_stack_needs(template: Template, roles: Template) -> None:
    allowed = [
        (set(actions_of(statement)), list(arns(statement["Resource"], template))) for statement in boundary(roles)
    ]
    needed = {
        (action, arn)
        for role in of_type(template, "AWS::IAM::Role").values()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in actions_of(statement)
        for arn in arns(statement["Resource"], template)
    }

    refused = {
        (action, arn)
        for action, arn in needed
        if not any(action in actions and any(fnmatchcase(arn, each) for each in on) for actions, on in allowed)
    }

    assert len(needed) > 50
    assert refused == set()
    assert {action for actions, _ in allowed for action in actions} == {action for action, _ in needed}


def test_the_boundary_keeps_a_role_to_the_secrets_of_its_stack(roles: Template) -> None:
    [reading] = [statement for statement in boundary(roles) if "secretsmanager:GetSecretValue" in actions_of(statement)]

    assert reading["Condition"] == {
        "StringEquals": {"aws:ResourceTag/aws:cloudformation:stack-name": {"Ref": "StackName"}}
    }


def test_no_role_gets_a_right_without_the_boundary(roles: Template) -> None:
    giving = [
        statement
        for statement in statements(roles, "Execution")
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} & set(actions_of(statement))
    ]

    assert [statement["Condition"] for statement in giving] == [
        {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    ]
    # The boundary is a policy, which the role can't change: it has no right about policies.
    actions = {action for statement in statements(roles, "Execution") for action in actions_of(statement)}
    assert not {action for action in actions if re.fullmatch(r"iam:.*Policy(Version)?s?", action)} - {
        "iam:DeleteRolePolicy",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    }
