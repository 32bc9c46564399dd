"""The benchmark of reads runs, and what it reads doesn't pile up in memory."""

import pytest

from bench import reading
from local.cloud import environment_at
from prepaid.store.dynamodb import Table
from tests.support.whole_table import WholeTable


@pytest.fixture
def table(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> Table:
    """An empty table of DynamoDB Local."""
    for name, value in environment_at(dynamodb_local).items():
        monkeypatch.setenv(name, value)
    table = reading.a_table()
    monkeypatch.setenv("TABLE_NAME", table.name)
    return table


def test_a_page_of_a_long_history_costs_what_one_of_a_short_does(table: Table) -> None:
    reading.fill(table, "short", 60)
    reading.fill(table, "long", 600)
    calls = reading.calls_of(table)

    short, long = (
        reading.measured(calls, reading.reads_history(table, account, "application/json", 50))
        for account in ("short", "long")
    )

    assert (short.rows, short.calls) == (long.rows, long.calls) == (50, 2)
    assert long.peak < short.peak * 1.2


def test_debits_after_a_long_history_make_two_calls_each(table: Table) -> None:
    for account, lines in (("short", 10), ("long", 1_000)):
        reading.fill(table, account, lines)
    calls = reading.calls_of(table)

    short, long = (reading.measured(calls, reading.debits(table, account)) for account in ("short", "long"))

    assert short.calls == long.calls == 2 * reading.DEBITS
    assert long.peak < short.peak * 1.2


def test_a_file_is_read_in_few_calls_and_a_few_bytes_a_line(table: Table) -> None:
    reading.fill(table, "acme", 1_200)
    calls = reading.calls_of(table)

    file = reading.measured(calls, reading.reads_history(table, "acme", "text/csv", None))

    # With the account's opening and its grant.
    assert file.rows == 1_202
    assert file.calls <= 2 + file.rows / 200
    assert file.peak < file.rows * 3_000


def verified(accounts: int) -> reading.Read:
    """A pass over a table with so many accounts."""
    database = reading.LargeDatabase()
    table = WholeTable(database).table
    for number in range(accounts):
        reading.fill(table, f"account-{number}", 150)
    return reading.measured(database.calls, reading.verifies(table, page_rows=100))


def test_the_verifiers_memory_is_a_pages_and_not_a_tables() -> None:
    few = verified(2)

    many = verified(8)

    assert many.rows > 3.9 * few.rows
    assert many.calls < 4.5 * few.calls
    assert many.peak < few.peak + 2**18
