"""`prepaid` against the deployed stack: tokens of Cognito, and the scheduled functions."""

import json
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from local.stack import CLIENTS, Stack
from tests.support.api import EVENTS
from tests.support.command_line import CommandLine, command_line
from tests.support.over_http import HttpApi, new_account
from tests.support.receiver import receiver


@pytest.fixture
def prepaid(tmp_path: Path, stack: Stack) -> CommandLine:
    """Logged in as `make run` says."""
    prepaid = command_line(tmp_path)
    prepaid("login", "--file", str(stack.file))
    return prepaid


def test_a_local_stack_is_at_the_command_line(prepaid: CommandLine, api: HttpApi) -> None:
    account = api.open(new_account())

    prepaid("grant", account, "--credits", "7", "--reason", "Welcome", "--yes")

    assert prepaid.json("balance", account)["credits"]["available"] == 7
    assert "█" in prepaid("portal", account).stdout


def test_a_client_gets_its_own_tokens(tmp_path: Path, stack: Stack) -> None:
    prepaid = command_line(tmp_path)
    client_id = stack.deployed.outputs[CLIENTS["admin"]]

    prepaid(
        "login",
        *("--as", "admin"),
        *("--url", stack.addresses.api_url),
        *("--token-url", f"{stack.addresses.aws_endpoint_url}/oauth2/token"),
        *("--client-id", client_id),
        typed=f"{stack.deployed.client_secret(client_id)}\n",
    )

    accounts = prepaid.json("account", "list")
    assert stack.addresses.demo_account in {account["account"] for account in accounts}


def test_the_scheduled_functions_are_started_and_awaited(prepaid: CommandLine) -> None:
    verified = prepaid.json("verify")
    reconciled = prepaid.json("reconcile")

    assert verified["found"] == 0
    assert reconciled["failed"] == 0


def test_events_are_forwarded_to_an_endpoint(prepaid: CommandLine, api: HttpApi) -> None:
    account = api.open(new_account())
    api.give(3, account)

    with receiver() as endpoint:
        where = ("--forward-to", endpoint.url, "--account", account)
        done = prepaid("events", "listen", *where, "--after", "0", "--no-follow", "--json")

    secret = json.loads(done.stdout.splitlines()[0])["secret"]
    events = [Webhook(secret).verify(delivery.body, delivery.headers) for delivery in endpoint.received]
    assert events == api(EVENTS, account).body["events"]
