"""The service's responses. Each has the members that openapi.json describes; unknown members are ignored.

Times are aware datetimes in UTC, credits and units whole numbers, amounts in the currency's minor unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from prepaid_client.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAfter:
    """What the account can spend after an entry."""

    available: int
    quota_remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A part of a charge: `units` of a feature's quota, or `credits` of a lot. source: quota or lot."""

    source: str
    feature: str | None = None
    units: int | None = None
    lot: str | None = None
    credits: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """An answer to a request with an idempotency key.

    replayed: whether an earlier request with this key took effect; then this is that request's answer.
    """

    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption(Keyed):
    """A recorded consumption. quota: units that the plan's quota paid for. balance: after it."""

    id: str
    entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: tuple[Draw, ...]
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The results of a batch, in the order of its items: each item's consumption or its own refusal."""

    results: tuple[Consumption | Refused, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedHold(Keyed):
    """A hold. lapses_at: the first instant at which it can't be captured. balance: after it was placed."""

    id: str
    entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: tuple[Draw, ...]
    lapses_at: datetime
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldState(PlacedHold):
    """A hold and its current state. state: held, captured, released or lapsed. capture: the id of its capture."""

    state: str
    capture: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Keyed):
    """A recorded capture. returned: what the hold gave back. expired: unspent credits whose lot had expired."""

    id: str
    entry: int
    hold: str
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: tuple[Draw, ...]
    returned: tuple[Draw, ...]
    expired: tuple[Draw, ...]
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Keyed):
    """A recorded release. returned: what the hold gave back. expired: credits whose lot had expired."""

    id: str
    entry: int
    hold: str
    feature: str
    quantity: int
    returned: tuple[Draw, ...]
    expired: tuple[Draw, ...]
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal(Keyed):
    """A recorded reversal. owed: credits that paid a debt. lot: the new lot for credits whose own lot had expired."""

    id: str
    entry: int
    reversed_entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    owed: int
    draws: tuple[Draw, ...]
    lot: str | None
    reason: str
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credits that expire together."""

    lot: str
    kind: str
    granted: int
    remaining: int
    granted_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credits:
    """The account's credits. owed: a debt, which the next credits pay first."""

    available: int
    held: int
    owed: int
    next_expiry_at: datetime | None
    lots: tuple[Lot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The quota of a feature in the plan, in units."""

    feature: str
    limit: int
    used: int
    remaining: int
    renews_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBalance:
    """What the account can use of a feature. units_left: None for a free feature."""

    price: int
    can_use: bool
    units_left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An account's balance. entry: the number of its newest entry."""

    account: str
    status: str
    as_of: datetime
    entry: int
    credits: Credits
    quotas: tuple[Quota, ...]
    features: Mapping[str, FeatureBalance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a consumption would draw, or what is missing. It reserves nothing."""

    account: str
    as_of: datetime
    feature: str
    quantity: int
    affordable: bool
    credits: int
    quota: int
    draws: tuple[Draw, ...]
    missing: int
    suggested_pack: str | None = None
    renews_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange:
    """Units that an entry added to a feature's quota, or took from it."""

    feature: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of the history. source: what paid: quota, credits or both. actor: the client that made the request."""

    entry: int
    at: datetime
    type: str
    credits: int
    quota: int
    quotas: tuple[QuotaChange, ...]
    owed: int
    feature: str | None
    quantity: int | None
    description: str | None
    customer: str | None
    reference: str | None
    source: str | None
    balance_after: int
    quota_remaining: int
    draws: tuple[Draw, ...]
    holds: tuple[str, ...]
    returned: tuple[Draw, ...]
    expired: tuple[Draw, ...]
    reverses: int | None
    lot: str | None
    purchase: str | None
    actor: str
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Entries, newest first."""

    entries: tuple[Entry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementCredits:
    """A month's movements, signed: `closing` is `opening` plus all of them."""

    opening: int
    purchased: int
    promotional: int
    adjusted: int
    returned: int
    debt_settled: int
    spent: int
    reversed: int
    held: int
    expired: int
    taken_back: int
    voided: int
    closing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """A feature's units in a month, and what paid for them."""

    feature: str
    units: int
    quota_units: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """The debt at a month's beginning and end."""

    opening: int
    closing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The statement of a civil month. closed: whether it is final."""

    account: str
    month: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    closed: bool
    as_of: datetime
    entries: int
    credits: StatementCredits
    uses: tuple[FeatureUse, ...]
    owed: Owed


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Units of a feature. source: what paid for them: quota or credits."""

    feature: str
    source: str
    units: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The use of a civil day (2026-11-03) or month (2026-11)."""

    period: str
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The use in a span. next_from: where the next request continues; None if the span is complete."""

    account: str
    time_zone: str
    by: str
    totals: tuple[Use, ...]
    periods: tuple[Period, ...]
    next_from: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """An account's terms and profile. manager_code_set: only for administrators; None for others."""

    account: str
    name: str
    plan: str
    ai_enabled: bool
    quota_anchor_day: int
    time_zone: str
    language: str
    low_credit_threshold: int
    manager_contact: str | None
    currency: str | None
    status: str
    manager_code_set: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAccount:
    """An account in the list of all accounts."""

    account: str
    name: str
    plan: str
    status: str
    available: int
    held: int
    owed: int
    last_entry_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsPage:
    """A page of all accounts."""

    accounts: tuple[ListedAccount, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBalance:
    """The account after an event's entry."""

    available: int
    held: int
    owed: int
    quota_remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventData:
    """Numbers and ids of an event; None for members that it doesn't have. entry: None for an event without an entry."""

    account: str
    entry: int | None = None
    feature: str | None = None
    quantity: int | None = None
    credits: int | None = None
    quota: int | None = None
    owed: int | None = None
    source: str | None = None
    lot: str | None = None
    purchase: str | None = None
    holds: tuple[str, ...] = ()
    reverses: int | None = None
    balance: EventBalance | None = None
    days: int | None = None
    expires_at: datetime | None = None
    threshold: int | None = None
    limit: int | None = None
    used: int | None = None
    remaining: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEvent:
    """An event or alert of an account, as CloudEvents defines it. subject: the account."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    dataschema: str
    data: EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsPage:
    """A page of one account's events. next: the number of the entry after which the next page begins."""

    events: tuple[ListedEvent, ...]
    next: int

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page. Only an empty page is the last one."""
        return str(self.next) if self.events else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsFeed:
    """A page of all accounts' events. next: where the next page begins. more: whether that page has events already."""

    events: tuple[ListedEvent, ...]
    next: str
    more: bool

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; None if it has no events yet."""
        return self.next if self.more else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Keyed):
    """A recorded grant."""

    id: str
    entry: int
    kind: str
    credits: int
    lot: str
    reason: str
    expires_at: datetime
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Void(Keyed):
    """A recorded void. remaining: credits that remain of the grant."""

    id: str
    entry: int
    grant: str
    lot: str
    credits: int
    remaining: int
    reason: str
    balance: BalanceAfter
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure(Keyed):
    """A recorded erasure. entries: from how many entries it removed the texts."""

    id: str
    entry: int
    entries: int
    created_at: datetime
