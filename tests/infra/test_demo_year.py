"""The demo account's year: complete and correct on any day, and the same for every run of that day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from fake_stripe.server import RunningFake
from local.demo_year import DAYS, Shop, live
from local.verify import OK, Limits, verify
from prepaid.core.entry import Entry
from prepaid.core.usage import MONTHS
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import read_entries, read_tail
from prepaid.store.purchases import read_purchases
from prepaid.store.statements import read_statements
from tests.support.store_driver import create_table

KEY = "sk_test_demo"
NEWEST = "~"
ACTORS = {"service": "the-service", "storefront": "the-shop", "admin": "the-operator"}


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with RunningFake(api_keys={KEY: None}) as running:
        yield running


def shop_at(theirs: Table, fake: RunningFake) -> Shop:
    """A shop on a table of its own."""
    table = create_table(Table(client=theirs.client, name=f"test-{uuid4().hex}", deadline=theirs.deadline))
    return Shop(
        table=table,
        account="petshop-1",
        name="Pet Shop One",
        code="274913",
        pepper="pepper",
        actors=ACTORS,
        stripe_url=fake.url,
        stripe_api_key=KEY,
        stack="local-1",
        return_url="http://127.0.0.1/",
    )


def lines(shop: Shop) -> list[Entry]:
    """The whole ledger, oldest entry first."""
    entries: list[Entry] = []
    last = read_tail(shop.table, shop.account).entry.number
    while last:
        entries += read_entries(shop.table, shop.account, first=1, last=last, limit=200)
        last = entries[-1].number - 1
    return entries[::-1]


@pytest.mark.parametrize(
    "now",
    [
        datetime(2024, 2, 29, 15, 4, 5, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 30, tzinfo=UTC),
        datetime(2026, 9, 6, 12, 0, tzinfo=UTC),
    ],
    ids=["leap day", "new year", "sunday"],
)
def test_the_year_before_any_day_is_complete_and_correct(
    theirs: Table, fake: RunningFake, now: datetime, tmp_path: Path
) -> None:
    shop = shop_at(theirs, fake)

    live(shop, now)

    entries = lines(shop)
    assert now - timedelta(days=DAYS + 1) < entries[0].at < now - timedelta(days=365)
    # The page shows the year at the first view: every month but the current one is added up.
    assert len(read_statements(shop.table, shop.account, entries[0].at.date(), now.date())) == MONTHS - 1
    assert now - timedelta(days=4) < entries[-1].at < now
    assert {entry.type for entry in entries} == {
        *("plan_change", "grant", "adjustment", "purchase", "consumption"),
        *("quota_renewal", "expiry", "refund"),
    }
    used = {(entry.at.year, entry.at.month, entry.feature) for entry in entries if entry.feature}
    assert {feature for *_, feature in used} == {"ai_service", "sticker"}
    assert len(used) >= 2 * 12
    assert {entry.source for entry in entries if entry.feature == "ai_service"} == {"quota", "credits", "both"}
    states = [purchase.state for purchase in read_purchases(shop.table, shop.account, before=NEWEST, limit=50)]
    assert (set(states), states.count("refunded")) == ({"granted", "refunded"}, 1)
    assert verify(shop.table, Limits(folder=tmp_path), resume=False) == OK


def test_the_year_depends_on_the_day_alone(theirs: Table, fake: RunningFake) -> None:
    now = datetime(2026, 11, 26, 21, 0, tzinfo=UTC)
    shops = [shop_at(theirs, fake) for _ in range(2)]

    for shop in shops:
        live(shop, now)
        fake.state.clear()
        fake.api.idempotency.clear()

    first, second = (lines(shop) for shop in shops)
    assert first == second
