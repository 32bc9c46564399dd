"""Rules 1 and 7: the end of a lot's last day, and the instants at which a quota renews, in the account's zone."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from prepaid.core.calendar import day_start, end_of_validity, is_zone, next_renewal
from tests.support.core_builders import SAO_PAULO, civil

JUST_BEFORE = timedelta(milliseconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_credits_last_twelve_months_to_the_end_of_the_civil_day() -> None:
    assert end_of_validity(civil("2026-06-16 10:00"), 12, SAO_PAULO) == civil("2027-06-17 00:00")


@pytest.mark.parametrize("time", ["00:00:00.000", "00:00:00.001", "12:00:00.000", "23:59:59.999"])
def test_the_time_of_day_of_the_purchase_does_not_matter(time: str) -> None:
    assert end_of_validity(civil(f"2026-06-16 {time}"), 12, SAO_PAULO) == utc("2027-06-17 03:00")


def test_the_civil_day_is_the_accounts_not_that_of_utc() -> None:
    late_evening_in_sao_paulo = utc("2026-06-17 02:30")

    assert end_of_validity(late_evening_in_sao_paulo, 12, SAO_PAULO) == civil("2027-06-17 00:00")
    assert end_of_validity(late_evening_in_sao_paulo, 12, "UTC") == utc("2027-06-18 00:00")


def test_credits_of_29_february_end_with_28_february() -> None:
    """A year later."""
    assert end_of_validity(civil("2028-02-29 10:00"), 12, SAO_PAULO) == civil("2029-03-01 00:00")


def test_credits_of_28_february_end_on_the_28th_in_a_leap_year() -> None:
    """They last through that day."""
    assert end_of_validity(civil("2027-02-28 10:00"), 12, SAO_PAULO) == civil("2028-02-29 00:00")


def test_a_29th_of_february_comes_back_after_four_years() -> None:
    assert end_of_validity(civil("2028-02-29 10:00"), 48, SAO_PAULO) == civil("2032-03-01 00:00")


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-12-31 10:00", 12, "2028-01-01 00:00"),
        ("2026-12-01 10:00", 1, "2027-01-02 00:00"),
        ("2026-11-30 10:00", 1, "2026-12-31 00:00"),
        ("2026-10-31 10:00", 1, "2026-12-01 00:00"),
        ("2026-01-31 10:00", 1, "2026-03-01 00:00"),
        ("2026-08-31 10:00", 6, "2027-03-01 00:00"),
        ("2026-06-16 10:00", 120, "2036-06-17 00:00"),
    ],
)
def test_other_validities_run_over_years_and_short_months(start: str, months: int, end: str) -> None:
    assert end_of_validity(civil(start), months, SAO_PAULO) == civil(end)


def test_instants_are_utc() -> None:
    assert end_of_validity(civil("2026-06-16 10:00"), 12, SAO_PAULO).tzinfo is UTC
    assert next_renewal(civil("2026-06-16 10:00"), 1, SAO_PAULO).tzinfo is UTC


# Where clocks change at midnight


def test_a_day_without_midnight_starts_when_the_clocks_jump() -> None:
    # Sao Paulo, 2018-11-04: 23:59:59 -03 is followed by 01:00:00 -02.
    start = day_start(datetime(2018, 11, 4).date(), SAO_PAULO)  # noqa: DTZ001 (a date)

    assert start == utc("2018-11-04 03:00")
    assert (start - JUST_BEFORE).astimezone(civil("2018-11-04 12:00").tzinfo) == utc("2018-11-04 02:59:59.999")


def test_a_lot_that_ends_on_a_skipped_midnight_ends_at_the_jump() -> None:
    assert end_of_validity(civil("2017-11-03 10:00"), 12, SAO_PAULO) == utc("2018-11-04 03:00")


def test_a_lot_lasts_through_all_25_hours_of_a_day() -> None:
    # Sao Paulo, 2018-02-17: the hour from 23:00 to midnight comes twice.
    end = end_of_validity(civil("2017-02-17 10:00"), 12, SAO_PAULO)

    assert end == utc("2018-02-18 03:00")
    assert end - day_start(datetime(2018, 2, 17).date(), SAO_PAULO) == timedelta(hours=25)  # noqa: DTZ001


def test_a_quota_due_on_a_skipped_midnight_renews_at_the_jump() -> None:
    before = utc("2018-11-04 02:59:59.999")

    assert next_renewal(before, 4, SAO_PAULO) == utc("2018-11-04 03:00")
    assert next_renewal(utc("2018-11-04 03:00"), 4, SAO_PAULO) == utc("2018-12-04 02:00")


def test_in_havana_the_day_starts_when_the_clocks_jump_over_midnight() -> None:
    assert end_of_validity(utc("2025-03-07 15:00"), 12, "America/Havana") == utc("2026-03-08 05:00")


def test_in_havana_the_day_starts_at_the_first_of_two_midnights() -> None:
    assert end_of_validity(utc("2025-10-31 15:00"), 12, "America/Havana") == utc("2026-11-01 04:00")


def test_in_havana_a_quota_renews_once_on_the_day_with_two_midnights() -> None:
    first, second = utc("2026-11-01 04:00"), utc("2026-11-01 05:00")

    assert next_renewal(utc("2026-10-20 12:00"), 1, "America/Havana") == first
    assert next_renewal(first, 1, "America/Havana") == utc("2026-12-01 05:00")
    assert next_renewal(second, 1, "America/Havana") == utc("2026-12-01 05:00")


def test_clocks_going_back_a_month_renew_no_quota_twice() -> None:
    # St. John's, 2009-11-01: a minute after midnight it was 23:01 on 31 October once more.
    first_midnight, october_again = utc("2009-11-01 02:30"), utc("2009-11-01 02:45")

    assert next_renewal(utc("2009-10-20 12:00"), 1, "America/St_Johns") == first_midnight
    assert next_renewal(october_again, 1, "America/St_Johns") == utc("2009-12-01 03:30")


def test_samoas_skipped_day_ends_as_it_starts() -> None:
    # Apia went from Thursday 2011-12-29 to Saturday 2011-12-31.
    assert end_of_validity(utc("2010-12-29 20:00"), 12, "Pacific/Apia") == utc("2011-12-30 10:00")
    assert end_of_validity(utc("2010-12-30 20:00"), 12, "Pacific/Apia") == utc("2011-12-30 10:00")
    assert end_of_validity(utc("2010-12-31 20:00"), 12, "Pacific/Apia") == utc("2011-12-31 10:00")


def test_a_quota_renews_once_around_samoas_skipped_day() -> None:
    """Later renewals follow the anchor."""
    renewals = renewals_after(utc("2011-11-15 12:00"), 30, "Pacific/Apia", count=4)

    assert renewals == [
        utc("2011-11-30 10:00"),
        utc("2011-12-30 10:00"),
        utc("2012-01-29 10:00"),
        utc("2012-02-28 10:00"),
    ]


# Monthly anchors


def renewals_after(now: datetime, anchor_day: int, zone: str, *, count: int) -> list[datetime]:
    renewals: list[datetime] = []
    for _ in range(count):
        now = next_renewal(now, anchor_day, zone)
        renewals.append(now)
    return renewals


@pytest.mark.parametrize(
    ("anchor_day", "days"),
    [
        (28, "28 28 28 28 28 28 28 28 28 28 28 28 28 28"),
        (29, "29 28 29 29 29 29 29 29 29 29 29 29 29 29"),
        (30, "30 28 30 30 30 30 30 30 30 30 30 30 30 29"),
        (31, "31 28 31 30 31 30 31 31 30 31 30 31 31 29"),
    ],
)
def test_an_anchor_is_clamped_in_short_months_only(anchor_day: int, days: str) -> None:
    # January 2027 to January 2028, then February 2028, a leap year.
    renewals = renewals_after(civil("2027-01-01 00:00"), anchor_day, SAO_PAULO, count=14)

    expected = days.split()
    months = [(2027, month) for month in range(1, 13)] + [(2028, 1), (2028, 2)]
    assert renewals == [
        civil(f"{year}-{month:02d}-{day} 00:00") for (year, month), day in zip(months, expected, strict=True)
    ]


def test_a_quota_renews_at_midnight_of_the_account_not_of_utc() -> None:
    assert next_renewal(utc("2026-06-10 02:59"), 10, SAO_PAULO) == utc("2026-06-10 03:00")
    assert next_renewal(utc("2026-06-10 02:59"), 10, "UTC") == utc("2026-07-10 00:00")


def test_the_renewal_after_a_renewal_is_a_month_later() -> None:
    assert next_renewal(civil("2026-06-10 00:00"), 10, SAO_PAULO) == civil("2026-07-10 00:00")


def test_just_before_a_renewal_it_is_the_next_one() -> None:
    assert next_renewal(civil("2026-06-10 00:00") - JUST_BEFORE, 10, SAO_PAULO) == civil("2026-06-10 00:00")


def test_renewals_run_over_the_new_year() -> None:
    assert next_renewal(civil("2026-12-10 00:00"), 10, SAO_PAULO) == civil("2027-01-10 00:00")
    assert next_renewal(civil("2026-12-31 12:00"), 1, SAO_PAULO) == civil("2027-01-01 00:00")


def test_the_day_before_a_clamped_anchor_has_the_renewal_before_it() -> None:
    assert next_renewal(civil("2027-02-27 12:00"), 31, SAO_PAULO) == civil("2027-02-28 00:00")
    assert next_renewal(civil("2027-02-28 12:00"), 31, SAO_PAULO) == civil("2027-03-31 00:00")


# Zones


@pytest.mark.parametrize(
    "name", ["America/Sao_Paulo", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "Etc/GMT+3", "UTC"]
)
def test_iana_names_are_zones(name: str) -> None:
    assert is_zone(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Sao Paulo",
        "Mars/Olympus",
        "America",
        "America/",
        "america/sao_paulo",
        "EST5EDT",
        "utc",
        "Etc/Unknown",
        "America/../America/Sao_Paulo",
        "../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        "a" * 5000,
    ],
)
def test_any_other_text_is_no_zone(name: str) -> None:
    assert not is_zone(name)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """The only folder that this host looks for zones in."""
    zoneinfo.reset_tzpath([tmp_path])
    ZoneInfo.clear_cache()
    yield tmp_path
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()


@pytest.mark.parametrize("name", ["right/UTC", "posix/Europe/Berlin", "localtime", "Europe/berlin", "Our/Office"])
def test_a_zone_that_only_the_host_has_is_no_zone(host: Path, name: str) -> None:
    file = host / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(files("tzdata").joinpath("zoneinfo", "UTC").read_bytes())
    assert ZoneInfo(name).key == name

    assert not is_zone(name)


def test_each_zone_can_be_used_where_the_host_has_none(host: Path) -> None:
    names = [name for name in zoneinfo.available_timezones() if is_zone(name)]

    assert len(names) > 500
    assert all(ZoneInfo(name).utcoffset(utc("2026-06-16 13:00")) is not None for name in names)
