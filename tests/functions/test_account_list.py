"""GET accounts: every account by id, with plan and balance, page by page."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import ACCOUNTS, PATCH_ACCOUNT, PURCHASES
from tests.support.gateway_events import ADMIN, BUYER, caller
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.wire import Wire

# In the order of their bytes, as DynamoDB sorts them.
IDS = ["0", "ACME", "Zoo", "a", "a-b", "a.b", "a0", "a_b", "acme", "x" * 64]


def pages(service: Service, **query: str) -> Iterator[list[Any]]:
    while True:
        answer = service(ACCOUNTS, query=query)
        assert answer.status == 200, answer
        yield answer.body["accounts"]
        if answer.body["next_cursor"] is None:
            return
        query = {**query, "cursor": answer.body["next_cursor"]}


def test_an_account_is_listed_with_plan_and_balance(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=100)
    service.spend(30)

    answer = service(ACCOUNTS)

    assert answer.body == {
        "accounts": [
            {
                "account": "acme",
                "name": "Pet & Cia",
                "plan": "individual",
                "status": "active",
                "available": 70,
                "held": 0,
                "owed": 0,
                "last_entry_at": "2026-06-16T13:00:00.000Z",
            }
        ],
        "next_cursor": None,
    }


def test_no_account_is_an_empty_list(service: Service) -> None:
    assert service(ACCOUNTS).body == {"accounts": [], "next_cursor": None}


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 100])
def test_pages_hold_every_account_once_in_order(service: Service, limit: int) -> None:
    for account in reversed(IDS):
        service.open(account)

    found = list(pages(service, limit=str(limit)))

    assert [shown["account"] for page in found for shown in page] == IDS
    assert [len(page) for page in found] == [min(limit, 10 - start) for start in range(0, 10, limit)]


def test_a_page_is_fifty_accounts_by_default(service: Service) -> None:
    for number in range(51):
        service.open(f"shop-{number:02d}")

    assert [len(page) for page in pages(service)] == [50, 1]


def test_the_list_shows_changes(service: Service, clock: Clock) -> None:
    service.open(credits=5)
    clock.now += timedelta(hours=1)

    assert service(PATCH_ACCOUNT, json={"name": "Outra", "plan": "trio", "status": "frozen"}).status == 200

    [shown] = service(ACCOUNTS).body["accounts"]
    assert (shown["name"], shown["plan"], shown["status"]) == ("Outra", "trio", "frozen")
    assert shown["last_entry_at"] == "2026-06-16T14:00:00.000Z"


def test_an_expired_credit_is_not_available_in_the_list(service: Service, clock: Clock) -> None:
    service.open(credits=5)
    service.give(3, expires_at="2026-06-16T14:00:00Z")
    before = service.stored()
    clock.now += timedelta(hours=1)

    [shown] = service(ACCOUNTS).body["accounts"]

    assert shown["available"] == service.balance()["credits"]["available"] == 5
    assert service.stored() == before


def test_an_account_opened_between_two_pages_changes_no_other(service: Service) -> None:
    for account in ("b", "d", "f"):
        service.open(account)
    first = service(ACCOUNTS, query={"limit": "2"}).body
    for account in ("a", "e"):
        service.open(account)

    second = service(ACCOUNTS, query={"limit": "2", "cursor": first["next_cursor"]}).body

    assert [shown["account"] for shown in first["accounts"]] == ["b", "d"]
    assert [shown["account"] for shown in second["accounts"]] == ["e", "f"]


def test_a_token_for_one_account_sees_no_list(service: Service) -> None:
    service.open("acme")
    service.open("zoo")

    for account in ("acme", "zoo", ""):
        answer = service(ACCOUNTS, by={**ADMIN, **caller(account=account), "scope": ADMIN["scope"]})
        assert (answer.status, answer.code) == (403, "forbidden")
        assert "zoo" not in answer.text


def test_a_cursor_of_another_list_is_rejected(service: Service) -> None:
    service.open("acme")
    service.open("zoo")
    service.set_code()
    cursor = service(ACCOUNTS, query={"limit": "1"}).body["next_cursor"]

    for wrong in ("", "acme", f"zoo.{'0' * 64}", cursor[:-1], cursor + "0", cursor.replace("acme", "zoo"), "\ud800"):
        answer = service(ACCOUNTS, query={"cursor": wrong})
        assert (answer.status, answer.code) == (400, "invalid_cursor"), ascii(wrong)
    assert service(PURCHASES, query={"cursor": cursor}, by=BUYER).code == "invalid_cursor"


@pytest.mark.parametrize("limit", ["0", "101", "", "x", "-1", "1.0", "１"])
def test_an_invalid_limit_is_rejected(service: Service, limit: str) -> None:
    answer = service(ACCOUNTS, query={"limit": limit})
    assert (answer.status, answer.fields) == (422, ["limit"])


def test_an_unknown_parameter_is_rejected(service: Service) -> None:
    assert service(ACCOUNTS, query={"plan": "trio"}).fields == ["plan"]


def test_a_page_is_read_without_a_scan(service: Service) -> None:
    for account in ("a", "b", "c"):
        service.open(account)
    service(ACCOUNTS)

    with Wire.tapped(service.table.client) as wire:
        service(ACCOUNTS, query={"limit": "2"})

    # The ids, the profiles, and the newest entry of each account.
    assert wire.calls == ["Query", "BatchGetItem", "Query", "Query"]


def test_an_account_is_listed_once_after_several_puts(service: Service) -> None:
    service.open()
    service(PATCH_ACCOUNT, json={"name": "Outra"})

    assert [key for key in service.stored() if key[0] == "ACCOUNTS"] == [("ACCOUNTS", "acme")]
