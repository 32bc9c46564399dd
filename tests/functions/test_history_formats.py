"""The history as JSON or CSV, as the request's Accept header prefers. A CSV file is whole, or says that it isn't."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType

import pytest

from prepaid.api.histories import Filters, read_lines
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import read_tail
from tests.support.api import CONSUME, HISTORY, Answer
from tests.support.aws_in_process import empty_table
from tests.support.functions import Deployment
from tests.support.handlers import Clock, listen, serving
from tests.support.history_csv import HistoryFile, read_file
from tests.support.in_process import Service
from tests.support.store_driver import FakeTime, StoreDriver

JSON, CSV = "application/json", "text/csv; charset=utf-8"
EVERYTHING = Filters(type=None, feature=None, source=None, since=None, until=None)
# What a spreadsheet drops in front of a formula, and what it takes for its start.
DROPPED = re.compile(r"[\s\"\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2060-\u2064\u2800\u3164\ufe0f\ufeff]+")
STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example","x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\uff1d1+1",
    "\ufe66SUM(1)",
    " =1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    "\u200b\u00a0\ufeff =1",
    "\u3164+1",
    "\ufe0f@1",
    "\u2800-1",
    '"=1',
    '""=1',
    "+1-1",
    "-5",
]
TELEPHONES = ["+55 11 99999-0000", "+5511999990000", "+55 (11) 99999-0000", "+1.800.555.0199", "+55-11-99999-0000"]
NO_TELEPHONES = ["+5", "+1-1", "+55 11 99999-0000=1", "+55 11 99999-0000|x", "+A1 99999-0000", "+1234567890123456"]


ENTRIES = 1_200


@pytest.fixture(scope="module")
def long_account(apps: dict[str, ModuleType], deployment: Deployment, aws: None) -> Iterator[Service]:
    """One account for the whole module, opened and granted credits before many consumptions. Nothing here writes."""
    with pytest.MonkeyPatch.context() as patch:
        table = empty_table()
        for service in serving(deployment.at(apps, table, Clock()), table, listen(patch)):
            service.open(credits=2_000)
            StoreDriver(table).debit_in_bulk(ENTRIES)
            service.functions.change(table=replace(table, deadline=FakeTime().deadline()))
            yield service


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


def test_a_file_without_a_limit_is_whole(long_account: Service) -> None:
    file = csv_file(long_account)

    assert (file.numbers, file.cursor) == (list(range(ENTRIES, 0, -1)), None)


def test_a_filters_only_match_far_back_is_in_the_file(long_account: Service) -> None:
    file = csv_file(long_account, type="grant")

    assert (file.numbers, file.cursor) == ([2], None)


def test_a_file_with_a_limit_says_where_it_continues(service: Service) -> None:
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


def lines_of(table: Table, limit: int) -> tuple[list[int], int | None]:
    """The numbers of the entries in a file, and below which it ends."""
    newest = read_tail(table, "acme").entry.number
    lines, before = read_lines(table, "acme", EVERYTHING, 1, newest, limit)
    return [int(line.partition(",")[0]) for line in lines], before


@pytest.mark.parametrize(
    ("limit", "before"), [(ENTRIES - 1, 2), (ENTRIES, None), (ENTRIES + 1, None), (1_000, 201), (1, ENTRIES)]
)
def test_a_file_ends_at_its_most_lines(long_account: Service, limit: int, before: int | None) -> None:
    found, rest = lines_of(long_account.table, limit)

    assert found == list(range(ENTRIES, max(0, ENTRIES - limit), -1))
    assert rest == before


def test_a_file_of_long_texts_ends_before_lambdas_limit(service: Service) -> None:
    service.open(credits=2_000)
    text = "🐶" * 200
    StoreDriver(service.table).debit_in_bulk(900, description=text, customer=text, reference=text)
    service.functions.change(table=replace(service.table, deadline=FakeTime().deadline()))

    answer = service(HISTORY, headers={"accept": "text/csv"})

    file = read_file(answer.text)
    response = {"statusCode": 200, "headers": dict(answer.headers), "body": answer.text}
    assert 5_900_000 < len(json.dumps(response)) < 6_291_556
    assert csv_file(service, cursor=file.cursor or "").numbers == list(range(file.numbers[-1] - 1, 0, -1))


@dataclass
class SlowTime(FakeTime):
    """A clock that moves with each look at it, by so many seconds. Each call to the database looks at it once."""

    step: float = 1.0

    def clock(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def slow(long_account: Service) -> Iterator[SlowTime]:
    time = SlowTime()
    at_ease = long_account.functions.deps["balance_query"].table
    long_account.functions.change(table=replace(long_account.table, deadline=time.deadline()))
    yield time
    long_account.functions.change(table=at_ease)


@pytest.mark.parametrize("query", [{}, {"type": "consumption"}])
def test_a_file_ends_at_the_deadline_and_says_so(long_account: Service, slow: SlowTime, query: dict[str, str]) -> None:
    slow.step = 2.5

    file = csv_file(long_account, **query)

    assert file.numbers == list(range(ENTRIES, ENTRIES - 1_000, -1))
    assert file.cursor is not None


def test_the_deadline_counts_for_entries_that_do_not_match_too(long_account: Service, slow: SlowTime) -> None:
    slow.step = 2.5

    file = csv_file(long_account, type="grant")

    assert file.numbers == []
    assert csv_file(long_account, type="grant", cursor=file.cursor or "").numbers == [2]


def test_a_file_of_which_nothing_was_read_in_time_is_an_error(long_account: Service, slow: SlowTime) -> None:
    slow.step = 6.0

    answer = long_account(HISTORY, headers={"accept": "text/csv"}, trouble=True)

    assert (answer.status, answer.code) == (503, "busy")


@pytest.mark.parametrize("field", ["description", "customer", "reference"])
def test_no_cell_is_a_formula_whatever_separates_the_cells(service: Service, field: str) -> None:
    texts = [
        text for formula in FORMULAS for text in (formula, f"banho;{formula};ok", f'banho;"{formula}', f"a,{formula}")
    ]
    service.open(credits=len(texts))
    for text in texts:
        assert service(CONSUME, json={"feature": "sticker", field: text}).status == 201

    file = service(HISTORY, query={"type": "consumption"}, headers={"accept": "text/csv"}).text

    cells = [
        cell
        for separator in ",;\t"
        for row in csv.reader(io.StringIO(file[1:], newline=""), delimiter=separator)
        for cell in row
        if not re.fullmatch(r"-[0-9]+", cell)
    ]
    assert [cell for cell in cells if DROPPED.sub("", cell[:9]).startswith(STARTS)] == []
    assert [entry[field] for entry in service.history(type="consumption")] == texts[::-1]


def test_a_formula_gets_an_apostrophe_where_it_starts(service: Service) -> None:
    texts = {"=1": "'=1", "banho;=1;ok": "banho;'=1;ok", "\u200b=1": "'\u200b=1", "x=1": "x=1", "a;b": "a;b"}
    service.open(credits=len(texts))
    for text in texts:
        service(CONSUME, json={"feature": "sticker", "customer": text})

    shown = [line["customer"] for line in csv_file(service, type="consumption").lines]

    assert shown == list(texts.values())[::-1]


def test_the_callers_name_is_no_formula_and_breaks_no_line(service: Service) -> None:
    names = ["=cmd|calc", "x\t=1", "x\r\n=1", "x\u2028=1", "\tx"]
    service.open(credits=len(names))
    for name in names:
        service.spend(by={"client_id": name})

    shown = [line["actor"] for line in csv_file(service, type="consumption").lines]

    assert shown[::-1] == ["'=cmd|calc", "x\t'=1", "x\r\n'=1", "x\u2028'=1", "'\tx"]


def test_a_telephone_number_stays_as_it_was_sent(service: Service) -> None:
    texts = [*TELEPHONES, *NO_TELEPHONES]
    service.open(credits=len(texts))
    for text in texts:
        service(CONSUME, json={"feature": "sticker", "customer": text})

    shown = [line["customer"] for line in csv_file(service, type="consumption").lines]

    assert shown[::-1] == [*TELEPHONES, *(f"'{text}" for text in NO_TELEPHONES)]
