"""Civil time: when a lot expires and when a quota renews. Instants are aware UTC datetimes; zones are IANA names."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down: the resolution of the ledger."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def instant(since_epoch_milliseconds: int) -> datetime:
    """The UTC datetime that is this many milliseconds after 1970-01-01."""
    return EPOCH + timedelta(milliseconds=since_epoch_milliseconds)


def floor_to_millisecond(at: datetime) -> datetime:
    """The instant rounded to the ledger's resolution. Rounds down, so that rounding never extends a lot's validity."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def rfc3339(at: datetime) -> str:
    """The instant in RFC 3339: 2027-06-17T03:00:00.000Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA region zone or UTC, spelled as in the tzdata package.

    The host's own files don't count: a host may have zones such as right/UTC, localtime or other spellings, and the
    next host may lack them.
    """
    return ("/" in name or name == "UTC") and name in _zone_names()


def end_of_validity(start: datetime, months: int, zone: str) -> datetime:
    """The instant, exclusive, at which credits granted at `start` for `months` civil months end (rule 1).

    Credits are valid to the end of the same civil day `months` later, clamped to the month's last day:
    2026-06-16 10:00 in Sao Paulo for 12 months -> 2027-06-17 00:00 there; 29 Feb -> 28 Feb.
    """
    local = start.astimezone(_zone(zone)).date()
    last_day = _clamped(local.year, local.month + months, local.day)
    return day_start(last_day + timedelta(days=1), zone)


def next_renewal(now: datetime, anchor_day: int, zone: str) -> datetime:
    """The first instant after `now` at which a quota anchored on `anchor_day` (1-31) renews (rule 7).

    Always computed from the stored anchor, so an anchor of 31 is the 28th in February and the 31st again in March.
    """
    local = now.astimezone(_zone(zone)).date()
    # Three candidates suffice: this month's anchor may be past, and a change of the zone's offset may put the next
    # one at or before `now`.
    for months_ahead in range(3):
        renewal = day_start(_clamped(local.year, local.month + months_ahead, anchor_day), zone)
        if renewal > now:
            return renewal
    raise AssertionError("two months ahead is always later than now")


def same_months_renewal(renewal: datetime, old_zone: str, anchor_day: int, zone: str) -> datetime:
    """The renewal that replaces `renewal` when the anchor or zone changes: the one in the same civil month.

    It may already be past. Each month has exactly one renewal, however often the terms change.
    """
    local = renewal.astimezone(_zone(old_zone)).date()
    return day_start(_clamped(local.year, local.month, anchor_day), zone)


def day_start(day: date, zone: str) -> datetime:
    """The first instant of a civil day, in UTC. Where the zone skips midnight, it is the instant the clocks jump."""
    return datetime.combine(day, time.min, tzinfo=_zone(zone)).astimezone(UTC)


def month_of(at: datetime, zone: str) -> date:
    """The first day of the civil month of an instant."""
    return civil(at, zone).date().replace(day=1)


def months_later(month: date, months: int) -> date:
    """The first day of the month that is `months` after `month`, or before it when negative."""
    return _clamped(month.year, month.month + months, 1)


def earliest_month_start(month: date) -> datetime:
    """The instant at which a month begins in the first zone of the world: none is more than 14 hours ahead of UTC."""
    return datetime.combine(month, time.min, tzinfo=UTC) - timedelta(hours=14)


def civil(at: datetime, zone: str) -> datetime:
    """The instant as the clocks of the zone show it."""
    return at.astimezone(_zone(zone))


def last_usable_day(expires_at: datetime, zone: str) -> date:
    """The last civil day of a lot that ends at this exclusive instant: what people are shown (rule 1)."""
    return civil(expires_at - timedelta(milliseconds=1), zone).date()


def _clamped(year: int, month: int, day: int) -> date:
    """The `day` of that month, or its last day; `month` may run past 12 into later years."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, min(day, monthrange(year, month)[1]))


@cache
def _zone_names() -> frozenset[str]:
    from importlib.resources import files  # noqa: PLC0415 - only changes of an account need it

    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
