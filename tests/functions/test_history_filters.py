"""The history by customer, by reference and by civil days of the account's zone."""

from datetime import datetime

import pytest

from tests.support.api import CONSUME, HISTORY, PATCH_ACCOUNT
from tests.support.handlers import Clock
from tests.support.history_csv import read_file
from tests.support.in_process import Service


@pytest.fixture
def shop(service: Service, clock: Clock) -> Service:
    """Uses on both sides of midnight in Sao Paulo, which is 03:00 in UTC."""
    service.open(credits=100)
    for at, customer, reference in (
        ("2026-06-17T02:59:59.999Z", "Maria", "job-1"),
        ("2026-06-17T03:00:00Z", "José", "job-2"),
        ("2026-06-18T02:59:59.999Z", "Maria", None),
        ("2026-06-18T03:00:00Z", None, "job-2"),
    ):
        clock.now = datetime.fromisoformat(at)
        texts = {"customer": customer, "reference": reference}
        charge = {"feature": "sticker"} | {name: text for name, text in texts.items() if text}
        assert service(CONSUME, json=charge).status == 201
    return service


def found(service: Service, **query: str) -> list[int]:
    return [entry["entry"] for entry in service.history(**query)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"customer": "Maria"}, [5, 3]),
        ({"customer": "José"}, [4]),
        ({"customer": "maria"}, []),
        ({"customer": "Mari"}, []),
        ({"reference": "job-2"}, [6, 4]),
        ({"reference": "job-2", "customer": "José"}, [4]),
        ({"customer": "job-2"}, []),
        ({"from": "2026-06-17"}, [6, 5, 4]),
        ({"to": "2026-06-17"}, [3, 2, 1]),
        ({"from": "2026-06-17", "to": "2026-06-18"}, [5, 4]),
        ({"from": "2026-06-18", "to": "2026-06-17"}, []),
        ({"from": "2026-06-17", "to": "2026-06-18T03:00:00.001Z"}, [6, 5, 4]),
        ({"from": "2026-06-17", "customer": "Maria"}, [5]),
        ({"from": "1900-01-01", "to": "2500-12-31"}, [6, 5, 4, 3, 2, 1]),
    ],
)
def test_each_filter_returns_its_entries(shop: Service, query: dict[str, str], expected: list[int]) -> None:
    assert found(shop, **query) == expected
    file = read_file(shop(HISTORY, query=query, headers={"accept": "text/csv"}).text)
    assert file.numbers == expected


def test_days_are_days_of_the_accounts_present_zone(shop: Service) -> None:
    shop(PATCH_ACCOUNT, json={"time_zone": "UTC"})

    assert found(shop, to="2026-06-17") == [2, 1]


@pytest.mark.parametrize(
    ("query", "expected"), [({"customer": "Maria"}, [[5], [3]]), ({"reference": "job-2"}, [[6], [4]])]
)
def test_filtered_pages_hold_each_entry_once(shop: Service, query: dict[str, str], expected: list[list[int]]) -> None:
    """No page follows that would be empty."""
    pages = list(shop.pages(**query, limit="1"))

    assert [[entry["entry"] for entry in page] for page in pages] == expected


def test_a_cursor_is_for_its_customer_only(shop: Service) -> None:
    cursor = shop(HISTORY, query={"customer": "Maria", "limit": "1"}).body["next_cursor"]

    answer = shop(HISTORY, query={"customer": "José", "limit": "1", "cursor": cursor})

    assert (answer.status, answer.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("name", ["customer", "reference"])
@pytest.mark.parametrize("text", ["", "x" * 201, " ", "a\nb", "\x00", "\ufffd"])
def test_a_text_that_no_entry_has_is_rejected(shop: Service, name: str, text: str) -> None:
    answer = shop(HISTORY, query={name: text})

    assert (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "text",
    ["2026-02-30", "2026-13-01", "0001-01-01", "1899-12-31", "2501-01-01", "2026-6-1", "20260601", "2026-06", ""],
)
def test_a_day_that_does_not_exist_is_rejected(shop: Service, name: str, text: str) -> None:
    answer = shop(HISTORY, query={name: text})

    assert (answer.status, answer.fields) == (422, [name])
