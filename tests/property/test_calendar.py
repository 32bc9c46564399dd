"""Civil time in every zone there is: ends of validity and renewals, against a calendar that counts day by day."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from prepaid.core.calendar import end_of_validity, next_renewal
from tests.oracle import calendar
from tests.oracle.calendar import instant, milliseconds
from tests.support.strategies import anchor_days, instants, zones

MILLISECOND = timedelta(milliseconds=1)
some_time = instants(datetime(2000, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC))
# In Newfoundland clocks went back over midnight until 2011: there a later instant could have an earlier date.
since_2012 = instants(datetime(2012, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC))
months = st.integers(0, 40)


@given(start=some_time, months=months, zone=zones)
def test_the_end_of_validity_agrees_with_the_oracles_walk(start: datetime, months: int, zone: str) -> None:
    assert end_of_validity(start, months, zone) == instant(calendar.end_of_validity(milliseconds(start), months, zone))


@given(start=some_time, months=months, zone=zones)
def test_credits_end_at_the_start_of_a_later_civil_day(start: datetime, months: int, zone: str) -> None:
    end = end_of_validity(start, months, zone)

    here = ZoneInfo(zone)
    assert (end - MILLISECOND).astimezone(here).date() < end.astimezone(here).date()
    assert end > start or months == 0


@given(start=since_2012, later=st.timedeltas(timedelta(0), timedelta(days=400)), months=months, zone=zones)
def test_credits_bought_later_never_end_earlier(start: datetime, later: timedelta, months: int, zone: str) -> None:
    assert end_of_validity(start, months, zone) <= end_of_validity(start + later, months, zone)


@given(now=some_time, anchor_day=anchor_days, zone=zones)
def test_the_next_renewal_agrees_with_the_oracles_walk(now: datetime, anchor_day: int, zone: str) -> None:
    assert next_renewal(now, anchor_day, zone) == instant(calendar.next_renewal(milliseconds(now), anchor_day, zone))


@given(now=some_time, anchor_day=anchor_days, zone=zones)
def test_the_next_renewal_is_to_come_within_a_month(now: datetime, anchor_day: int, zone: str) -> None:
    wait = next_renewal(now, anchor_day, zone) - now

    # A month, and one day more for zones that skipped a day or moved their clocks.
    assert timedelta(0) < wait <= timedelta(days=32)


@given(now=some_time, anchor_day=anchor_days, zone=zones, thousandths=st.integers(0, 999))
def test_within_a_period_its_end_does_not_move(now: datetime, anchor_day: int, zone: str, thousandths: int) -> None:
    end = next_renewal(now, anchor_day, zone)

    assert next_renewal(now + (end - now) * thousandths / 1000, anchor_day, zone) == end
    assert next_renewal(end - MILLISECOND, anchor_day, zone) == end
    assert next_renewal(end, anchor_day, zone) > end


@given(now=some_time, anchor_day=anchor_days, zone=zones)
def test_renewals_come_once_a_month_and_never_drift(now: datetime, anchor_day: int, zone: str) -> None:
    days = []
    for _ in range(26):
        now = next_renewal(now, anchor_day, zone)
        days.append(now.astimezone(ZoneInfo(zone)).date())

    for before, after in pairwise(days):
        assert (after.year * 12 + after.month) - (before.year * 12 + before.month) == 1
    for day in days:
        was_last_day = (day + timedelta(days=1)).day == 1
        anchored = day.day == anchor_day or (was_last_day and day.day < anchor_day)
        # These two zones moved across the date line and skipped 2011-12-30.
        skipped = zone in ("Pacific/Apia", "Pacific/Fakaofo") and (day, anchor_day) == (date(2011, 12, 31), 30)
        assert anchored or skipped
