"""The benchmark of reads runs, and what it reads doesn't pile up in memory."""

from dataclasses import replace

import pytest

from bench import reading
from local.cloud import environment_at
from prepaid.store.dynamodb import Table


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

    short, long = (
        reading.measured(table, reading.reads_history(table, account, "application/json", 50))
        for account in ("short", "long")
    )

    assert (short.rows, short.calls) == (long.rows, long.calls) == (50, 2)
    assert long.peak < short.peak * 1.2


def test_a_file_is_read_in_few_calls_and_a_few_bytes_a_line(table: Table) -> None:
    reading.fill(table, "acme", 1_200)

    file = reading.measured(table, reading.reads_history(table, "acme", "text/csv", None))

    # With the account's opening and its grant.
    assert file.rows == 1_202
    assert file.calls <= 2 + file.rows / 200
    assert file.peak < file.rows * 3_000


def test_the_verifiers_memory_is_a_pages_and_not_a_tables(table: Table) -> None:
    for number in range(2):
        reading.fill(table, f"account-{number}", 150)
    few = reading.measured(table, reading.verifies(table, page_rows=100))
    other = replace(table, name=reading.a_table().name)
    for number in range(8):
        reading.fill(other, f"account-{number}", 150)

    many = reading.measured(other, reading.verifies(other, page_rows=100))

    assert many.rows > 3.9 * few.rows
    assert many.calls < 4.5 * few.calls
    assert many.peak < few.peak + 2**18
