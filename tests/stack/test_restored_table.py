"""The worst day, in the local cloud: a stack takes up a restored table, the user pool and the pepper of another one.

docs/disaster.md has the steps. MiniStack restores a table as it is now, whatever the time;
tests/store/test_restore.py restores to earlier moments, with each half of a transaction.
"""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deployment import deploy
from local.build import built
from local.deploy import Deployed, client, deployed
from local.processes import ROOT, STATE
from local.routes import import_routes
from local.stack import Stack
from prepaid.store import keys
from tests.support.api import CONSUME, Answer
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront

NAME = "prepaid-again"
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


def taken_up(stack: Stack, table: str, folder: Path) -> Deployed:
    """Another stack with this table and the first one's pool, pepper and Stripe keys, as `make deploy` does it."""
    old, cloud = stack.deployed, stack.deployed.cloud
    # A restored table has no stream.
    description = client(cloud, "dynamodb").update_table(
        TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )["TableDescription"]
    parameters = {
        "LocalStack": "true",
        "ExistingTable": description["TableArn"],
        "ExistingTableStream": description["LatestStreamArn"],
        "JwtIssuer": f"https://cognito-idp.us-east-1.amazonaws.com/{old.outputs['UserPoolId']}",
        "JwtAudience": ",".join(old.outputs[f"{name}ClientId"] for name in ("Service", "Storefront", "Admin")),
        **{name: old.parameters[name] for name in ("StripeStack", "StripeApiBase", "ReturnUrl", "CheckoutOrigin")},
    }
    config = folder / "samconfig.toml"
    config.write_text(
        f'version = 0.1\n[again.deploy.parameters]\nstack_name = "{NAME}"\n'
        'capabilities = "CAPABILITY_IAM"\nresolve_s3 = true\n'
        f"parameter_overrides = {json.dumps([f'{name}={value}' for name, value in parameters.items()])}\n"
    )
    # `make deploy` writes into what it deploys.
    build = shutil.copytree(built(STATE / "log" / stack.file.stem / "build.log"), folder / "build")
    assert deploy.main(["--environment", "again", "--no-confirm-changeset"], config, build) == 0
    new = deployed(cloud, NAME)
    import_routes(new)
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


def test_a_stack_takes_up_a_restored_table_pool_and_pepper(
    stack: Stack, api: HttpApi, cashier: StackStorefront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.deployed.cloud.environment().items():
        monkeypatch.setenv(name, value)
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
