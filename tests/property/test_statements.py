"""Statements of random ledgers: each month adds up, each closing is the next opening, and no entry is in two months."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import event, given
from hypothesis import strategies as st

from prepaid.core.calendar import day_start, month_of, months_later
from prepaid.core.entry import Entry
from prepaid.core.errors import AccountClosed, AccountFrozen, InsufficientCredits
from prepaid.core.ledger import ChangeTerms, Debit, Grant, Operation, Settle, apply, open_account
from prepaid.core.statement import Statement, month_start, opening_month, statements_of
from tests.support import strategies
from tests.support.core_builders import CATALOG

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
# Steps to and next to the ends of months in every zone, to changes of clocks, and far ahead.
STEPS = (
    timedelta(0),
    timedelta(milliseconds=1),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=13),
    timedelta(days=1),
    timedelta(days=15),
    timedelta(days=75),
)

operations = st.one_of(
    st.builds(
        Debit, actor=st.just("a"), feature=st.sampled_from(["sticker", "ai_service"]), quantity=st.integers(1, 9)
    ),
    st.builds(
        Grant,
        actor=st.just("a"),
        kind=strategies.lot_kinds,
        credits=st.integers(1, 20),
        validity=st.sampled_from([1, 2, 12]),
    ),
    st.builds(ChangeTerms, actor=st.just("a"), terms=strategies.terms),
    st.just(Settle()),
)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Entry]:
    """Entries whose times gather around the ends of months."""
    now = NEW_YEAR + timedelta(hours=draw(st.integers(-15, 13)))
    entries = [open_account("acme", draw(strategies.terms), actor="a", catalog=CATALOG, now=now)]
    for operation, step, to_the_edge in draw(
        st.lists(st.tuples(operations, st.sampled_from(STEPS), st.booleans()), max_size=25)
    ):
        now += step
        if to_the_edge:
            zone = entries[-1].after.terms.time_zone
            edge = day_start(months_later(month_of(now, zone), 1), zone)
            now = max(now, edge + draw(st.sampled_from([timedelta(0), timedelta(milliseconds=-1)])))
        entries += carried_out(entries[-1], operation, now)
    return entries


def carried_out(last: Entry, operation: Operation, now: datetime) -> tuple[Entry, ...]:
    try:
        return apply(last.after, operation, catalog=CATALOG, now=now)
    except (InsufficientCredits, AccountFrozen, AccountClosed):
        return ()


def all_of(entries: list[Entry]) -> list[Statement]:
    """Every statement up to two months after the newest entry."""
    first = opening_month(entries[0])
    last = months_later(month_of(entries[-1].at, "UTC"), 2)
    return list(statements_of(first, last, month_start(first, None, entries[0]), None, entries))


@given(ledgers())
def test_each_month_adds_up_and_chains(entries: list[Entry]) -> None:
    statements = all_of(entries)

    for statement in statements:
        assert statement.closing - statement.opening == statement.moved.total
        assert -statement.moved.spent == sum(use.credits for use in statement.uses)
        assert statement.starts_at < statement.ends_at
    for earlier, later in pairwise(statements):
        assert later.month == months_later(earlier.month, 1)
        assert (later.starts_at, later.opening) == (earlier.ends_at, earlier.closing)
        assert later.owed_opening == earlier.owed_closing
    assert (statements[0].opening, statements[-1].closing) == (0, entries[-1].after.available)
    event(f"{len(statements)} months")


@given(ledgers())
def test_each_entry_is_in_the_one_month_that_holds_its_time(entries: list[Entry]) -> None:
    statements = all_of(entries)

    for statement in statements:
        inside = [entry for entry in entries if statement.starts_at <= entry.at < statement.ends_at]
        assert statement.entries == len(inside)
        assert statement.closing - statement.opening == sum(entry.credits for entry in inside)
    assert sum(statement.entries for statement in statements) == len(entries)


@given(ledgers())
def test_a_month_ends_at_midnight_in_a_zone_of_the_account(entries: list[Entry]) -> None:
    zones = {entry.after.terms.time_zone for entry in entries}

    for statement in all_of(entries):
        assert statement.zone in zones
        assert statement.ends_at == day_start(months_later(statement.month, 1), statement.zone)


@given(ledgers(), st.data())
def test_a_month_alone_is_the_same_as_in_its_row(entries: list[Entry], data: st.DataObject) -> None:
    """A request for one month returns the same statement as a request for all of them."""
    statements = all_of(entries)
    wanted = data.draw(st.sampled_from(statements))

    assert next(from_the_middle(entries, wanted)) == wanted


def from_the_middle(entries: list[Entry], wanted: Statement) -> Iterator[Statement]:
    earlier = [entry for entry in entries if entry.at < wanted.starts_at]
    later = [entry for entry in entries if entry.at >= wanted.starts_at]
    before = earlier[-1].after if earlier else None
    return statements_of(wanted.month, wanted.month, wanted.starts_at, before, later)
