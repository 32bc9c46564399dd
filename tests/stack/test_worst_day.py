"""The worst day, in the local cloud, with the commands of docs/disaster.md.

A stack goes back to an earlier moment in a restored table, with half a transaction in it. Then it is deleted, and
created again under its name with what it left: that table, the user pool and the pepper, which is rotated at last.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deployment import deploy
from deployment.settings import SettingsError
from local import demo
from local.build import built
from local.cloud import environment_at
from local.deploy import Deployed, client, deployed
from local.processes import ROOT, STATE
from local.routes import import_routes
from local.stack import CLIENTS, Stack, token
from prepaid.store import keys
from prepaid.store.purchases import read_purchase
from tests.support.api import CONSUME, GRANT, Answer
from tests.support.aws_commands import blocks
from tests.support.operators_shell import OperatorsShell, operators_shell
from tests.support.over_http import HttpApi, exchange, new_account
from tests.support.payment_page import StackStorefront

NAME = "prepaid-mortal"
RUNBOOK = ROOT / "docs" / "disaster.md"
KEYS = ("Checkout", "PurchaseWebhook", "Reconcile")
# The consumptions of the platform: one before the moment to which the table is restored, one torn in two, one after.
SENT = ("before", "half", "after")
CHANGE = "--change-table"


def steps(heading: str) -> list[str]:
    """The commands of the runbook below a heading, for this stack."""
    return [block.replace("STACK_NAME=prepaid\n", f"STACK_NAME={NAME}\n") for block in blocks(RUNBOOK, heading)]


def output_of(shell: OperatorsShell, line: str) -> str:
    """What a `make verify` of the runbook prints. Its exit code says whether it found something."""
    text = RUNBOOK.read_text("utf-8")
    assert f"    {line}\n" in text or f"`{line}`" in text, line
    shown = shell.run(f'code=0; {line} 2>&1 || code=$?; echo " code $code"')
    assert ("nothing found" in shown) == shown.endswith("code 0\n"), shown
    return shown


@dataclass
class Mortal:
    """The stack that this day happens to. parameters: of its environment in samconfig.toml."""

    beside: Stack
    folder: Path
    shell: OperatorsShell
    parameters: dict[str, str] = field(default_factory=dict)

    def deploy(self, *arguments: str) -> Deployed:
        """What `make deploy` does after its build."""
        shared = {
            name: self.beside.deployed.parameters[name] for name in ("StripeApiBase", "ReturnUrl", "CheckoutOrigin")
        }
        parameters = {"LocalStack": "true", **shared, **self.parameters}
        config = self.folder / "samconfig.toml"
        config.write_text(
            f'version = 0.1\n[mortal.deploy.parameters]\nstack_name = "{NAME}"\n'
            'capabilities = "CAPABILITY_IAM"\nresolve_s3 = true\n'
            f"parameter_overrides = {json.dumps([f'{name}={value}' for name, value in parameters.items()])}\n"
        )
        # `make deploy` writes into what it deploys.
        source = built(STATE / "log" / self.beside.file.stem / "build.log")
        build = shutil.copytree(source, self.folder / "build", dirs_exist_ok=True)
        assert deploy.main(["--environment", "mortal", "--no-confirm-changeset", *arguments], config, build) == 0
        return deployed(self.beside.deployed.cloud, NAME)

    def create(self) -> Deployed:
        """A stack that isn't there yet, with the Stripe keys of the tests' own one."""
        new = self.deploy()
        import_routes(new)
        put = client(new.cloud, "secretsmanager").put_secret_value
        for name in KEYS:
            text = self.beside.deployed.secret(f"{name}StripeSecretArn")
            put(SecretId=new.outputs[f"{name}StripeSecretArn"], SecretString=text)
        return new

    def with_table(self, arns: str) -> None:
        """Put a table into samconfig.toml. arns: of the table and its stream, as the runbook's command prints them."""
        self.parameters |= dict(zip(("ExistingTable", "ExistingTableStream"), arns.split(), strict=True))

    def rows(self, table: str) -> int:
        return int(client(self.beside.deployed.cloud, "dynamodb").scan(TableName=table, Select="COUNT")["Count"])


@dataclass
class Lived:
    """The stack's life up to its worst day.

    known, forgotten: purchases from before and after the moment to which the table is restored. half: the number of the
    entry that is torn. available, rows: the account's credits, and the table's rows, at the end.
    """

    old: Deployed
    api: HttpApi
    shop: StackStorefront
    account: str
    known: demo.Shop
    forgotten: demo.Shop
    half: int
    available: int
    rows: int


@dataclass
class Restored:
    """What the day showed, step by step. found: by each `make verify`. runs: of the reconciliation."""

    stack: Deployed
    found: list[str]
    refused: Answer
    runs: list[Any]
    credits: dict[str, int]
    replayed: dict[str, bool]


def spend(api: HttpApi, account: str, key: str) -> Answer:
    answer = api(CONSUME, account, json={"feature": "sticker", "quantity": 3}, key=key)
    assert answer.status == 201, answer
    return answer


def available(api: HttpApi, account: str) -> int:
    return int(api.balance(account)["credits"]["available"])


@pytest.fixture(scope="module")
def mortal(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    folder = tmp_path_factory.mktemp("worst-day")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment_at(stack.deployed.cloud.url).items():
            patched.setenv(name, value)
        with operators_shell(stack.deployed.cloud, folder) as shell:
            yield Mortal(stack, folder, shell)


@pytest.fixture(scope="module")
def lived(mortal: Mortal) -> Lived:
    old, shell = mortal.create(), mortal.shell
    dynamodb, own = client(old.cloud, "dynamodb"), old.outputs["TableName"]
    tokens = {name: token(old, old.outputs[output]) for name, output in CLIENTS.items()}
    api = HttpApi(old.api_url, tokens)
    addresses = replace(mortal.beside.addresses, api_url=old.api_url, tokens=tokens, table_name=own)
    shop = StackStorefront(replace(mortal.beside, addresses=addresses, deployed=old))
    account = api.open(new_account(), credits=50)
    known = shop.order(account)
    spend(api, account, "before")
    half = spend(api, account, "half").body["entry"]
    # The moment to which the table is restored, with one item of a transaction missing.
    shell.earlier[own] = f"{own}-earlier"
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=own, TargetTableName=shell.earlier[own], UseLatestRestorableTime=True
    )
    dynamodb.delete_item(TableName=shell.earlier[own], Key=keys.claim(account, "half"))
    forgotten = shop.order(account)
    for purchase in (known, forgotten):
        shop.press(purchase, "card")
    run_once(old)
    spend(api, account, "after")
    return Lived(old, api, shop, account, known, forgotten, half, available(api, account), mortal.rows(own))


@pytest.fixture(scope="module")
def restored(mortal: Mortal, lived: Lived) -> Restored:
    """The first part of the runbook, from top to bottom."""
    shell, api, account = mortal.shell, lived.api, lived.account
    shell.run(*steps("The worst day"))
    shell.run(*steps("1. Stop all writers"))
    refused = exchange("POST", f"{lived.old.api_url}/v1/webhooks/stripe", b"{}", {})
    shell.run(*steps("2. Restore to a new table"))
    found = [output_of(shell, 'make verify TABLE="$RESTORED" RESTORED=1')]
    [take_back] = steps("3. Verify it before anything writes to it")
    for row in (keys.entry(account, lived.half), keys.published(account)):
        partition, sort = row["PK"]["S"], row["SK"]["S"]
        shell.run(take_back.replace("ACCOUNT#acc_5f2b8c", partition).replace("ENTRY#000000000042", sort))
    found.append(output_of(shell, 'make verify TABLE="$RESTORED" RESTORED=1'))
    switch_on_stream, *start_reconciliation = steps("4. Point the stack at it")
    mortal.with_table(shell.run(switch_on_stream))
    with pytest.raises(SettingsError, match=f"works on its own table, .*{CHANGE}"):
        mortal.deploy()
    stack = mortal.deploy(CHANGE)
    runs = [json.loads(shell.run(*start_reconciliation).splitlines()[-1])]
    shell.run(*steps("5. Reconcile what the restore forgot"))
    runs.append(run_once(stack))
    credits = {"reconciled": available(api, account)}
    [payment] = quarantined(stack)
    granted = {"credits": 50, "kind": "adjustment", "reason": "Paid before the restore", "valid_months": 12}
    for _ in range(2):
        assert api(GRANT, account, json=granted, key=payment).status == 201
    credits["decided"] = available(api, account)
    replayed = {key: spend(api, account, key).replayed for key in SENT}
    assert all(spend(api, account, key).replayed for key in SENT)
    credits["sent again"] = available(api, account)
    found.append(output_of(shell, 'make verify TABLE="$RESTORED"'))
    return Restored(stack, found, refused, runs, credits, replayed)


def run_once(stack: Deployed) -> Any:
    """The counts of a run of the reconciliation."""
    answer = client(stack.cloud, "lambda").invoke(
        FunctionName=stack.resources["ReconcileFunction"], Qualifier="live", Payload=b"{}"
    )
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def quarantined(stack: Deployed) -> list[str]:
    """The payments without a record of their purchase."""
    rows = client(stack.cloud, "dynamodb").query(
        TableName=stack.outputs["TableName"],
        KeyConditionExpression="PK = :all",
        ExpressionAttributeValues={":all": {"S": "QUARANTINE#payments"}},
    )["Items"]
    return [re.split("#", row["SK"]["S"])[0] for row in rows if "unknown_purchase" in row["SK"]["S"]]


def test_half_a_transaction_is_found_before_anything_is_written(lived: Lived, restored: Restored) -> None:
    # In AWS, API Gateway answers 503 for it.
    assert restored.refused.status == 429
    assert ("claim_missing" in restored.found[0], lived.account in restored.found[0]) == (True, True)
    assert ["nothing found" in found for found in restored.found] == [False, True, True]


def test_a_running_stack_changes_its_table_on_purpose(mortal: Mortal, lived: Lived, restored: Restored) -> None:
    own = lived.old.outputs["TableName"]

    assert restored.stack.outputs["TableName"] == f"{own}-restored"
    # The evidence stays as it is.
    assert mortal.rows(own) == lived.rows
    [facts] = client(restored.stack.cloud, "cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    assert facts["EnableTerminationProtection"] is True


def test_what_was_paid_after_the_moment_comes_back_once(lived: Lived, restored: Restored) -> None:
    first, second = restored.runs
    table = replace(lived.shop.table(), name=restored.stack.outputs["TableName"])

    assert (first["healed"], first["quarantined"], first["finished"]) == (1, 1, True)
    assert (second["healed"], second["quarantined"], second["finished"]) == (0, 0, True)
    found = [read_purchase(table, lived.account, shop.purchase) for shop in (lived.known, lived.forgotten)]
    assert [purchase and purchase.state for purchase in found] == ["granted", None]
    assert (restored.credits["reconciled"], restored.credits["decided"]) == (50 - 3 + 50, 50 - 3 + 100)


def test_old_keys_charge_what_the_restore_forgot_and_no_more(lived: Lived, restored: Restored) -> None:
    assert restored.replayed == {"before": True, "half": False, "after": False}
    assert restored.credits["sent again"] == lived.available == 50 - 9 + 100


@dataclass
class Again:
    """The stack that was created again. gone: what the deleted one answered. noted: the outputs that it had."""

    stack: Deployed
    api: HttpApi
    gone: Answer
    noted: dict[str, str]
    own_pepper: str


@pytest.fixture(scope="module")
def again(mortal: Mortal, lived: Lived, restored: Restored) -> Again:
    """The second part of the runbook."""
    shell = mortal.shell
    keep, delete, put_back = steps("Delete and re-create the stack")
    noted = dict(line.split(maxsplit=1) for line in shell.run(keep).splitlines())
    shell.run(delete)
    gone = exchange("GET", f"{lived.old.api_url}/v1/accounts/{lived.account}/balance", None, {})
    mortal.with_table(next(" ".join(pair) for pair in noted.items() if pair[0].startswith("arn:")))
    mortal.parameters |= {
        "JwtIssuer": f"https://cognito-idp.us-east-1.amazonaws.com/{noted['UserPoolId']}",
        "JwtAudience": ",".join(noted[f"{name}ClientId"] for name in ("Service", "Storefront", "Admin")),
    }
    new = mortal.create()
    own_pepper = new.secret("PepperSecretArn")
    shell.run(put_back)
    return Again(new, HttpApi(new.api_url, lived.api.tokens), gone, noted, own_pepper)


def test_a_deleted_stack_is_created_again_under_its_name(
    mortal: Mortal, lived: Lived, restored: Restored, again: Again
) -> None:
    old, new, api, account = restored.stack, again.stack, again.api, lived.account

    assert (again.gone.status, new.outputs["TableName"]) == (404, old.outputs["TableName"])
    # The kept secret is still there, under its own name.
    assert again.own_pepper != old.secret("PepperSecretArn") == new.secret("PepperSecretArn")
    # Tokens of before go on, and the kept clients get new ones from the kept pool.
    assert available(api, account) == restored.credits["sent again"]
    assert spend(api, account, "before").replayed
    fresh = HttpApi(new.api_url, {"service": token(old, again.noted["ServiceClientId"])})
    assert not spend(fresh, account, "created-again").replayed
    assert api.manager_session(account)
    assert "nothing found" in output_of(mortal.shell, 'make verify TABLE="$(output TableName)"')
    assert not {"UserPoolId", "TokenUrl", "ServiceClientId"} & new.outputs.keys()
    # The table that the new stack made for itself is another one, and empty.
    assert mortal.rows(new.resources["Table"]) == 0
    with pytest.raises(SettingsError, match=rf"works on arn:.*{CHANGE}"):
        Mortal(mortal.beside, mortal.folder, mortal.shell).deploy()


def test_the_pepper_is_rotated_and_nobody_is_locked_out(mortal: Mortal, lived: Lived, again: Again) -> None:
    shell, pepper = mortal.shell, again.stack.secret("PepperSecretArn")
    rotate, count = steps("A leaked pepper")

    shell.run(*steps("The worst day"))
    shell.run(rotate)
    versions = json.loads(again.stack.secret("PepperSecretArn"))

    assert (versions["1"], sorted(versions), len(versions["2"])) == (pepper, ["1", "2"], 64)
    assert json.loads(shell.run(count))["Count"] == 1
    assert again.api.manager_session(lived.account)
