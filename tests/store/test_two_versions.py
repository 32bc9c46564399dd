"""The last deployed version and this one side by side on one table, as during a deployment and after going back.

deployed_version.tar.xz holds the last deployed version. What one version writes, the other must read, replay and
continue; a change that it can't takes two releases, see DESIGN.md.
"""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from fake_stripe import lifecycle, money_back
from fake_stripe.server import RunningFake
from prepaid.core.calendar import floor_to_millisecond, rfc3339
from prepaid.payments.events import MONEY_EVENTS, SESSION_EVENTS
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, get, query
from prepaid.store.verification import read_pass, save_pass
from prepaid.use_cases.verifying.recent_pass import RecentPass, pack_recent, unpack_recent
from tests.support.api import BALANCE, CODE, CONSUME, HISTORY, PURCHASE, PURCHASES, WEBHOOK
from tests.support.browser import Browser
from tests.support.gateway_events import http_event
from tests.support.publishing import ON_SCHEDULE, record
from tests.support.receiver import Answer, Receiver, receiver
from tests.support.stripe_purchases import signed
from tests.support.template import table_schema
from tests.support.versions import ROOT, Version, running, unpacked

DEPLOYED = Path(__file__).with_name("deployed_version.tar.xz")
KEY = "rk_test_two_versions"
HOOKS = "whsec_two_versions"
SIGNING = f"whsec_{b64encode(bytes(32)).decode()}"
RELEVANT = SESSION_EVENTS | MONEY_EVENTS


@dataclass
class Sides:
    """Both versions at one table: a test's first requests go to `first`. accounts: how many tests had one of their own.

    webhook: the platform's, which gets the events that a test hands to `deliver`.
    """

    first: Version
    second: Version
    table: Table
    fake: RunningFake
    webhook: Receiver
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

    def rows(self, partition: str, prefix: str) -> list[Item]:
        """The rows of a partition whose sort keys begin with this."""
        return query(self.table, partition, first=prefix, last=prefix + keys.HIGHEST, limit=100)


@pytest.fixture(scope="module")
def stripe() -> Iterator[RunningFake]:
    with RunningFake(api_keys={KEY: None}) as fake:
        yield fake


@pytest.fixture(scope="module")
def environment(theirs: Table, stripe: RunningFake) -> dict[str, str]:
    """What the functions of both versions are deployed with."""
    secrets, sqs = boto3.client("secretsmanager"), boto3.client("sqs")
    names = {name: f"{name}-{uuid4().hex}" for name in ("cursor", "pepper", "stripe", "webhook", "bus")}
    queues = [
        sqs.create_queue(QueueName=f"{uuid4().hex}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        for _ in range(2)
    ]
    boto3.client("events").create_event_bus(Name=names["bus"])
    secrets.create_secret(Name=names["webhook"], SecretString=json.dumps({"secrets": [SIGNING]}))
    secrets.create_secret(Name=names["cursor"], SecretString="cursor-secret")
    secrets.create_secret(Name=names["pepper"], SecretString="pepper-secret")
    secrets.create_secret(Name=names["stripe"], SecretString=json.dumps({"api_key": KEY, "webhook_secrets": [HOOKS]}))
    return {
        "CURSOR_SECRET_NAME": names["cursor"],
        "PEPPER_SECRET_NAME": names["pepper"],
        "STRIPE_SECRET_NAME": names["stripe"],
        "STRIPE_API_BASE": stripe.url,
        "EVENT_SOURCE": "prepaid/two-versions",
        "EVENT_BUS_NAME": names["bus"],
        "WEBHOOK_QUEUE_URL": queues[0],
        "WEBHOOK_DEAD_LETTERS_URL": queues[1],
        "WEBHOOK_SECRET_NAME": names["webhook"],
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
    deployed = unpacked(DEPLOYED, tmp_path_factory.mktemp("deployed"))
    with receiver() as webhook:
        # A stack of its own: what the other pair of versions has sold at the same Stripe is not its business.
        environment = {**environment, "TABLE_NAME": table, "STRIPE_STACK": table, "WEBHOOK_TARGET": webhook.url}
        with running(deployed, environment) as old, running(ROOT, environment) as new:
            both = (old, new) if request.param.startswith("the deployed") else (new, old)
            shared = replace(theirs, name=table)
            yield Sides(*both, shared, stripe, webhook)
            for side in both:
                verify_all(shared, side)


def verify_all(table: Table, side: Version) -> None:
    """A version's verifier finds nothing in a whole pass, nor in a recent one from the marks of the version before."""
    # A whole pass begins once a week, a recent one a day after the last.
    table.client.delete_item(TableName=table.name, Key=keys.VERIFICATION)
    long_ago = RecentPass(started_at=now() - timedelta(days=2), done=True)
    save_pass(table, pack_recent(long_ago), keys.RECENT_VERIFICATION)

    verified = side.call("verify", {})

    assert verified["read"] > 0
    assert (verified["found"], verified["finished"]) == (0, True)
    packed = read_pass(table, keys.RECENT_VERIFICATION)
    assert packed
    assert unpack_recent(packed).started_at > long_ago.started_at


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


def in_the_future(**ahead: float) -> str:
    return rfc3339(floor_to_millisecond(now() + timedelta(**ahead)))


def message(account: str) -> dict[str, Any]:
    """An event of an account in the webhook's queue, as Lambda hands it over."""
    identity = uuid4().hex
    return {
        "messageId": identity,
        "receiptHandle": identity,
        "body": json.dumps({"id": identity, "subject": account}, separators=(",", ":")),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(int(time.time() * 1000)),
            "MessageGroupId": account,
            "MessageDeduplicationId": identity,
        },
    }


def test_each_publisher_goes_on_after_the_others_entries(sides: Sides) -> None:
    sides.open(credits=10)
    opened = [record(keys.entry(sides.first.account, number)) for number in (1, 2)]
    spent = record(keys.entry(sides.first.account, 3))

    at_first = sides.first.call("publish", {"Records": opened})
    sides.first.spend(1)
    then = sides.second.call("publish", {"Records": [*opened, spent]})
    again = sides.first.call("publish", {"Records": [*opened, spent]})

    assert (at_first["events"] > 0, then["events"], again["events"]) == (True, 1, 0)
    cursor = get(sides.table, keys.published(sides.first.account))
    assert cursor
    assert cursor["published"] == {"N": "3"}


def test_scheduled_publishers_continue_each_others_run(sides: Sides) -> None:
    sides.open()
    # Its last warning is due in a second.
    sides.first.give(10, expires_at=in_the_future(days=1, seconds=1))

    # Its time ends in the middle of the warnings, and before the last account.
    stopped = sides.first.interrupt("publish", ON_SCHEDULE, asks=3)
    time.sleep(1.1)
    finished = sides.second.call("publish", ON_SCHEDULE)
    again = sides.first.call("publish", ON_SCHEDULE)

    assert "raised" in stopped
    assert (finished["events"] > 0, again["events"]) == (True, 0)
    assert len(sides.rows(f"PUBLISHED#{sides.first.account}", keys.ALERT_PREFIX)) == 1


def test_sweeps_continue_each_others_run(sides: Sides) -> None:
    sides.open(credits=10)
    sides.first.hold(2, more={"ttl_seconds": 1})
    sides.second.give(5, expires_at=in_the_future(seconds=1))
    time.sleep(1.1)

    stopped = sides.first.interrupt("expiry_sweep", {}, asks=20)
    finished = sides.second.call("expiry_sweep", {})
    again = sides.first.call("expiry_sweep", {})

    assert (stopped["finished"], finished["finished"], again["finished"]) == (False, True, True)
    assert (finished["recorded"], finished["failed"], again["recorded"], again["failed"]) == (2, 0, 0, 0)
    assert {entry["type"] for entry in sides.first.history(sides.first.account)} >= {"release", "expiry"}
    assert sides.agree()


def test_reconciliations_continue_each_others_run(sides: Sides) -> None:
    sides.open()
    sides.first.set_code()
    bought = sides.first.buy(session=sides.second.manager_session()).body
    with sides.fake.state.lock:
        lifecycle.pay(sides.fake.state, bought["checkout_url"].rpartition("/")[2], "card")

    stopped = sides.first.interrupt("reconcile", {}, asks=1)
    finished = sides.second.call("reconcile", {})
    again = sides.first.call("reconcile", {})

    assert [run["finished"] for run in (stopped, finished, again)] == [False, True, True]
    assert (stopped["healed"] + finished["healed"], again["healed"]) == (1, 0)
    assert [run["failed"] + run["quarantined"] for run in (stopped, finished, again)] == [0, 0, 0]
    assert sides.first(PURCHASE, id=bought["id"]).body["state"] == "granted"
    assert sides.agree()


def test_an_erasure_is_one_in_both_versions(sides: Sides) -> None:
    sides.open(credits=10)
    body = {"feature": "sticker", "quantity": 1, "customer": "Ana", "description": "for Ana"}
    for side in (sides.first, sides.second):
        assert side(CONSUME, json=body).status == 201

    erased = sides.first.erase("Ana", key="e")
    again = sides.second.erase("Ana", key="e")

    assert (erased.status, again.status, again.replayed) == (201, 201, True)
    assert again.body == erased.body
    assert erased.body["entries"] == 2
    assert [side(HISTORY).text.count("Ana") for side in (sides.first, sides.second)] == [0, 0]


PAGES = ("/portal", "/portal/history", "/portal/reports", "/portal/buy")


def browser_of(side: Version) -> Browser:
    """A browser that reaches one version's page."""

    def handler(function: str, event: Any, _: Any) -> dict[str, Any]:
        return side.call(function, event)

    return Browser({name: partial(handler, name) for name in ("portal", "checkout")})


def test_the_page_goes_on_in_the_other_version(sides: Sides) -> None:
    sides.open(credits=10)
    sides.first.set_code()
    address = sides.first.portal_session(sides.first.account).body["url"].removeprefix("https://api.example.com")
    here, there = browser_of(sides.first), browser_of(sides.second)

    entered = there.send(there.open(address).forms[0], code=CODE)
    here.cookies = there.cookies
    seen = [[browser.open(path) for path in PAGES] for browser in (here, there)]
    there.send(entered.form("/portal/leave"))

    assert entered.path == "/portal"
    assert [[page.status for page in pages] for pages in seen] == [[200] * len(PAGES)] * 2
    assert "10" in seen[0][0].text
    assert here.open("/portal").status == 401


def test_a_receiver_that_left_stays_away_in_both_versions(sides: Sides) -> None:
    sides.open()
    sides.webhook.answer = lambda _: Answer(410)

    for side in (sides.first, sides.second):
        assert side.call("deliver", {"Records": [message(sides.first.account)]}) == {"batchItemFailures": []}

    assert len(sides.webhook.bodies(sides.first.account)) == 1
    stopped = get(sides.table, keys.WEBHOOK_STOPPED)
    assert stopped
    assert stopped["target"] == {"S": sides.webhook.url}
