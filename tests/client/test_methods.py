"""Each method gets its answer from the real functions, and reads it whole."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from prepaid_client import (
    Account,
    BatchItem,
    Consumption,
    Entry,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    VersionConflict,
    WrongCode,
)
from prepaid_client.responses import ListedEvent
from tests.support.api import CODE
from tests.support.contract import routes
from tests.support.failing_line import FailingLine
from tests.support.handlers import Clock
from tests.support.publishing import publish_entry
from tests.support.served import KINDS, Served
from tests.support.stripe_purchases import Storefront


@pytest.mark.parametrize("kind", KINDS)
def test_a_charge_is_answered_and_replayed(shop: Served, kind: str) -> None:
    first = shop.ask(kind, lambda acme: acme.consume("sticker", 3, key="job-1", customer="c-1", reference="r-1"))
    again = shop.ask(kind, lambda acme: acme.consume("sticker", 3, key="job-1", customer="c-1", reference="r-1"))

    assert (first.quantity, first.credits, first.balance.available, first.replayed) == (3, 3, 7, False)
    assert again == replace(first, replayed=True)
    assert shop.ask(kind, lambda acme: acme.find_consumption("job-1")) == first
    assert shop.ask(kind, lambda acme: acme.get_consumption(first.id)) == first


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_an_error_of_its_own_with_its_figures(shop: Served, kind: str) -> None:
    with pytest.raises(InsufficientCredits) as refused:
        shop.ask(kind, lambda acme: acme.consume("sticker", 11, key="job-1"))

    error = refused.value
    assert (error.status, error.code, error.needed, error.available) == (402, "insufficient_credits", 11, 10)
    assert error.suggested_pack == "credits-50"
    assert error.renews_at is None
    assert str(error) == "402 insufficient_credits: Credits needed: 11. Credits available: 10."


def test_a_key_of_other_work_is_reported(shop: Served) -> None:
    shop.ask("sync", lambda acme: acme.consume("sticker", key="job-1"))

    with pytest.raises(IdempotencyKeyReused):
        shop.ask("sync", lambda acme: acme.consume("sticker", 2, key="job-1"))


def test_a_batch_tells_consumptions_from_refusals(shop: Served) -> None:
    items = [
        BatchItem(idempotency_key="a", feature="sticker", quantity=8),
        BatchItem(idempotency_key="b", feature="sticker", quantity=8),
        BatchItem(idempotency_key="c", feature="nothing"),
        BatchItem(idempotency_key="a", feature="sticker", quantity=8),
    ]

    results = shop.ask("sync", lambda acme: acme.consume_batch(items)).results

    assert [type(result) for result in results] == [Consumption, InsufficientCredits, InvalidRequest, Consumption]
    assert (results[1].available, results[2].errors[0][0], results[3].replayed) == (2, "feature", True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_iterates_over_all_pages(shop: Served, kind: str) -> None:
    for number in range(5):
        shop.service.spend(1, key=f"job-{number}")
    line = FailingLine()

    def listed(acme: Any) -> Any:
        entries = acme.history(limit=2, type="consumption")
        return list(entries) if kind == "sync" else gathered(entries)

    async def gathered(entries: AsyncIterator[Entry]) -> list[Entry]:
        return [entry async for entry in entries]

    entries = shop.ask(kind, listed, line=line)

    assert [entry.credits for entry in entries] == [-1] * 5
    assert len({entry.entry for entry in entries}) == 5
    assert len(line.requests) == 3


def test_files_are_text(shop: Served, clock: Clock) -> None:
    shop.service.spend(1)

    history = shop.ask("sync", lambda acme: acme.get_history_csv(from_=clock.now - timedelta(days=1)))
    statement = shop.ask("sync", lambda acme: acme.get_statement_csv("2026-06"))

    assert len(history.splitlines()) == 4
    assert "spent" in statement


def test_ids_that_lead_elsewhere_send_nothing(shop: Served) -> None:
    line = FailingLine()

    for path in ("", ".", ".."):
        with pytest.raises(ValueError, match="is no id"):
            shop.ask("sync", partial(look_up, path), line=line)
    with pytest.raises(NotFound):
        shop.ask("sync", lambda acme: acme.get_consumption("../balance?x=1#"), line=line)

    assert [request.url.raw_path for request in line.requests] == [
        b"/v1/accounts/acme/consumptions/..%2Fbalance%3Fx%3D1%23"
    ]


@pytest.mark.parametrize("key", ["", "with space", "ключ", "x" * 256, "two\r\nlines"])
def test_a_key_that_http_cannot_carry_sends_nothing(shop: Served, key: str) -> None:
    line = FailingLine()

    with pytest.raises(ValueError, match="is no idempotency key"):
        shop.ask("sync", lambda acme: acme.consume("sticker", key=key), line=line)

    assert line.requests == []


def test_a_time_without_a_zone_is_no_instant(shop: Served, clock: Clock) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        shop.ask("sync", lambda acme: acme.get_balance(at=clock.now.replace(tzinfo=None)))


def test_every_route_is_read_whole(served: Served, fake: object, clock: Clock) -> None:
    """One life of an account, by all methods: msgspec refuses an answer that isn't as the classes say."""
    line = FailingLine()
    admin, store, work = (served.client(by, line=line) for by in ("admin", "storefront", "service"))
    acme, till, shop = (client.account("acme") for client in (admin, store, work))

    assert acme.put_account(name="Pet & Cia", plan="trio", ai_enabled=True).plan == "trio"
    assert acme.patch_account(low_credit_threshold=5, manager_contact=None).low_credit_threshold == 5
    assert acme.get_account().manager_code_set is False
    granted = acme.grant_credits(20, reason="welcome", key="g", valid_months=1)
    assert acme.void_grant(granted.id, 5, reason="too much", key="v").remaining == 15
    acme.put_manager_code(CODE)
    served.service.codes.add(CODE)
    charge = shop.consume("sticker", 2, key="job-1", customer="cus-1")
    assert shop.quote("sticker", 99).suggested_pack == "credits-100"
    assert shop.reverse_charge(charge.id, 1, reason="broken", key="r").quantity == 1
    kept, dropped = (shop.place_hold("sticker", 2, key=f"h-{number}", ttl_seconds=60) for number in (1, 2))
    assert shop.capture_hold(kept.id, 1, key="c").quantity == 1
    assert shop.release_hold(dropped.id, key="d").quantity == 2
    assert shop.get_hold(kept.id).state == "captured"
    assert shop.get_consumption(charge.id) == shop.find_consumption("job-1") == charge
    assert len(shop.consume_batch([BatchItem(idempotency_key="b", feature="sticker")]).results) == 1
    assert acme.erase("cus-1", key="e").entries == 2
    with pytest.raises(WrongCode) as wrong:
        till.open_manager_session("000000", key="s-0")
    served.service.codes.add("000000")
    assert wrong.value.tries_left == 4
    session = till.open_manager_session(CODE, key="s-1")
    assert session.manager_session not in repr(session)
    purchase = till.buy_pack("credits-100", manager_session=session.manager_session, key="p")
    served.service.private.add(session.manager_session)
    assert till.get_purchase(purchase.id) == replace(purchase, replayed=False)
    assert [listed.account for listed in admin.purchases("open")] == ["acme"]
    assert till.cancel_purchase(purchase.id, key="x").state == "cancelled"
    assert [listed.id for listed in till.purchases()] == [purchase.id]
    assert till.create_portal_session(key="l", language="en").url
    balance = shop.get_balance()
    assert (balance.credits.available, balance.quotas[0].feature) == (12, "ai_service")
    assert shop.get_history(limit=1).entries[0].entry == balance.entry
    assert shop.list_events_of_account(limit=1).next == 1
    assert admin.list_events().more is True
    assert shop.get_statement("2026-06").credits.closing == 12
    assert [use.feature for use in shop.get_usage(by="day").totals] == ["sticker"]
    assert [account.available for account in admin.accounts()] == [12]
    assert store.list_packs().packs
    catalog = admin.get_catalog()
    assert admin.put_catalog(catalog).version == catalog.version + 1
    with pytest.raises(VersionConflict) as conflict:
        admin.put_catalog(replace(catalog, packs=()))
    assert conflict.value.current_version == catalog.version + 1

    visited = {
        route for request in line.requests for route in routes() if matches(route, request.method, request.url.path)
    }
    assert visited == set(routes()) - {"POST /v1/webhooks/stripe"}
    for client in (admin, store, work):
        client.close()


def look_up(consumption: str, acme: Account) -> Consumption:
    return acme.get_consumption(consumption)


def matches(route: str, method: str, path: str) -> bool:
    wanted, _, pattern = route.partition(" ")
    return method == wanted and bool(re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", pattern), path))


def test_the_storefronts_purchase_is_granted(served: Served, storefront: Storefront) -> None:
    purchase = storefront.buy()

    found = served.ask("async", lambda acme: acme.get_purchase(purchase.id), by="storefront")

    assert (found.state, found.pack, found.voucher) == ("open", "credits-100", None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_events_iterate_over_all_pages(shop: Served, kind: str, clock: Clock) -> None:
    for number in range(3):
        shop.service.spend(1, key=f"job-{number}")
    publish_entry(shop.service, "acme", 5)
    clock.now += timedelta(minutes=1)

    def listed(events: Any) -> Any:
        return list(events) if kind == "sync" else gathered(events)

    async def gathered(events: AsyncIterator[ListedEvent]) -> list[ListedEvent]:
        return [event async for event in events]

    of_account = shop.ask(kind, lambda acme: listed(acme.events(limit=2)))
    later = shop.ask(kind, lambda acme: listed(acme.events(after=3)))
    with shop.client("admin") as admin:
        of_all = list(admin.events(limit=2))

    entries = [event.data.entry for event in of_account if event.type.startswith("prepaid.entry.")]
    assert entries == [1, 2, 3, 4, 5]
    assert [event.data.entry for event in later] == [4, 5]
    assert of_all == of_account
