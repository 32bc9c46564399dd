"""The schedule records the expiry; afterwards the history has every line."""

import time
from itertools import accumulate
from typing import Any

import pytest

from prepaid.api.histories import COLUMNS
from tests.support.account_life import DETAILS, SWEEP_SECONDS, Bought, Expired
from tests.support.api import HISTORY
from tests.support.history_csv import read_file
from tests.support.over_http import HttpApi
from tests.support.payment_page import StackStorefront
from tests.support.store_driver import due_keys, stored

type Line = dict[str, Any]


def fits(line: Line, source: str | None = None, **wanted: str) -> bool:
    """Whether a line matches the filters. A line paid by both sources matches either."""
    return (source is None or line["source"] in {source, "both"}) and line.items() >= wanted.items()


def test_the_schedule_records_the_end_of_the_lot(swept: list[Line], expired: Expired) -> None:
    unspent = 500 - 8 - sum(attempt.answer.status == 201 for attempt in expired.tries)

    newest = swept[0]

    assert newest["type"] == "expiry"
    assert (newest["credits"], newest["balance_after"], newest["actor"]) == (-unspent, 0, "prepaid")
    assert newest["draws"] == [
        {"source": "lot", "lot": expired.lot["lot"], "credits": unspent, "expires_at": expired.lot["expires_at"]}
    ]
    assert newest["at"] >= expired.lot["expires_at"]


def test_the_sweep_deletes_the_row_once_the_end_is_recorded(
    swept: list[Line], bought: Bought, expired: Expired, cashier: StackStorefront
) -> None:
    bought_lot = bought.after["credits"]["lots"][0]["lot"]
    deadline = time.monotonic() + SWEEP_SECONDS

    while f"{bought.account}#{expired.lot['lot']}" in (due := due_keys(stored(cashier.table()))):
        assert time.monotonic() < deadline, "the row is still there"
        time.sleep(1)

    # Spent to the last credit, but its end hasn't come.
    assert f"{bought.account}#{bought_lot}" in due


def test_the_history_has_every_entry(swept: list[Line], expired: Expired) -> None:
    spent_in_time = sum(attempt.answer.status == 201 for attempt in expired.tries)
    oldest_first = swept[::-1]

    assert [line["type"] for line in oldest_first] == [
        "plan_change",
        "purchase",
        *["consumption"] * 4,
        "grant",
        *["consumption"] * (1 + spent_in_time),
        "expiry",
    ]
    assert [line["entry"] for line in oldest_first] == list(range(1, len(swept) + 1))
    assert [line["balance_after"] for line in oldest_first] == list(
        accumulate(line["credits"] for line in oldest_first)
    )
    assert [line["quota_remaining"] for line in oldest_first] == list(
        accumulate(line["quota"] for line in oldest_first)
    )
    assert [line["source"] for line in oldest_first[2:6]] == ["quota", "both", "credits", "credits"]
    assert {name: oldest_first[4][name] for name in DETAILS} == DETAILS


def test_pages_lead_through_the_whole_history(api: HttpApi, swept: list[Line], bought: Bought) -> None:
    pages = list(api.pages(bought.account, limit="3"))

    assert [line for page in pages for line in page] == swept
    assert {len(page) for page in pages[:-1]} == {3}


def test_the_history_is_a_csv_file_too(api: HttpApi, swept: list[Line], bought: Bought) -> None:
    answer = api(HISTORY, bought.account, headers={"Accept": "text/csv"})

    file = read_file(answer.text)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.cursor is None
    assert file.lines == [{name: "" if line[name] is None else str(line[name]) for name in COLUMNS} for line in swept]


def test_parts_of_a_csv_file_make_the_whole(api: HttpApi, swept: list[Line], bought: Bought) -> None:
    query: dict[str, str] = {"limit": "5"}
    numbers: list[int] = []
    while True:
        file = read_file(api(HISTORY, bought.account, query=query, headers={"Accept": "text/csv"}).text)
        numbers += file.numbers
        if not file.cursor:
            break
        query["cursor"] = file.cursor

    assert numbers == [line["entry"] for line in swept]


@pytest.mark.parametrize(
    "query",
    [
        {"type": "consumption"},
        {"type": "purchase"},
        {"feature": "ai_service"},
        {"source": "quota"},
        {"source": "credits"},
        {"source": "both"},
        {"source": "credits", "feature": "ai_service"},
    ],
    ids=str,
)
def test_filters_return_matching_entries_only(
    api: HttpApi, swept: list[Line], bought: Bought, query: dict[str, str]
) -> None:
    wanted = [line for line in swept if fits(line, **query)]

    found = api.history(bought.account, limit="2", **query)

    assert 0 < len(wanted) < len(swept)
    assert found == wanted


def test_dates_include_the_first_and_exclude_the_last(api: HttpApi, swept: list[Line], bought: Bought) -> None:
    second, grant = swept[-2]["at"], next(line["at"] for line in swept if line["type"] == "grant")

    found = api.history(bought.account, **{"from": second, "to": grant})

    assert found == [line for line in swept if second <= line["at"] < grant]
    assert [line["type"] for line in found] == [*["consumption"] * 4, "purchase"]
