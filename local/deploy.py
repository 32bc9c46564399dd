"""Deploys the real template to the local cloud with `sam deploy`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from local import sam
from local.build import architecture
from local.cloud import REGION, Cloud
from local.processes import finish, own_environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

STACK_NAME = "prepaid"
# The permissions of each function's own Stripe key; docs/stripe.md documents them.
LOOKING = {"checkout_session": "read", "dispute": "read", "payment_intent": "read", "refund": "read"}
STRIPE_RIGHTS = {
    "Checkout": {"checkout_session": "write", "customer": "write"},
    "PurchaseWebhook": LOOKING,
    "Reconcile": {**LOOKING, "event": "read"},
}
BUCKET = "prepaid-artifacts"
# The alias of each function's version in use, as template.yaml names it.
ALIAS = "live"


def client(cloud: Cloud, service: str) -> Any:
    """A client that can reach only the emulator."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    return session.client(service, endpoint_url=cloud.url)  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed stack, with its parameters, outputs and the physical ids of its resources."""

    cloud: Cloud
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    template: Mapping[str, Any]

    @property
    def api_url(self) -> str:
        """The API's URL. curl, browsers and Python can all resolve it, unlike *.localhost."""
        return f"{self.cloud.url}/_aws/execute-api/{self.outputs['ApiId']}"

    @property
    def stripe_stack(self) -> str:
        """The stack's name in the metadata of its sessions at Stripe."""
        return _stripe_stack(self.cloud)

    @property
    def portal_url(self) -> str:
        """The page's site, as a browser resolves it: cookies are kept for a name, not for a path."""
        return f"http://{self.outputs['ApiId']}.execute-api.localhost:{self.cloud.port}"

    def set_portal_url(self) -> None:
        """Give the functions the page's address, which exists only once the API is deployed."""
        functions: LambdaClient = client(self.cloud, "lambda")
        for name in ("CheckoutFunction", "PortalFunction"):
            function = self.resources[name]
            variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
            functions.update_function_configuration(
                FunctionName=function, Environment={"Variables": {**variables, "PORTAL_URL": self.portal_url}}
            )
            # Callers reach the published version behind the alias, which keeps its own settings.
            published = functions.publish_version(FunctionName=function)["Version"]
            functions.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=published)

    def write_stripe_secrets(self, api_keys: Mapping[str, str], webhook_secrets: list[str]) -> None:
        """Store each function's API key and the webhook's signing secrets, as an operator does for a real stack."""
        secrets: SecretsManagerClient = client(self.cloud, "secretsmanager")
        for function, api_key in api_keys.items():
            value: dict[str, Any] = {"api_key": api_key}
            if function == "PurchaseWebhook":
                value["webhook_secrets"] = webhook_secrets
            arn = self.outputs[f"{function}StripeSecretArn"]
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(value))

    def write_webhook_secret(self, secret: str) -> None:
        """Store the secret that signs events, if the stack sends them to a webhook."""
        if arn := self.outputs.get("WebhookSecretArn"):
            secrets: SecretsManagerClient = client(self.cloud, "secretsmanager")
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"secrets": [secret]}))

    def secret(self, output: str) -> str:
        """The secret whose address is an output of the stack."""
        secrets: SecretsManagerClient = client(self.cloud, "secretsmanager")
        return secrets.get_secret_value(SecretId=self.outputs[output])["SecretString"]

    def client_secret(self, client_id: str) -> str:
        """The password of a machine client."""
        cognito: CognitoIdentityProviderClient = client(self.cloud, "cognito-idp")
        described = cognito.describe_user_pool_client(UserPoolId=self.outputs["UserPoolId"], ClientId=client_id)
        return described["UserPoolClient"]["ClientSecret"]


def _stripe_stack(cloud: Cloud) -> str:
    # Every local cloud has the same account id and region.
    return f"local-{cloud.port}"


def deploy(cloud: Cloud, built: Path, stripe_url: str, log: Path, overrides: Mapping[str, str]) -> Deployed:
    """Deploy a built template and return the deployed stack."""
    client(cloud, "s3").create_bucket(Bucket=BUCKET)
    parameters = {
        "LocalStack": "true",
        "Architecture": architecture(),
        "StripeApiBase": stripe_url,
        "StripeStack": _stripe_stack(cloud),
        # There is no shop here, so customers return to the payment provider's list of sessions.
        "ReturnUrl": f"{stripe_url}/",
        "CheckoutOrigin": stripe_url,
        "PortalName": "Vet Cloud",
        "SweepSchedule": "rate(1 minute)",
        "ReconcileSchedule": "rate(1 minute)",
        "TokenHours": "24",
        **overrides,
    }
    arguments = ["deploy", "--template-file", str(built / "template.yaml"), "--stack-name", STACK_NAME]
    arguments += [
        "--s3-bucket",
        BUCKET,
        "--capabilities",
        "CAPABILITY_IAM",
        "--no-confirm-changeset",
        "--no-progressbar",
    ]
    arguments += ["--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items())]
    # SAM's default polling interval is meant for the real AWS.
    env = {**sam.environment(own_environment()), **cloud.environment(), "SAM_CLI_POLL_DELAY": "0.3"}
    finish("deploying the stack", sam.command(*arguments), env, log)

    return deployed(cloud, STACK_NAME)


def deployed(cloud: Cloud, name: str) -> Deployed:
    """A stack that is deployed."""
    formation: CloudFormationClient = client(cloud, "cloudformation")
    stack = formation.describe_stacks(StackName=name)["Stacks"][0]
    resources = formation.describe_stack_resources(StackName=name)["StackResources"]
    template: Any = formation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    return Deployed(
        cloud=cloud,
        parameters={parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]},
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        resources={resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
        template=json.loads(template) if isinstance(template, str) else template,
    )
