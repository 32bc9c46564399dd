"""GET balance and GET history."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.api import BALANCE, CONSUME, GET_CATALOG, HISTORY, PUT_CATALOG, Answer
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.store_driver import StoreDriver, types

HOUR = timedelta(hours=1)
BEFORE_HISTORY = "0001-01-01T00:00:00Z"


def test_a_balance_shows_the_whole_account(service: Service) -> None:
    service.open(plan="trio", ai_enabled=True, credits=100)
    service.spend(301, "ai_service")
    assert service.balance() == {
        "account": "acme",
        "status": "active",
        "as_of": "2026-06-16T13:00:00.000Z",
        "entry": 3,
        "credits": {
            "available": 99,
            "held": 0,
            "owed": 0,
            "next_expiry_at": "2027-06-17T03:00:00.000Z",
            "lots": [
                {
                    "lot": "lot_000000000002",
                    "kind": "promotion",
                    "granted": 100,
                    "remaining": 99,
                    "granted_at": "2026-06-16T13:00:00.000Z",
                    "expires_at": "2027-06-17T03:00:00.000Z",
                }
            ],
        },
        "quotas": [
            {
                "feature": "ai_service",
                "limit": 300,
                "used": 300,
                "remaining": 0,
                "renews_at": "2026-07-01T03:00:00.000Z",
            }
        ],
        "features": {
            "sticker": {"price": 1, "can_use": True, "units_left": 99},
            "ai_service": {"price": 1, "can_use": True, "units_left": 99},
        },
    }


def test_a_balance_on_a_plan_without_quota_has_none(service: Service) -> None:
    service.open()
    balance = service.balance()
    assert balance["quotas"] == []
    assert balance["credits"]["next_expiry_at"] is None
    assert balance["features"]["ai_service"] == {"price": 1, "can_use": False, "units_left": 0}


def test_reading_writes_nothing_though_time_has_passed(service: Service, clock: Clock) -> None:
    service.open(plan="individual", ai_enabled=True)
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    service.spend(7, "ai_service")
    before = service.stored()
    clock.now = datetime.fromisoformat("2026-07-01T03:00:00Z")
    balance = service.balance()
    assert (balance["credits"]["available"], balance["credits"]["lots"]) == (0, [])
    assert (balance["quotas"][0]["used"], balance["quotas"][0]["remaining"]) == (0, 100)
    assert balance["quotas"][0]["renews_at"] == "2026-08-01T03:00:00.000Z"
    # The expiry and the renewal have no entry yet: the last entry is still the debit.
    assert balance["entry"] == 3
    assert service.stored() == before


def test_a_balance_at_any_time_since_the_account_was_opened(service: Service, clock: Clock) -> None:
    service.open()
    for credits in (1, 10, 100, 1000):
        clock.now += HOUR
        service.give(credits)
    for at, available in (
        ("13:00:00", 0),
        ("13:59:59.999", 0),
        ("14:00:00", 1),
        ("15:00:00", 11),
        ("16:59:59.999999", 111),
        ("17:00:00", 1111),
    ):
        assert service.balance(at=f"2026-06-16T{at}Z")["credits"]["available"] == available, at
    assert service.balance(at="2026-06-16T11:00:00-03:00")["as_of"] == "2026-06-16T14:00:00.000Z"


def test_a_past_balance_leaves_out_lots_expired_by_then(service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    clock.now += 2 * HOUR
    assert service.balance(at="2026-06-16T13:59:59.999Z")["credits"]["available"] == 5
    lapsed = service.balance(at="2026-06-16T14:00:00.000Z")
    assert (lapsed["credits"]["available"], lapsed["entry"]) == (0, 2)


def test_a_past_balance_counts_units_at_past_prices(service: Service, clock: Clock) -> None:
    service.open(credits=8)
    catalog = service(GET_CATALOG).body
    catalog["features"][0]["price"] = 4
    del catalog["version"]
    clock.now += HOUR
    assert service(PUT_CATALOG, json=catalog, headers={"If-Match": '"1"'}).status == 200
    clock.now += HOUR
    assert service.balance()["features"]["sticker"]["units_left"] == 2
    assert service.balance(at="2026-06-16T13:00:00Z")["features"]["sticker"]["units_left"] == 8


@pytest.mark.parametrize(
    "at",
    [
        "2026-06-16T13:00:00.001Z",  # not yet
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "2026-06-16T12:59:59.999Z",  # no account yet
        BEFORE_HISTORY,
        "0001-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00Z",
        "2026-06-16T13:00:00",
        "2026-06-16",
        "2026-02-30T00:00:00Z",
        "2026-06-16T25:00:00Z",
        "2026-06-16T13:00:00 00:00",
        "1781614800",
        "now",
        "",
        "２０２６-06-16T13:00:00Z",
        "2026-06-16T13:00:00Z\x00",
    ],
)
def test_a_balance_at_an_invalid_time_is_rejected(service: Service, at: str) -> None:
    service.open()
    answer = service(BALANCE, query={"at": at})
    assert (answer.status, answer.fields) == (422, ["at"])


@pytest.fixture
def busy_account(service: Service, clock: Clock) -> Service:
    """An entry an hour: opened at 13:00, promotion, quota, quota and credits, credits, adjustment."""
    service.open(plan="individual", ai_enabled=True)
    for act in (
        lambda: service.give(10, reason="welcome"),
        lambda: service.spend(60, "ai_service"),
        lambda: service.spend(42, "ai_service"),
        lambda: service(CONSUME, json={"feature": "sticker", "description": "=1+1", "customer": "Zoé, vet"}),
        lambda: service.give(3, kind="adjustment", reason="a complaint"),
    ):
        clock.now += HOUR
        act()
    return service


def entries(answer: Answer) -> list[int]:
    assert answer.status == 200, answer
    return [line["entry"] for line in answer.body["entries"]]


def test_the_history_lists_every_entry_newest_first(busy_account: Service) -> None:
    answer = busy_account(HISTORY)
    assert entries(answer) == [6, 5, 4, 3, 2, 1]
    assert answer.body["next_cursor"] is None
    assert answer.body["entries"][2] == {
        "entry": 4,
        "at": "2026-06-16T16:00:00.000Z",
        "type": "consumption",
        "credits": -2,
        "quota": -40,
        "quotas": [{"feature": "ai_service", "units": -40}],
        "owed": 0,
        "feature": "ai_service",
        "quantity": 42,
        "description": None,
        "customer": None,
        "reference": None,
        "source": "both",
        "balance_after": 8,
        "quota_remaining": 0,
        "draws": [
            {"source": "quota", "feature": "ai_service", "units": 40},
            {"source": "lot", "lot": "lot_000000000002", "credits": 2, "expires_at": "2027-06-17T03:00:00.000Z"},
        ],
        "holds": [],
        "returned": [],
        "expired": [],
        "reverses": None,
        "lot": None,
        "purchase": None,
        "actor": "service-client",
        "erased": False,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"type": "consumption"}, [5, 4, 3]),
        ({"type": "adjustment"}, [6]),
        ({"feature": "ai_service"}, [4, 3]),
        ({"feature": "no-such-thing"}, []),
        ({"source": "quota"}, [4, 3]),
        ({"source": "credits"}, [5, 4]),
        ({"source": "both"}, [4]),
        ({"type": "consumption", "feature": "sticker", "source": "credits"}, [5]),
        ({"from": "2026-06-16T15:00:00Z"}, [6, 5, 4, 3]),
        ({"from": "2026-06-16T15:00:00.001Z"}, [6, 5, 4]),
        ({"to": "2026-06-16T15:00:00Z"}, [2, 1]),
        ({"to": "2026-06-16T15:00:00.001Z"}, [3, 2, 1]),
        # Finer than the ledger's milliseconds.
        ({"from": "2026-06-16T15:00:00.000000000Z"}, [6, 5, 4, 3]),
        ({"from": "2026-06-16T14:59:59.9999Z"}, [6, 5, 4, 3]),
        ({"from": "2026-06-16T15:00:00.0005Z"}, [6, 5, 4]),
        ({"from": "2026-06-16T15:00:00.000000001Z"}, [6, 5, 4]),
        ({"to": "2026-06-16T14:59:59.9999Z"}, [2, 1]),
        ({"to": "2026-06-16T15:00:00.000000Z"}, [2, 1]),
        ({"to": "2026-06-16T15:00:00.0005Z"}, [3, 2, 1]),
        ({"to": "2026-06-16T12:00:00.000000001-03:00"}, [3, 2, 1]),
        ({"from": "2026-06-16T14:00:00Z", "to": "2026-06-16T17:00:00Z"}, [4, 3, 2]),
        ({"from": "2026-06-16T12:00:00-03:00", "to": "2026-06-16T13:00:00-03:00"}, [3]),
        ({"from": "2026-06-16T17:00:00Z", "to": "2026-06-16T14:00:00Z"}, []),
        ({"from": "2030-01-01T00:00:00Z"}, []),
        ({"to": "2020-01-01T00:00:00Z"}, []),
        ({"to": "2499-12-31T23:59:59Z", "from": "1900-01-02T00:00:00Z"}, [6, 5, 4, 3, 2, 1]),
        ({"limit": "100"}, [6, 5, 4, 3, 2, 1]),
    ],
)
def test_each_filter_returns_matching_entries_only(
    busy_account: Service, query: dict[str, str], expected: list[int]
) -> None:
    assert entries(busy_account(HISTORY, query=query)) == expected


@pytest.mark.parametrize("name", ["from", "to"])
def test_the_first_instant_of_year_1_is_rejected(busy_account: Service, name: str) -> None:
    answer = busy_account(HISTORY, query={name: BEFORE_HISTORY})
    assert (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize(
    ("limit", "query"),
    [
        (1, {}),
        (2, {}),
        (4, {}),
        (1, {"type": "consumption"}),
        (2, {"source": "credits"}),
        (2, {"from": "2026-06-16T14:00:00Z", "to": "2026-06-16T18:00:00Z"}),
    ],
)
def test_pages_together_hold_every_entry_once(busy_account: Service, limit: int, query: dict[str, str]) -> None:
    whole = entries(busy_account(HISTORY, query=query))
    pages = list(paged(busy_account, {**query, "limit": str(limit)}))
    assert [number for page in pages for number in page] == whole
    assert all(len(page) <= limit for page in pages)


def paged(service: Service, query: dict[str, str]) -> Any:
    while True:
        answer = service(HISTORY, query=query)
        yield entries(answer)
        if answer.body["next_cursor"] is None:
            return
        query = {**query, "cursor": answer.body["next_cursor"]}


def test_new_entries_do_not_disturb_the_pages(busy_account: Service) -> None:
    cursor = busy_account(HISTORY, query={"limit": "2"}).body["next_cursor"]
    busy_account.spend()
    assert entries(busy_account(HISTORY, query={"limit": "2", "cursor": cursor})) == [4, 3]


@pytest.mark.usefixtures("no_pauses")
def test_rare_matches_are_found_page_by_page(service: Service) -> None:
    """A page reads a thousand entries; the grant is the second oldest one."""
    service.open(credits=5_000)
    StoreDriver(service.table).debit_in_bulk(1_010)

    assert list(paged(service, {"type": "grant"})) == [[], [2]]


@pytest.mark.parametrize(
    "query", [{"limit": "6"}, {"limit": "1", "type": "grant"}, {"limit": "3", "type": "consumption"}]
)
def test_a_full_last_page_has_no_cursor(busy_account: Service, query: dict[str, str]) -> None:
    answer = busy_account(HISTORY, query=query)
    assert len(entries(answer)) == int(query["limit"])
    assert answer.body["next_cursor"] is None


def test_the_default_page_has_fifty_lines(service: Service) -> None:
    service.open(credits=60)
    for _ in range(51):
        service.spend()
    assert len(entries(service(HISTORY))) == 50
    assert len(entries(service(HISTORY, query={"limit": "100"}))) == 53


CURSOR_QUERY = {"limit": "1", "source": "credits"}


@pytest.fixture
def cursor(busy_account: Service) -> str:
    busy_account.open("zoo")
    return str(busy_account(HISTORY, query=CURSOR_QUERY).body["next_cursor"])


def test_a_cursor_works_with_another_limit(busy_account: Service, cursor: str) -> None:
    assert entries(busy_account(HISTORY, query=CURSOR_QUERY | {"limit": "2", "cursor": cursor})) == [4]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"source": "quota"},
        {"source": "credits", "type": "consumption"},
        {"source": "credits", "from": "2026-06-16T00:00:00Z"},
        {"feature": "credits"},
    ],
)
def test_a_cursor_is_for_its_filters_only(busy_account: Service, cursor: str, query: dict[str, str]) -> None:
    answer = busy_account(HISTORY, query={**query, "cursor": cursor})
    assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_a_cursor_is_for_its_account_only(busy_account: Service, cursor: str) -> None:
    answer = busy_account(HISTORY, "zoo", query=CURSOR_QUERY | {"cursor": cursor})
    assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_different_requests_have_different_cursors(service: Service) -> None:
    for account in ("3x", "x"):
        service.open(account, credits=2)
    before, _, signature = service(HISTORY, "3x", query={"limit": "1"}).body["next_cursor"].partition(".")
    assert service(HISTORY, "x", query={"cursor": f"{before}3.{signature}"}).status == 400
    for _ in range(2):
        service.spend(account="x")
    cursor = service(HISTORY, "x", query={"limit": "1", "feature": "sticker", "source": "credits"}).body["next_cursor"]
    assert service(HISTORY, "x", query={"feature": "stickersourcecredits", "cursor": cursor}).status == 400


def test_no_bit_of_a_cursor_can_be_changed(busy_account: Service, cursor: str) -> None:
    for place, character in enumerate(cursor):
        for bit in range(8):
            changed = cursor[:place] + chr(ord(character) ^ 1 << bit) + cursor[place + 1 :]
            answer = busy_account(HISTORY, query=CURSOR_QUERY | {"cursor": changed})
            assert (answer.status, answer.code) == (400, "invalid_cursor"), changed


@pytest.mark.parametrize(
    "template",
    [
        "",
        ".",
        "0.{signature}",
        "-1.{signature}",
        "１.{signature}",
        "9{number}.{signature}",
        "0{number}.{signature}",
        "{number}",
        "{number}.",
        "{number}.{signature}0",
        "{number}.{signature}\n",
        " {number}.{signature}",
        "{number}.{signature}.{signature}",
        "9999999999999.{signature}",
        "eyJQSyI6IkFDQ09VTlQjYWNtZSJ9",
    ],
)
def test_a_forged_cursor_is_rejected(busy_account: Service, cursor: str, template: str) -> None:
    number, _, signature = cursor.partition(".")
    changed = template.format(number=number, signature=signature)
    answer = busy_account(HISTORY, query=CURSOR_QUERY | {"cursor": changed})
    assert (answer.status, answer.code) == (400, "invalid_cursor")
    assert signature not in answer.text


def test_the_cursor_secret_is_read_only_when_there_is_a_cursor(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected() -> str:
        raise AssertionError("the cursor's secret was read without a cursor")

    service.functions.change(cursor_secrets=unexpected)
    service.open(credits=1)
    assert types(service.stored()) == ["plan_change", "grant"]
    assert entries(service(HISTORY)) == [2, 1]


def test_a_past_balance_has_that_times_prices(service: Service, clock: Clock) -> None:
    """Though no entry was written under them."""
    service.open(plan="trio", ai_enabled=True)
    dearer = {
        "features": [
            {"id": "sticker", "price": 3},
            {"id": "ai_service", "price": 1},
        ],
        "plans": [
            {"id": plan, "quotas": {"ai_service": 400}} for plan in ("none", "individual", "trio", "team", "scale")
        ],
        "packs": service(GET_CATALOG).body["packs"],
    }
    clock.now += HOUR
    assert service(PUT_CATALOG, json=dearer, headers={"if-match": "1"}).status == 200
    clock.now += HOUR
    now = service(BALANCE).body

    then = service(BALANCE, query={"at": now["as_of"]}).body
    before = service(
        BALANCE, query={"at": (clock.now - HOUR - timedelta(milliseconds=1)).isoformat().replace("+00:00", "Z")}
    ).body

    assert then == now
    assert (then["quotas"][0]["limit"], then["features"]["sticker"]["price"]) == (400, 3)
    assert (before["quotas"][0]["limit"], before["features"]["sticker"]["price"]) == (300, 1)
