"""The history as JSON or CSV, as the request's Accept header prefers. A CSV file is whole, or states that it isn't."""

import json
from dataclasses import dataclass, replace
from types import ModuleType

import pytest

from prepaid.store.dynamodb import Table
from tests.support.api import CONSUME, HISTORY, Answer
from tests.support.functions import Deployment
from tests.support.handlers import Clock
from tests.support.history_csv import HistoryFile, read_file
from tests.support.in_process import Service
from tests.support.store_driver import FakeTime, StoreDriver
from tests.support.whole_table import WholeTable

JSON, CSV = "application/json", "text/csv; charset=utf-8"
# One more than a file has.
ENTRIES = 10_001


@pytest.fixture(scope="module")
def long_ledger() -> Table:
    """In memory: an account with thousands of consumptions after its opening and a grant."""
    table = WholeTable().table
    driver = StoreDriver(table)
    driver.open(credits=20_000)
    driver.debit_in_bulk(ENTRIES)
    return table


@pytest.fixture
def long_account(apps: dict[str, ModuleType], deployment: Deployment, table: Table, long_ledger: Table) -> Service:
    """The functions at that account, with time that stands still."""
    functions = deployment.at(apps, table, Clock())
    functions.change(table=replace(long_ledger, deadline=FakeTime().deadline()))
    return Service(table=long_ledger, functions=functions)


def csv_file(service: Service, **query: str) -> HistoryFile:
    answer = service(HISTORY, query=query, headers={"accept": "text/csv"})
    assert (answer.status, answer.headers["content-type"]) == (200, CSV)
    file = read_file(answer.text)
    assert answer.headers.get("next-cursor") == file.cursor
    return file


def numbers(answer: Answer) -> list[int]:
    return [entry["entry"] for entry in answer.body["entries"]]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("Text/CSV;q=0.1", CSV),
        ("text/csv;q=0", JSON),
        ("text/csv;q=0, */*;q=0.1", JSON),
        ("application/json, text/csv;q=0.5", JSON),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/html, text/*;q=0.1", CSV),
        # Neither type: JSON, as on every other route.
        ("text/html", JSON),
        ("text/csvx", JSON),
        ("application/json;q=0", JSON),
        ("x" * 9_000, JSON),
    ],
)
def test_the_accept_header_chooses_the_type(service: Service, accept: str | None, content_type: str) -> None:
    service.open()

    answer = service(HISTORY, headers={} if accept is None else {"Accept": accept})

    assert (answer.status, answer.headers["content-type"]) == (200, content_type)


def test_a_refusal_is_never_csv(service: Service) -> None:
    answer = service(HISTORY, "nobody", headers={"accept": "text/csv"})

    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_file_has_the_lines_of_the_json(service: Service) -> None:
    service.open(credits=9, plan="individual", ai_enabled=True)
    texts = {"description": 'Banho; "tosa"', "customer": "José, vet", "reference": "order-1"}
    service(CONSUME, json={"feature": "ai_service", "quantity": 101, **texts})

    file = csv_file(service)

    entries = service.history()
    assert file.cursor is None
    assert file.lines == [
        {name: "" if entry[name] is None else str(entry[name]) for name in file.lines[0]} for entry in entries
    ]
    assert {name: file.lines[0][name] for name in texts} == texts
    assert file.lines[0]["at"] == "2026-06-16T13:00:00.000Z"
    assert (file.lines[0]["credits"], file.lines[0]["quota"]) == ("-1", "-100")


def test_excel_recognizes_the_encoding_by_the_byte_order_mark(service: Service) -> None:
    service.open(credits=1)
    service(CONSUME, json={"feature": "sticker", "customer": "José"})

    text = service(HISTORY, headers={"accept": "text/csv"}).text

    assert text.encode().startswith(b"\xef\xbb\xbfentry,at,")
    assert "José" in text
    assert not text.startswith("\ufeffsep=")


def test_a_file_ends_after_10_000_lines_with_its_cursor(long_account: Service) -> None:
    file = csv_file(long_account)
    rest = csv_file(long_account, cursor=file.cursor or "")

    assert file.numbers == list(range(ENTRIES, 1, -1))
    assert (rest.numbers, rest.cursor) == ([1], None)


def test_a_file_of_ten_thousand_lines_is_whole(long_account: Service) -> None:
    file = csv_file(long_account, type="consumption")

    assert (file.numbers, file.cursor) == (list(range(ENTRIES, 2, -1)), None)


def test_a_filters_only_match_far_back_is_in_the_file(long_account: Service) -> None:
    file = csv_file(long_account, type="grant")

    assert (file.numbers, file.cursor) == ([2], None)


def test_a_file_with_a_limit_ends_with_its_cursor(service: Service) -> None:
    service.open(credits=9)
    StoreDriver(service.table).debit_in_bulk(5)

    parts = [csv_file(service, limit="2")]
    while parts[-1].cursor:
        parts.append(csv_file(service, limit="2", cursor=parts[-1].cursor))

    assert [part.numbers for part in parts] == [[5, 4], [3, 2], [1]]


def test_a_files_cursor_leads_to_json_too(service: Service) -> None:
    service.open(credits=9)
    cursor = csv_file(service, limit="1").cursor

    assert numbers(service(HISTORY, query={"cursor": cursor or ""})) == [1]


@pytest.mark.parametrize("query", [{"limit": "5"}, {"limit": "3", "type": "consumption"}])
def test_a_file_of_exactly_its_limit_is_whole(service: Service, query: dict[str, str]) -> None:
    service.open(credits=9)
    StoreDriver(service.table).debit_in_bulk(5)

    file = csv_file(service, **query)

    assert (len(file.numbers), file.cursor) == (int(query["limit"]), None)


def test_a_file_of_an_account_without_a_match_is_whole_and_empty(service: Service) -> None:
    service.open()

    file = csv_file(service, type="purchase")

    assert (file.lines, file.cursor) == ([], None)


def test_a_file_of_long_texts_ends_before_lambdas_limit(service: Service) -> None:
    in_memory, text = WholeTable().table, "🐶" * 200
    driver = StoreDriver(in_memory)
    driver.open(credits=2_000)
    for _ in range(900):
        driver.debit(description=text, customer=text, reference=text)
    service.functions.change(table=in_memory)

    answer = service(HISTORY, headers={"accept": "text/csv"})

    file = read_file(answer.text)
    response = {"statusCode": 200, "headers": dict(answer.headers), "body": answer.text}
    assert 5_900_000 < len(json.dumps(response)) < 6_291_556
    assert csv_file(service, cursor=file.cursor or "").numbers == list(range(file.numbers[-1] - 1, 0, -1))


@dataclass
class SlowTime(FakeTime):
    """A clock that moves by so many seconds each time it is read. Each call to the database reads it once."""

    step: float = 1.0

    def clock(self) -> float:
        self.now += self.step
        return self.now


def slow_down(service: Service, step: float) -> None:
    service.functions.change(table=replace(service.table, deadline=SlowTime(step=step).deadline()))


@pytest.mark.parametrize("query", [{}, {"type": "consumption"}], ids=str)
def test_a_file_that_ends_at_the_deadline_states_that(long_account: Service, query: dict[str, str]) -> None:
    """In 20 seconds: the newest entry, a thousand entries in five calls, and four calls of the next thousand."""
    slow_down(long_account, step=1.9)

    file = csv_file(long_account, **query)

    assert file.numbers == list(range(ENTRIES, ENTRIES - 1_000, -1))
    assert file.cursor is not None


def test_entries_that_do_not_match_take_time_too(long_account: Service) -> None:
    slow_down(long_account, step=1.9)

    parts = [csv_file(long_account, type="grant")]
    while parts[-1].cursor:
        parts.append(csv_file(long_account, type="grant", cursor=parts[-1].cursor))

    assert [part.numbers for part in parts] == [*[[]] * 9, [2]]


def test_a_file_of_which_nothing_was_read_in_time_is_an_error(long_account: Service) -> None:
    slow_down(long_account, step=6.0)

    answer = long_account(HISTORY, headers={"accept": "text/csv"}, may_fail=True)

    assert (answer.status, answer.code) == (503, "busy")


@pytest.mark.parametrize(
    ("text", "cell"), [("banho;=cmd|' /C calc'!A0;ok", "banho;'=cmd|' /C calc'!A0;ok"), ("+55 11 99999-0000", None)]
)
def test_each_text_of_an_entry_is_a_harmless_cell(service: Service, text: str, cell: str | None) -> None:
    service.open(credits=1)
    fields = ("description", "customer", "reference")
    service(CONSUME, json={"feature": "sticker", **dict.fromkeys(fields, text)}, by={"client_id": text})

    [line] = csv_file(service, type="consumption").lines

    assert {line[name] for name in (*fields, "actor")} == {cell or text}
    assert {service.history()[0][name] for name in fields} == {text}
