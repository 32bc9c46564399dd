"""The last deployed version and this one side by side on one table, as during a deployment and after going back.

deployed_version.tar.xz holds the last deployed version. What one version writes, the other must read, replay and
continue; a change that it can't takes two releases, see DESIGN.md.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from fake_stripe import lifecycle, money_back
from fake_stripe.server import RunningFake
from prepaid.payments.events import MONEY_EVENTS, SESSION_EVENTS
from prepaid.store import keys
from prepaid.store.dynamodb import Table
from tests.support.api import BALANCE, PURCHASE, PURCHASES, WEBHOOK
from tests.support.gateway_events import http_event
from tests.support.stripe_purchases import signed
from tests.support.template import table_schema
from tests.support.versions import ROOT, Version, running, unpacked

DEPLOYED = Path(__file__).with_name("deployed_version.tar.xz")
KEY = "rk_test_two_versions"
HOOKS = "whsec_two_versions"
RELEVANT = SESSION_EVENTS | MONEY_EVENTS


@dataclass
class Sides:
    """Both versions: a test's first requests go to `first`. accounts: how many tests had one of their own."""

    first: Version
    second: Version
    fake: RunningFake
    accounts: int = 0

    def open(self, **more: Any) -> None:
        """A new account, opened by the first version."""
        self.accounts += 1
        self.first.account = self.second.account = f"acme-{self.accounts}"
        assert self.first.open(self.first.account, **more)

    def agree(self) -> bool:
        """Both read the same balance."""
        balances = [side(BALANCE).body for side in (self.first, self.second)]
        shared = balances[0].keys() & balances[1].keys() - {"as_of"}
        assert [balances[0][name] for name in shared] == [balances[1][name] for name in shared]
        return True


@pytest.fixture(scope="module")
def stripe() -> Iterator[RunningFake]:
    with RunningFake(api_keys={KEY: None}) as fake:
        yield fake


@pytest.fixture(scope="module")
def environment(theirs: Table, stripe: RunningFake) -> dict[str, str]:
    """What the functions of both versions are deployed with."""
    secrets = boto3.client("secretsmanager")
    names = {name: f"{name}-{uuid4().hex}" for name in ("cursor", "pepper", "stripe")}
    secrets.create_secret(Name=names["cursor"], SecretString="cursor-secret")
    secrets.create_secret(Name=names["pepper"], SecretString="pepper-secret")
    secrets.create_secret(Name=names["stripe"], SecretString=json.dumps({"api_key": KEY, "webhook_secrets": [HOOKS]}))
    return {
        "CURSOR_SECRET_NAME": names["cursor"],
        "PEPPER_SECRET_NAME": names["pepper"],
        "STRIPE_SECRET_NAME": names["stripe"],
        "STRIPE_API_BASE": stripe.url,
        "STRIPE_STACK": "two-versions",
        "RETURN_URL": "https://shop.example.com/credits",
        "CHECKOUT_ORIGIN": "https://checkout.example.com",
        "POWERTOOLS_SERVICE_NAME": "prepaid-test",
        "POWERTOOLS_METRICS_NAMESPACE": "Prepaid",
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture(scope="module", params=["the deployed version first", "this version first"])
def sides(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    theirs: Table,
    stripe: RunningFake,
    environment: dict[str, str],
) -> Iterator[Sides]:
    """Both versions at one table. In the end, the verifier of each finds nothing wrong in what both have written."""
    table = f"test-{uuid4().hex}"
    theirs.client.create_table(TableName=table, **table_schema())
    environment = {**environment, "TABLE_NAME": table}
    deployed = unpacked(DEPLOYED, tmp_path_factory.mktemp("deployed"))
    with running(deployed, environment) as old, running(ROOT, environment) as new:
        both = (old, new) if request.param.startswith("the deployed") else (new, old)
        yield Sides(*both, stripe)
        for side in both:
            # A pass begins once a day.
            theirs.client.delete_item(TableName=table, Key=keys.VERIFICATION)
            verified = side.call("verify", {})
            assert verified["read"] > 0
            assert (verified["found"], verified["finished"]) == (0, True)


def test_each_spends_what_the_other_granted(sides: Sides) -> None:
    sides.open(credits=100)
    sides.second.give(50)

    statuses = [side.spend(quantity).status for quantity, side in enumerate([sides.first, sides.second] * 3, 1)]

    assert statuses == [201] * 6
    assert sides.agree()


def test_a_key_takes_effect_once_whichever_version_hears_it(sides: Sides) -> None:
    sides.open(credits=100)
    first = sides.first.spend(3, key="k")

    again = sides.second.spend(3, key="k")

    assert (first.status, again.status, again.replayed) == (201, 201, True)
    assert again.body["id"] == first.body["id"]
    other = sides.second.spend(4, key="k", may_fail=True)
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert sides.agree()


def test_holds_and_reversals_cross_between_the_versions(sides: Sides) -> None:
    sides.open(credits=100)
    held = sides.first.hold(10).body["id"]

    captured = sides.second.capture(held, 4)
    charged = sides.second.spend(5).body["id"]
    reversed_there = sides.first.reverse(charged, 2)
    rest = sides.second.reverse(charged)

    assert (captured.status, reversed_there.status, rest.status) == (200, 201, 201), (captured, reversed_there, rest)
    assert sides.agree()


def test_batches_and_voids_cross_between_the_versions(sides: Sides) -> None:
    sides.open()
    grant = sides.first.give(30)["id"]
    batch = sides.second.batch(("a", 1), ("b", 2))

    again = sides.first.batch(("a", 1), ("b", 2))
    voided = sides.first.void(grant, credits=3)

    assert [item["status"] for item in again.body["results"]] == [item["status"] for item in batch.body["results"]]
    assert voided.status == 201
    assert sides.agree()


def test_a_manager_enters_with_a_code_of_either_version(sides: Sides) -> None:
    sides.open()
    sides.first.set_code()

    session = sides.second.manager_session()
    sides.second.set_code("381604")
    changed = sides.first.manager_session(code="381604")

    assert session != changed
    assert sides.agree()


def delivered(sides: Sides, side: Version, purchase: str) -> dict[str, Any]:
    """The purchase, after Stripe's events so far were delivered to one version and read by the other."""
    with sides.fake.state.lock:
        events = [event for event in sides.fake.state.newest_first("event")[::-1] if event["type"] in RELEVANT]
    for event in events:
        body = json.dumps(event)
        headers = {"content-type": "application/json", "stripe-signature": signed(body.encode(), now(), secret=HOOKS)}
        assert side.send(http_event(WEBHOOK, headers=headers, claims=None, body=body)).status == 200
    other = sides.second if side is sides.first else sides.first
    read: dict[str, Any] = other(PURCHASE, id=purchase).body
    return read


def now() -> datetime:
    return datetime.now(UTC)


def test_a_purchase_is_paid_and_refunded_across_versions(sides: Sides) -> None:
    sides.open()
    sides.first.set_code()
    session = sides.second.manager_session()
    bought = sides.first.buy(session=session).body
    page = bought["checkout_url"].rpartition("/")[2]

    with sides.fake.state.lock:
        lifecycle.pay(sides.fake.state, page, "card")
    granted = delivered(sides, sides.second, bought["id"])
    spent = sides.first.spend(1)
    with sides.fake.state.lock:
        charge = money_back.charge_of(sides.fake.state, page)["id"]
        money_back.refund(sides.fake.state, charge, None, "succeeded")
    refunded = delivered(sides, sides.first, bought["id"])

    assert (granted["state"], spent.status, refunded["state"]) == ("granted", 201, "refunded")
    assert [purchase["id"] for purchase in sides.second(PURCHASES).body["purchases"]] == [bought["id"]]
    assert sides.agree()


def test_a_cursor_of_one_version_leads_on_in_the_other(sides: Sides) -> None:
    sides.open(credits=100)
    for _ in range(4):
        sides.first.spend(1)
    page = sides.first("GET /v1/accounts/{account}/history", query={"limit": "2"}).body

    rest = sides.second("GET /v1/accounts/{account}/history", query={"limit": "2", "cursor": page["next_cursor"]}).body

    assert len(rest["entries"]) == 2
    assert rest["entries"][0]["entry"] == page["entries"][-1]["entry"] - 1
