"""The deployed verifier: no findings about the rows of all earlier tests, and a finding about a changed row."""

import json
from typing import Any

from local.deploy import client
from local.stack import Stack
from prepaid.store import keys
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront

MOST_RUNS = 20


def verify(stack: Stack) -> Any:
    """Run the function as its schedule does, until a pass is done."""
    name = stack.deployed.resources["VerifyFunction"]
    for _ in range(MOST_RUNS):
        answer = client(stack.deployed.cloud, "lambda").invoke(FunctionName=name, Payload=b"{}")
        result = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        if result["finished"]:
            return result
    raise AssertionError(f"no end after {MOST_RUNS} runs")


def begin_anew(storefront: StackStorefront) -> None:
    """As if a day had passed since the last pass."""
    table = storefront.table()
    table.client.delete_item(TableName=table.name, Key=keys.VERIFICATION)


def test_nothing_is_found_in_the_deployed_table(stack: Stack, cashier: StackStorefront, swept: list[Any]) -> None:
    begin_anew(cashier)

    result = verify(stack)

    assert (result["found"], result["finished"]) == (0, True)
    assert result["read"] > len(swept)


def test_a_changed_row_is_found(stack: Stack, api: HttpApi, cashier: StackStorefront) -> None:
    account, table = api.open(new_account()), cashier.table()
    api.give(5, account)
    key = keys.entry(account, 2)
    item = table.client.get_item(TableName=table.name, Key=key)["Item"]
    changed = {**item, "line": {"S": item["line"]["S"].replace('"by":"', '"by":"x')}}
    table.client.put_item(TableName=table.name, Item=changed)
    begin_anew(cashier)

    found = verify(stack)["found"]

    table.client.put_item(TableName=table.name, Item=item)
    begin_anew(cashier)
    assert (found, verify(stack)["found"]) == (1, 0)
