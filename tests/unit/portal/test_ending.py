"""The warning about credits that end soon: when it appears, how urgent it is, and that there is only one."""

import pytest

from prepaid.core.account import Lot
from prepaid.core.calendar import day_start
from prepaid.portal.ending import ending_soon
from tests.support.core_builders import SAO_PAULO, a_lot, an_account, civil

NOW = civil("2026-11-26 22:30")


def lot_until(day: str, credits: int = 10, *, number: int = 2) -> Lot:
    """A lot whose last day is the one before `day`."""
    return a_lot(credits, number=number, expires_at=civil(f"{day} 00:00"))


@pytest.mark.parametrize(
    ("first_day_without", "days"),
    [
        ("2026-11-27", 1),
        ("2026-11-28", 1),
        ("2026-11-29", 7),
        ("2026-12-04", 7),
        ("2026-12-05", 30),
        ("2026-12-27", 30),
    ],
)
def test_a_warning_is_as_urgent_as_the_last_day_is_near(first_day_without: str, days: int) -> None:
    ending = ending_soon([lot_until(first_day_without)], NOW, SAO_PAULO)

    assert ending is not None
    assert ending.days == days


def test_thirty_one_days_are_not_soon() -> None:
    assert ending_soon([lot_until("2026-12-28")], NOW, SAO_PAULO) is None
    assert ending_soon([], NOW, SAO_PAULO) is None


def test_days_are_those_of_the_account() -> None:
    # 22:30 in São Paulo is the next day in Tokyo: there, the same lot's last day is today.
    lot = a_lot(expires_at=day_start(NOW.date(), "Asia/Tokyo").replace(day=27))

    in_tokyo = ending_soon([lot], NOW, "Asia/Tokyo")

    assert in_tokyo is not None
    assert in_tokyo.days == 1


def test_many_lots_have_one_warning() -> None:
    days = ["2026-12-10", "2026-12-10", "2026-12-11", "2026-12-12", "2026-12-13", "2026-12-14", "2027-06-01"]
    account = an_account(*(lot_until(day, 10, number=number) for number, day in enumerate(days, start=2)), at=NOW)

    ending = ending_soon(account.lots, NOW, SAO_PAULO)

    assert ending is not None
    assert [credits for _, credits in ending.ends] == [20, 10, 10]
    assert [end for end, _ in ending.ends] == [civil(f"2026-12-{day} 00:00") for day in (10, 11, 12)]
    assert ending.more == 20
