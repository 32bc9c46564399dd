"""Scenarios of reading: balances, histories, statements, usage and events."""

from datetime import timedelta
from typing import Any

from tests.simulation.bench import Bench
from tests.simulation.scenarios.scenario import (
    Outcome,
    Scenario,
    a_month_ago,
    opened,
    outcome_of,
    read,
    spends,
    spent_before,
)
from tests.support.api import (
    BALANCE,
    EVENTS,
    HISTORY,
    STATEMENT,
    USAGE,
)


def read_statement(bench: Bench, _: Any) -> Outcome:
    """Of the month in which the account was opened, once it is closed. The first to read it stores it."""
    return outcome_of(bench.service(STATEMENT, month="2026-06", may_fail=True))


def stored_before(bench: Bench) -> None:
    a_month_ago(bench)
    assert read_statement(bench, None)[0] == 200


def spent_some(bench: Bench) -> None:
    opened(bench)
    assert bench.service.spend(3).status == 201
    bench.now += timedelta(hours=2)


def second_page(bench: Bench) -> str:
    spent_before(bench)
    return str(bench.service(HISTORY, query={"limit": "2"}).body["next_cursor"])


def read_on(bench: Bench, cursor: str) -> Outcome:
    return outcome_of(bench.service(HISTORY, query={"limit": "2", "cursor": cursor}, may_fail=True))


def read_lines(bench: Bench, cursor: str) -> Outcome:
    query = {"cursor": cursor}
    return outcome_of(bench.service(HISTORY, query=query, headers={"accept": "text/csv"}, may_fail=True))


SCENARIOS = (
    Scenario("balance", opened, read(BALANCE), spends, reads=True),
    Scenario("balance of a time", spent_some, read(BALANCE, {"at": "2026-06-16T13:30:00Z"}), spends, reads=True),
    Scenario("history", opened, read(HISTORY), spends, reads=True),
    Scenario("history: second page", second_page, read_on, spends, reads=True),
    Scenario("history: as CSV", second_page, read_lines, spends, reads=True),
    Scenario("statement", a_month_ago, read_statement, spends),
    Scenario("statement: stored", stored_before, read_statement, spends, reads=True),
    Scenario("usage", a_month_ago, read(USAGE, {"from": "2026-06-01", "to": "2026-07-01"}), spends, reads=True),
    Scenario("events", spent_some, read(EVENTS, {"after": "1"}), spends, reads=True),
    Scenario("events: beyond the newest", opened, read(EVENTS, {"after": "99"}), spends, reads=True),
)
