"""How long credits last at the pace of the last three months."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from prepaid.core.entry import Entry
from prepaid.core.lasting import Duration, credits_per_day, lasts
from tests.support.core_builders import NOW, an_account

DAY = timedelta(days=1)


def an_entry(number: int, credits: int, days_ago: float, feature: str | None = "sticker") -> Entry:
    after = replace(an_account(), number=number, at=NOW - days_ago * DAY)
    return Entry(
        type="consumption" if feature else "purchase",
        credits=credits,
        quota=0,
        owed=0,
        quota_remaining=0,
        draws=(),
        actor="shop",
        catalog_version=1,
        after=after,
        feature=feature,
    )


def test_only_the_use_of_the_last_90_days_counts() -> None:
    entries = [an_entry(4, -60, 1), an_entry(3, -30, 89), an_entry(2, -500, 90), an_entry(1, 0, 400, None)]

    assert credits_per_day(entries, NOW) == 1


def test_added_credits_do_not_count_as_use() -> None:
    entries = [an_entry(3, -9, 1), an_entry(2, 1000, 2, None), an_entry(1, 0, 91, None)]

    assert credits_per_day(entries, NOW) == Fraction(9, 90)


def test_returned_credits_do_not_count_as_used() -> None:
    entries = [an_entry(3, 4, 1), an_entry(2, -10, 2), an_entry(1, 0, 91, None)]

    assert credits_per_day(entries, NOW) == Fraction(6, 90)


def test_a_young_account_is_judged_by_its_own_time() -> None:
    entries = [an_entry(2, -20, 1), an_entry(1, 0, 10, None)]

    assert credits_per_day(entries, NOW) == 2


def test_entries_that_were_read_count_for_their_own_time_span() -> None:
    assert credits_per_day([an_entry(901, -20, 1), an_entry(900, -20, 4)], NOW) == 10


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [an_entry(1, 0, 30, None)],
        [an_entry(2, -5, 91), an_entry(1, 0, 400, None)],
        [an_entry(2, -5, 1), an_entry(1, 0, 6.9, None)],
        [an_entry(3, 5, 1), an_entry(2, -5, 2), an_entry(1, 0, 91, None)],
    ],
)
def test_without_use_or_history_there_is_no_duration(entries: list[Entry]) -> None:
    assert credits_per_day(entries, NOW) is None


@pytest.mark.parametrize(
    ("credits", "expected"),
    [
        (1, ("week", 1)),
        (10, ("week", 1)),
        (11, ("week", 2)),
        (29, ("week", 4)),
        (30, ("month", 1)),
        (44, ("month", 1)),
        (46, ("month", 2)),
        (359, ("month", 12)),
        (360, None),
        (10**9, None),
    ],
)
def test_a_duration_is_in_weeks_then_in_months(credits: int, expected: Duration | None) -> None:
    assert lasts(credits, Fraction(1), 12) == expected
