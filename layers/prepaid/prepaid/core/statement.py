"""Monthly statements: an account's entries, summed up by civil month. closing - opening is the sum of all movements.

Each month begins at the instant at which the one before it ends. A month ends at 00:00 of the next month's first day,
in the account's time zone. The zone that counts is the one that the account had when that day first began somewhere on
Earth, so a change of the zone neither repeats nor skips an entry.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta

from prepaid.core.account import Account
from prepaid.core.calendar import day_start, earliest_month_start, month_of, months_later
from prepaid.core.entry import Entry

# Clocks differ, and a request that began before the month's end may be written after it.
CLOSES_AFTER = timedelta(minutes=15)

# The statement's line for an entry's credits, by entry type. A refund or dispute with positive credits, because it
# failed or was won, goes to `returned` instead.
LINES: Mapping[str, str | None] = {
    "purchase": "purchased",
    "grant": "promotional",
    "adjustment": "adjusted",
    "void": "voided",
    "consumption": "spent",
    "reversal": "reversed",
    "hold": "held",
    "capture": "held",
    "release": "held",
    "expiry": "expired",
    "refund": "taken_back",
    "dispute": "taken_back",
    "quota_renewal": None,
    "plan_change": None,
    "erasure": None,
}
# The types whose credits pay a debt first.
PAYING = ("purchase", "grant", "adjustment", "reversal", "capture", "release")


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """Signed credits by what moved them. Their sum is closing - opening.

    purchased, promotional, adjusted: as granted. debt_settled: how much of the incoming credits paid a debt (rule 13).
    taken_back: by refunds and disputes. returned: when a refund failed or a dispute was won.
    reversed: what reversals returned. held: what new holds reserved, less what ended holds freed.
    """

    purchased: int = 0
    promotional: int = 0
    adjusted: int = 0
    returned: int = 0
    debt_settled: int = 0
    spent: int = 0
    reversed: int = 0
    held: int = 0
    expired: int = 0
    taken_back: int = 0
    voided: int = 0

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """A feature's use: `units` in total, and what paid for them: units of the quota, and credits.

    Reversals are subtracted, so a month with more reversals than use has negative figures.
    """

    feature: str
    units: int
    quota_units: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One civil month of an account.

    month: its first day. zone: the time zone in which it ends. entries: how many entries it has. last_entry: the number
    of the newest entry before its end. opening, closing, owed_opening, owed_closing: credits before and after the
    month. uses: one per feature, in order of their ids.
    """

    month: date
    zone: str
    starts_at: datetime
    ends_at: datetime
    entries: int
    last_entry: int
    opening: int
    moved: Movements
    closing: int
    owed_opening: int
    owed_closing: int
    uses: tuple[FeatureUse, ...]

    @property
    def quota_units(self) -> int:
        return sum(use.quota_units for use in self.uses)


def opening_month(first: Entry) -> date:
    """The month in which an account was opened, from its first entry."""
    return month_of(first.at, first.after.terms.time_zone)


def month_start(month: date, before: Entry | None, first: Entry) -> datetime:
    """The instant at which a month begins.

    before: the account's newest entry before `earliest_month_start(month)`, if any. first: its first entry.
    """
    return day_start(month, (before or first).after.terms.time_zone)


def is_closed(statement: Statement, now: datetime) -> bool:
    """Whether no entry can be added to the month any more."""
    return now >= statement.ends_at + CLOSES_AFTER


def statements_of(
    first: date, last: date, starts_at: datetime, before: Account | None, entries: Iterable[Entry]
) -> Iterator[Statement]:
    """The statements of the months `first` to `last`, in order; none before the account was opened.

    starts_at: when `first` begins. before: the account at that time, None if it was opened later. entries: those at or
    after `starts_at`, oldest first; read only as far as needed.
    """
    remaining = iter(entries)
    entry = next(remaining, None)
    month = first
    while month <= last:
        zone = before.terms.time_zone if before else entry.after.terms.time_zone if entry else None
        if zone is None:
            return
        sums, opening, following = _Sums(), before, months_later(month, 1)
        zone_decided_at = earliest_month_start(following)
        while entry and (entry.at < zone_decided_at or entry.at < day_start(following, zone)):
            if entry.at < zone_decided_at:
                zone = entry.after.terms.time_zone
            sums.add(entry)
            before, entry = entry.after, next(remaining, None)
        ends_at = day_start(following, zone)
        if before:
            yield _statement(month, zone, (starts_at, ends_at), (opening, before), sums)
        month, starts_at = following, ends_at


@dataclass(slots=True)
class _Sums:
    """What the entries of a month add up to so far."""

    entries: int = 0
    moved: dict[str, int] = field(default_factory=dict)
    uses: dict[str, FeatureUse] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        self.entries += 1
        for line, credits in moves_of(entry):
            self.moved[line] = self.moved.get(line, 0) + credits
        if entry.feature is not None and entry.units:
            self.uses[entry.feature] = with_use(self.uses.get(entry.feature), entry)


def moves_of(entry: Entry) -> Iterator[tuple[str, int]]:
    """The lines of Movements that an entry changes, each with its signed credits. Their sum is the entry's credits."""
    line, credits = LINES[entry.type], entry.credits
    if line == "taken_back" and credits > 0:
        line = "returned"
    if entry.type in PAYING:
        # The debt is paid from the incoming credits: the statement shows them in full, and the payment on its own line.
        credits -= entry.owed
        yield "debt_settled", entry.owed
    if entry.type in ("capture", "release"):
        expired = sum(draw.credits for draw in entry.expired)
        yield "expired", -expired
        credits += expired
    if entry.type == "capture":
        yield "spent", -entry.spent
        credits += entry.spent
    if line:
        yield line, credits


def with_use(use: FeatureUse | None, entry: Entry) -> FeatureUse:
    """The use of the entry's feature with the entry's own; None: no use so far."""
    assert entry.feature is not None
    units, quota_units, credits = (use.units, use.quota_units, use.credits) if use else (0, 0, 0)
    return FeatureUse(
        feature=entry.feature,
        units=units + entry.units,
        quota_units=quota_units + entry.quota_units,
        credits=credits + entry.spent,
    )


def _statement(
    month: date,
    zone: str,
    bounds: tuple[datetime, datetime],
    accounts: tuple[Account | None, Account],
    sums: _Sums,
) -> Statement:
    opening, closing = accounts
    return Statement(
        month=month,
        zone=zone,
        starts_at=bounds[0],
        ends_at=bounds[1],
        entries=sums.entries,
        last_entry=closing.number,
        opening=opening.available if opening else 0,
        moved=Movements(**sums.moved),
        closing=closing.available,
        owed_opening=opening.owed if opening else 0,
        owed_closing=closing.owed,
        uses=tuple(sums.uses[feature] for feature in sorted(sums.uses)),
    )
