"""The parts of a year's use: which features and sources have one, and in which order."""

from datetime import date

from prepaid.core.calendar import months_later
from prepaid.core.statement import FeatureUse
from prepaid.core.usage import MonthOfUse
from prepaid.portal.charts import MAX_PARTS
from prepaid.portal.year import Part, columns_of, parts_of

MAY = date(2026, 5, 1)


def a_use(feature: str, units: int, *, quota: int = 0, credits: int | None = None) -> FeatureUse:
    return FeatureUse(
        feature=feature, units=units, quota_units=quota, credits=units - quota if credits is None else credits
    )


def months(*uses: tuple[FeatureUse, ...]) -> list[MonthOfUse]:
    return [MonthOfUse(month=months_later(MAY, place), uses=used, closing=0) for place, used in enumerate(uses)]


def test_each_feature_has_a_part_for_each_source() -> None:
    year = months((a_use("ai", 10, quota=8), a_use("sticker", 30)), (a_use("ai", 4, quota=4), a_use("sticker", 0)))

    parts = parts_of(year)

    assert parts == (
        Part(feature="sticker", paid_by="credits", units=(30, 0)),
        Part(feature="ai", paid_by="quota", units=(8, 4)),
        Part(feature="ai", paid_by="credits", units=(2, 0)),
    )
    assert columns_of(year, parts) == ((30, 8, 2), (0, 4, 0))


def test_units_count_whatever_a_unit_costs() -> None:
    [part] = parts_of(months((a_use("video", 3, credits=15),)))

    assert part.units == (3,)


def test_a_free_feature_was_not_paid_with_credits() -> None:
    [part] = parts_of(months((a_use("preview", 7, credits=0),)))

    assert (part.paid_by, part.units) == ("free", (7,))


def test_the_smallest_parts_become_one() -> None:
    year = months(tuple(a_use(f"feature-{size:02}", size) for size in range(1, 51)))

    parts = parts_of(year)

    assert [part.feature for part in parts] == [*(f"feature-{size}" for size in (50, 49, 48, 47, 46)), None]
    assert parts[-1].units == (sum(range(1, 46)),)
    assert len(parts) == MAX_PARTS


def test_as_many_parts_as_there_are_patterns_stay_apart() -> None:
    parts = parts_of(months(tuple(a_use(f"feature-{size}", size) for size in range(1, MAX_PARTS + 1))))

    assert None not in [part.feature for part in parts]
    assert len(parts) == MAX_PARTS


def test_a_year_without_use_has_no_parts() -> None:
    year = months((), ())

    assert parts_of(year) == ()
    assert columns_of(year, ()) == ((), ())


def test_reversals_of_earlier_uses_are_below_zero() -> None:
    year = months((a_use("sticker", 5),), (a_use("sticker", -2),))

    assert columns_of(year, parts_of(year)) == ((5,), (-2,))
