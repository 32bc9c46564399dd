"""The worst day, in the local cloud: a stack takes up a restored table, and one that is deleted and created again takes
up its own table. Both take up the user pool and the pepper.

docs/disaster.md has the steps. MiniStack restores a table as it is now, whatever the time;
tests/store/test_restore.py restores to earlier moments, with each half of a transaction.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from deployment import deploy
from deployment.settings import SettingsError
from local import demo
from local.build import built
from local.cloud import Cloud
from local.deploy import Deployed, client, deployed
from local.processes import ROOT, STATE
from local.routes import import_routes
from local.stack import CLIENTS, Stack, token
from prepaid.store import keys
from tests.support.api import CONSUME, Answer
from tests.support.over_http import HttpApi, exchange, new_account
from tests.support.payment_page import StackStorefront

NAME, MORTAL = "prepaid-again", "prepaid-mortal"
# Not the name of the deleted one: the emulator would give the kept secrets' names to the new ones. AWS makes up others.
HEIR = "prepaid-heir"
KEYS = ("Checkout", "PurchaseWebhook", "Reconcile")


def restore(stack: Stack) -> str:
    """The name of a new table with the rows that the stack's table has now."""
    name = f"{stack.addresses.table_name}-{uuid4().hex[:8]}-restored"
    client(stack.deployed.cloud, "dynamodb").restore_table_to_point_in_time(
        SourceTableName=stack.addresses.table_name, TargetTableName=name, RestoreDateTime=datetime.now(UTC)
    )
    return name


def verify(stack: Stack, table: str) -> str:
    """What `make verify TABLE=… RESTORED=1` prints."""
    command = [sys.executable, "-m", "local.verify", "--table", table, "--restored"]
    env = {**os.environ, **stack.deployed.cloud.environment()}
    shown = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert shown.returncode == (0 if "nothing found" in shown.stdout else 1), shown
    return shown.stdout


def deploy_as(name: str, stack: Stack, parameters: Mapping[str, str], folder: Path) -> Deployed:
    """A stack with this name beside the tests' own one, as `make deploy` creates it."""
    shared = ("StripeStack", "StripeApiBase", "ReturnUrl", "CheckoutOrigin")
    parameters = {
        "LocalStack": "true",
        **{name: stack.deployed.parameters[name] for name in shared},
        **parameters,
    }
    config = folder / "samconfig.toml"
    config.write_text(
        f'version = 0.1\n[again.deploy.parameters]\nstack_name = "{name}"\n'
        'capabilities = "CAPABILITY_IAM"\nresolve_s3 = true\n'
        f"parameter_overrides = {json.dumps([f'{name}={value}' for name, value in parameters.items()])}\n"
    )
    # `make deploy` writes into what it deploys.
    source = built(STATE / "log" / stack.file.stem / "build.log")
    build = shutil.copytree(source, folder / "build", dirs_exist_ok=True)
    assert deploy.main(["--environment", "again", "--no-confirm-changeset"], config, build) == 0
    new = deployed(stack.deployed.cloud, name)
    import_routes(new)
    return new


def from_old(outputs: Mapping[str, str], description: Any) -> dict[str, str]:
    """The parameters that take up a table, and the pool of the stack with these outputs. description: of the table."""
    return {
        "ExistingTable": description["TableArn"],
        "ExistingTableStream": description["LatestStreamArn"],
        "JwtIssuer": f"https://cognito-idp.us-east-1.amazonaws.com/{outputs['UserPoolId']}",
        "JwtAudience": ",".join(outputs[f"{name}ClientId"] for name in ("Service", "Storefront", "Admin")),
    }


def taken_up(stack: Stack, table: str, folder: Path) -> Deployed:
    """Another stack with this table and the first one's pool, pepper and Stripe keys."""
    old, cloud = stack.deployed, stack.deployed.cloud
    # A restored table has no stream.
    description = client(cloud, "dynamodb").update_table(
        TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )["TableDescription"]
    new = deploy_as(NAME, stack, from_old(old.outputs, description), folder)
    secrets = client(cloud, "secretsmanager")
    for output in ("PepperSecretArn", "CursorSecretArn", *(f"{name}StripeSecretArn" for name in KEYS)):
        secrets.put_secret_value(SecretId=new.outputs[output], SecretString=old.secret(output))
    return new


def run_reconciliation(new: Deployed) -> Any:
    answer = client(new.cloud, "lambda").invoke(
        FunctionName=new.resources["ReconcileFunction"], Qualifier="live", Payload=b"{}"
    )
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def spend(api: HttpApi, account: str, key: str) -> Answer:
    return api(CONSUME, account, json={"feature": "sticker", "quantity": 3}, key=key)


@pytest.fixture
def cloud(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The local cloud, for what reads its address and credentials from the environment."""
    for name, value in stack.deployed.cloud.environment().items():
        monkeypatch.setenv(name, value)
    return stack.deployed.cloud


@pytest.mark.usefixtures("cloud")
def test_a_stack_takes_up_a_restored_table_pool_and_pepper(
    stack: Stack, api: HttpApi, cashier: StackStorefront, tmp_path: Path
) -> None:
    dynamodb = client(stack.deployed.cloud, "dynamodb")
    account = api.open(new_account(), credits=50)
    unpaid = cashier.order(account)
    assert spend(api, account, "before").status == 201
    half = spend(api, account, "half").body
    table = restore(stack)
    torn = keys.claim(account, "half")
    dynamodb.delete_item(TableName=table, Key=torn)
    # After the restore, the first stack's table goes on without it.
    cashier.press(unpaid, "card")
    cashier.drain()

    found = verify(stack, table)
    for row in (keys.entry(account, half["entry"]), keys.published(account)):
        dynamodb.delete_item(TableName=table, Key=row)
    cleaned = verify(stack, table)
    new = taken_up(stack, table, tmp_path)
    again = HttpApi(new.api_url, stack.addresses.tokens)
    restored = again.balance(account)["credits"]
    reconciled = run_reconciliation(new)

    assert ("claim_missing" in found, account in found, "nothing found" in cleaned) == (True, True, True)
    assert (restored["available"], reconciled["finished"], reconciled["healed"] >= 1) == (47, True, True)
    assert again.balance(account)["credits"]["available"] == 47 + 50
    assert (spend(again, account, "before").replayed, spend(again, account, "half").replayed) == (True, False)
    assert again.manager_session(account)
    assert "nothing found" in verify(stack, table)
    assert api.balance(account)["credits"]["available"] == 50 - 3 - 3 + 50
    [facts] = client(new.cloud, "cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    assert facts["EnableTerminationProtection"] is True


def delete(old: Deployed) -> None:
    """Lift the protection, delete the stack, and wait."""
    formation = client(old.cloud, "cloudformation")
    with pytest.raises(ClientError, match="TerminationProtection"):
        formation.delete_stack(StackName=MORTAL)
    formation.update_termination_protection(StackName=MORTAL, EnableTerminationProtection=False)
    formation.delete_stack(StackName=MORTAL)
    formation.get_waiter("stack_delete_complete").wait(StackName=MORTAL, WaiterConfig={"Delay": 1})


def test_a_stack_that_was_deleted_is_created_again_with_what_it_left(
    stack: Stack, cloud: Cloud, tmp_path: Path
) -> None:
    dynamodb, secrets = client(cloud, "dynamodb"), client(cloud, "secretsmanager")
    old = deploy_as(MORTAL, stack, {}, tmp_path)
    tokens = {name: token(old, old.outputs[output]) for name, output in CLIENTS.items()}
    api = HttpApi(old.api_url, tokens)
    account = api.open(new_account(), credits=50)
    assert spend(api, account, "before").status == 201
    demo.set_code(demo.Api(old.api_url, tokens), account)
    assert api.manager_session(account)
    cursor = old.secret("CursorSecretArn")

    delete(old)
    gone = exchange("GET", f"{old.api_url}/v1/accounts/{account}/balance", None, {})
    description = dynamodb.describe_table(TableName=old.outputs["TableName"])["Table"]
    new = deploy_as(HEIR, stack, from_old(old.outputs, description), tmp_path)
    for output, text in (("PepperSecretArn", old.secret("PepperSecretArn")), ("CursorSecretArn", cursor)):
        secrets.put_secret_value(SecretId=new.outputs[output], SecretString=text)
    again = HttpApi(new.api_url, tokens)

    assert (gone.status, new.outputs["TableName"]) == (404, old.outputs["TableName"])
    assert new.outputs["PepperSecretArn"] != old.outputs["PepperSecretArn"]
    # The tokens are those of before, and the kept clients get new ones from the kept pool.
    assert again.balance(account)["credits"]["available"] == 47
    assert spend(again, account, "before").replayed
    fresh = HttpApi(new.api_url, {"service": token(old, old.outputs["ServiceClientId"])})
    assert spend(fresh, account, "after").status == 201
    assert again.manager_session(account)
    assert "nothing found" in verify(stack, new.outputs["TableName"])
    assert not {"UserPoolId", "TokenUrl", "ServiceClientId"} & new.outputs.keys()
    with pytest.raises(SettingsError, match=r"works on arn:.*--change-table"):
        deploy_as(HEIR, stack, {}, tmp_path)
