"""The logs of all functions during the earlier tests: every line is JSON, and none holds a secret."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from fake_stripe.lifecycle import PAYER
from local.demo import CODE
from local.deploy import client
from local.stack import Stack
from tests.support.over_http import HttpApi

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# Lambda's own lines.
PLATFORM = re.compile(r"(INIT_START|START|END|REPORT) ")
CODES = (CODE, "830164", "115599")
STRIPE_SECRETS = ("CheckoutStripeSecret", "PurchaseWebhookStripeSecret", "ReconcileStripeSecret")
SECRETS = (*STRIPE_SECRETS, "CursorSecret", "PepperSecret")


@pytest.fixture(scope="module")
def written(api: HttpApi, stack: Stack, swept: object) -> dict[str, list[str]]:
    """Every line of every function, by its log group."""
    logs: Any = client(stack.deployed.cloud, "logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    pages = logs.get_paginator("filter_log_events")
    return {
        group: [event["message"].strip() for page in pages.paginate(logGroupName=group) for event in page["events"]]
        for group in groups
        if "/lambda/" in group
    }


def test_every_function_that_the_tests_use_has_logged(written: dict[str, list[str]]) -> None:
    names = {group.rpartition("prepaid-")[2] for group, lines in written.items() if lines}
    assert names >= {"accounts", "balance_query", "checkout", "consume", "expiry_sweep", "purchase_webhook"}


def test_every_log_line_is_json(written: dict[str, list[str]]) -> None:
    for lines in written.values():
        for line in lines:
            assert PLATFORM.match(line) or isinstance(json.loads(line), dict), line


def test_no_log_line_contains_a_secret(api: HttpApi, stack: Stack, written: dict[str, list[str]]) -> None:
    addresses = stack.addresses
    manager: SecretsManagerClient = client(stack.deployed.cloud, "secretsmanager")
    kept = [manager.get_secret_value(SecretId=stack.deployed.resources[name])["SecretString"] for name in SECRETS]
    kept += [json.loads(text)["api_key"] for text in kept[: len(STRIPE_SECRETS)]]
    secret = {addresses.stripe_api_key, addresses.webhook_secret, *addresses.tokens.values(), *kept, *api.private}
    secret |= {str(value) for value in PAYER.values()} | {"Bearer ", "v1="}
    for lines in written.values():
        text = "\n".join(lines)
        assert [value[:12] for value in secret if value in text] == []
        assert [code for code in (*CODES, *api.codes) if re.search(rf"(?<![0-9a-f]){code}(?![0-9a-f])", text)] == []


def test_no_log_line_reports_an_error(written: dict[str, list[str]]) -> None:
    lines = [json.loads(line) for group in written.values() for line in group if not PLATFORM.match(line)]
    # test_verify.py changes a row, and checks that this is the only finding.
    assert [line for line in lines if line.get("level") == "ERROR" and line["message"] != "finding"] == []
