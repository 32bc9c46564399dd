"""An account's whole history against the oracle: time jumps, lots end together, prices change, clocks go back."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from types import UnionType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prepaid.core.account import Account, LotKind, Terms, draw_order, quotas_remaining
from prepaid.core.calendar import milliseconds
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry, LotDraw, QuotaDraw
from prepaid.core.errors import (
    AccountClosed,
    AccountFrozen,
    ExceedsRemaining,
    FeatureRetired,
    InsufficientCredits,
    InvalidRequest,
    PurchaseNotVoidable,
    Refused,
)
from prepaid.core.events import Event, events_of
from prepaid.core.ledger import (
    SERVICE,
    ChangeTerms,
    Debit,
    Grant,
    Quote,
    Settle,
    Void,
    apply,
    open_account,
    quote,
    settle,
)
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_from_item, entry_to_item
from tests.oracle.effects import Refusal
from tests.oracle.ledger import Ledger
from tests.oracle.rules import SETTLING, next_entry, refusal
from tests.support import strategies
from tests.support.as_stored import Requested, catalog_version, facts_of, request_of, state_of
from tests.support.charges import credits_of
from tests.support.strategies import START

MILLISECOND = timedelta(milliseconds=1)
SALT = bytes(range(SALT_BYTES))
# Entries whose draws return something.
BACK = ("release", "capture", "reversal")


class AccountOverTime(RuleBasedStateMachine):
    """The core writes a ledger and the oracle computes each entry of it: they must be equal."""

    entries: list[Entry]
    catalog: Catalog
    catalogs: dict[int, Catalog]
    ledger: Ledger
    now: datetime

    @initialize(terms=strategies.terms, catalog=strategies.catalogs())
    def open(self, terms: Terms, catalog: Catalog) -> None:
        self.now, self.catalog, self.catalogs = START, catalog, {catalog.version: catalog}
        self.entries, self.ledger = [], Ledger("petshop-1")
        opened = open_account("petshop-1", terms, actor="administrator", catalog=catalog, now=START)
        self.accept((opened,), ChangeTerms(actor="administrator", terms=terms))

    # Time

    @rule(step=st.sampled_from([MILLISECOND, timedelta(hours=1), *(timedelta(days=days) for days in (1, 7, 31, 200))]))
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @precondition(lambda self: self.account.lots)
    @rule(data=st.data(), offset=st.sampled_from([-1, 0, 0, 1]))
    def it_becomes_a_lots_last_instant(self, data: st.DataObject, offset: int) -> None:
        lot = data.draw(st.sampled_from(self.account.lots))
        self.now = max(self.now, lot.expires_at + offset * MILLISECOND)

    @rule(offset=st.sampled_from([-1, 0, 0, 1]))
    def it_becomes_the_renewal(self, offset: int) -> None:
        self.now = max(self.now, self.account.quota_renews_at + offset * MILLISECOND)

    @rule(minutes=st.sampled_from([5, 60 * 24 * 40]))
    def the_clock_goes_back(self, minutes: int) -> None:
        self.now -= timedelta(minutes=minutes)

    # Operations

    @rule(kind=strategies.lot_kinds, credits=st.integers(1, 12), months=st.sampled_from([0, 1, 1, 2, 12]))
    def grant_for_months(self, kind: LotKind, credits: int, months: int) -> None:
        self.carry_out(Grant(actor="a", kind=kind, credits=credits, validity=months))

    @precondition(lambda self: self.account.lots)
    @rule(data=st.data(), kind=strategies.lot_kinds, credits=st.integers(1, 12))
    def grant_to_end_with_another_lot(self, data: st.DataObject, kind: LotKind, credits: int) -> None:
        end = data.draw(st.sampled_from(self.account.lots)).expires_at
        self.grant_to(end, kind, credits)

    @rule(kind=strategies.lot_kinds, credits=st.integers(1, 12), milliseconds=st.sampled_from([-1, 0, 1, 1000]))
    def grant_for_a_moment(self, kind: LotKind, credits: int, milliseconds: int) -> None:
        self.grant_to(self.ledger_now + milliseconds * MILLISECOND, kind, credits)

    def grant_to(self, end: datetime, kind: LotKind, credits: int) -> None:
        grant = Grant(actor="a", kind=kind, credits=credits, validity=end)
        if self.expected_refusal(grant):
            self.refused(grant, InvalidRequest)
            return
        self.carry_out(grant)

    @precondition(lambda self: self.ledger.kinds)
    @rule(data=st.data(), credits=st.sampled_from([None, None, 1, 1, 2, 5, 13]))
    def void(self, data: st.DataObject, credits: int | None) -> None:
        """Of any lot that ever existed, with or without remaining credits."""
        lot = data.draw(st.sampled_from(sorted(self.ledger.kinds)))
        void = Void(actor="a", lot=lot, credits=credits, description="a mistake")
        expected = self.expected_refusal(void)
        if expected is None:
            self.carry_out(void)
            event("void of part" if credits else "void of all that remains")
            return
        event(f"void refused: {expected.code}")
        refused = self.refused(void, Refused)
        if isinstance(refused, PurchaseNotVoidable):
            assert expected.code == "purchase_not_voidable"
        else:
            # The account has current lots only. The entry of an earlier lot states whether it was bought.
            assert isinstance(refused, ExceedsRemaining)
            assert refused.remaining == expected.facts.get("remaining", 0)

    @rule(feature=strategies.features, quantity=st.integers(1, 6))
    def debit(self, feature: str, quantity: int) -> None:
        debit = Debit(actor="service", feature=feature, quantity=quantity)
        expected = self.expected_refusal(debit)
        if expected and expected.code.startswith("account_"):
            event("debit of an account that isn't active refused")
            assert self.refused(debit, AccountFrozen | AccountClosed).code == expected.code
            with pytest.raises((AccountFrozen, AccountClosed)):
                self.quoted(debit)
            return
        if expected and expected.code == "feature_retired":
            event("debit of a retired feature refused")
            self.refused(debit, FeatureRetired)
            with pytest.raises(FeatureRetired):
                self.quoted(debit)
            return
        quoted = self.quoted(debit)
        if expected:
            event("debit refused")
            refused = self.refused(debit, InsufficientCredits)
            assert facts_of(refused) == expected.facts
            assert quoted.refusal is not None
            assert facts_of(quoted.refusal) == expected.facts
            assert (quoted.credits, quoted.quota) == (expected.facts["needed"], expected.facts["quota_remaining"])
            assert quoted.draws == ()
            return
        entry = self.carry_out(debit)[-1]
        assert quoted == Quote(credits=-entry.credits, quota=-entry.quota, draws=entry.draws)
        event(f"debit paid by {entry.source}")

    def quoted(self, debit: Debit) -> Quote:
        """Rule 17: the quote of a debit, which the debit must then confirm."""
        return quote(self.account, debit, catalog=self.catalog, now=self.now)

    @rule(feature=strategies.features)
    def debit_all_there_is_and_one_more(self, feature: str) -> None:
        price = catalog_version(self.catalog).prices[feature]
        state = self.ledger.state.at(milliseconds(self.ledger_now))
        left = state.left_for(feature, catalog_version(self.catalog))
        left += state.available // price if price else 0
        self.debit(feature, left + 1)
        if left:
            self.debit(feature, left)

    @rule(terms=strategies.terms, field=st.sampled_from(Terms.__slots__))
    def change_terms(self, terms: Terms, field: str) -> None:
        old = self.account.terms
        new = Terms(**{name: getattr(terms if name == field else old, name) for name in Terms.__slots__})
        if self.expected_refusal(ChangeTerms(actor="a", terms=new)):
            event("change to a retired plan refused")
            self.refused(ChangeTerms(actor="a", terms=new), InvalidRequest)
            return
        before = len(self.entries)
        self.carry_out(ChangeTerms(actor="a", terms=new))
        changes = [entry for entry in self.entries[before:] if entry.type == "plan_change"]
        assert len(changes) == (new != old)

    @rule()
    def sweep(self) -> None:
        self.carry_out(Settle())
        assert self.carry_out(Settle()) == ()

    @rule(data=st.data())
    def change_the_catalog(self, data: st.DataObject) -> None:
        self.catalog = data.draw(strategies.catalogs(version=self.catalog.version + 1))
        self.catalogs[self.catalog.version] = self.catalog

    # Invariants

    @invariant()
    def the_account_as_read_is_what_the_oracle_says(self) -> None:
        seen, _ = settle(self.account, catalog=self.catalog, now=self.now)
        now = self.ledger_now

        expected = self.ledger.state.at(milliseconds(now))
        assert state_of(seen) == expected
        assert seen.available == expected.available
        assert quotas_remaining(seen, self.catalog) == expected.left(catalog_version(self.catalog))
        assert list(seen.lots) == sorted(seen.lots, key=draw_order)
        assert all(0 < lot.remaining <= lot.granted and now < lot.expires_at for lot in seen.lots)

    @invariant()
    def reading_early_changes_nothing_later(self) -> None:
        for days in (0, 1, 30, 400):
            later = self.ledger_now + timedelta(days=days)
            halfway, _ = settle(self.account, catalog=self.catalog, now=self.now)
            by_stages, _ = settle(halfway, catalog=self.catalog, now=later)
            at_once, _ = settle(self.account, catalog=self.catalog, now=later)
            assert value(by_stages) == value(at_once)
            assert settle(at_once, catalog=self.catalog, now=later) == (at_once, ())

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return  # the example ended before the account was opened
        self.carry_out(Settle())
        note(f"{len(self.entries)} entries")
        event(f"ledger of {len(self.entries) // 10 * 10}+ entries")
        check_ledger(self.entries, self.catalogs)
        check_lots(self.entries)
        check_alerts(self.entries, self.catalogs)

    # Shared by the rules

    @property
    def account(self) -> Account:
        return self.entries[-1].after

    @property
    def ledger_now(self) -> datetime:
        return max(self.now, self.account.at)

    def carry_out(self, operation: Requested) -> tuple[Entry, ...]:
        """Apply the operation, and compare the entries with what a reader at that instant would have seen."""
        now = self.ledger_now
        seen, settled = settle(self.account, catalog=self.catalog, now=self.now)
        entries = apply(self.account, operation, catalog=self.catalog, now=self.now)
        assert entries[: len(settled)] == settled
        assert len(entries) <= len(settled) + 1
        assert all(entry.at == now and entry.catalog_version == self.catalog.version for entry in entries)
        self.accept(entries, operation)
        if isinstance(operation, Settle):
            read_after, _ = settle(self.account, catalog=self.catalog, now=now)
            assert value(read_after) == value(seen)
        return entries

    def accept(self, entries: tuple[Entry, ...], operation: Requested) -> None:
        """Compare each entry, as it is stored, with the oracle's; then nothing may be left to write."""
        request, catalog = request_of(operation), catalog_version(self.catalog)
        for entry in entries:
            item = entry_to_item(entry, self.ledger.hash, SALT)
            self.ledger.accept(item, request, milliseconds(self.now), {catalog.version: catalog})
        self.entries += entries
        if not isinstance(operation, ChangeTerms | Settle):
            assert entries[-1].type not in SETTLING or entries[-1].actor != SERVICE
        else:
            left = next_entry(self.ledger, request, milliseconds(self.ledger_now), catalog)
            # A new anchor day may move the month's renewal into the past: the next operation records it.
            moved = bool(entries) and entries[-1].type == "plan_change"
            renewal = not isinstance(left, Refusal | None) and left.line["type"] == "quota_renewal"
            assert left is None or (moved and renewal)

    def expected_refusal(self, operation: Requested) -> Refusal | None:
        at, catalog = milliseconds(self.ledger_now), catalog_version(self.catalog)
        return refusal(self.ledger, self.ledger.state, request_of(operation), at, catalog)

    def refused(self, operation: Requested, how: type[Refused] | UnionType) -> Refused:
        """Try what must be refused, twice, because a refusal has no effect."""
        refusals: list[Refused] = []
        for _ in range(2):
            try:
                apply(self.account, operation, catalog=self.catalog, now=self.now)
            except Refused as refusal:
                refusals.append(refusal)
        assert all(isinstance(refusal, how) for refusal in refusals)
        assert len(refusals) == 2
        assert vars(refusals[0]) == vars(refusals[1])
        return refusals[0]


def value(account: Account) -> tuple[object, ...]:
    """The account without its number of entries."""
    return account.lots, account.quotas_used, account.quota_renews_at, account.terms


def granted_lot(entry: Entry) -> str:
    """The id of the lot that an entry granted, which is as the entry says and as the account then holds it."""
    assert entry.lot in entry.after.lots
    assert entry.lot.number == entry.number
    return entry.lot.id


def check_ledger(entries: list[Entry], catalogs: dict[int, Catalog]) -> None:
    """Numbers without gaps, times that don't decrease, and a state that is the sum of all entries."""
    lots: dict[str, int] = {}
    used: Counter[str] = Counter()
    assert entries[0].number == 1
    for entry in entries:
        # What a capture spends had left the account before.
        moved = entry.returned if entry.type == "capture" else entry.draws
        drawn_credits = {draw.lot: draw.credits for draw in moved if isinstance(draw, LotDraw)}
        if entry.type in ("purchase", "grant", "adjustment"):
            lots[granted_lot(entry)] = entry.credits
        for lot, credits in drawn_credits.items():
            lots[lot] = lots.get(lot, 0) - credits
            assert credits < 0 if entry.type in BACK else credits > 0
            assert lots[lot] >= 0
        used.update({draw.feature: draw.units for draw in moved if isinstance(draw, QuotaDraw)})
        if entry.type == "quota_renewal":
            used.clear()

        assert {lot.id: lot.remaining for lot in entry.after.lots} == {id_: n for id_, n in lots.items() if n}
        assert entry.after.quotas_used == +used
        granted = entry.lot is not None and entry.type != "reversal"
        assert entry.credits == (lots[granted_lot(entry)] if granted else -sum(drawn_credits.values()))
        assert entry.quota_remaining >= 0
        assert all(draw.expires_at > moved_at(entry, entries) for draw in drawn_from_living_lots(entry))
        if entry.type == "void":
            assert (entry.owed, entry.after.owed, len(entry.draws)) == (0, 0, 1)
        if entry.type == "expiry":
            assert all(draw.expires_at <= entry.at for draw in entry.draws if isinstance(draw, LotDraw))
        assert all(draw.credits > 0 and draw.expires_at <= entry.at for draw in entry.expired)
        assert entry_from_item(entry_to_item(entry, GENESIS_HASH, SALT)) == entry

    for before, after in pairwise(entries):
        assert after.number == before.number + 1
        assert after.at >= before.at
        assert before.after.available + after.credits == after.after.available
        # A new catalog version changes the quota without an entry.
        if before.catalog_version == after.catalog_version:
            catalog = catalogs[after.catalog_version]
            left, then = quotas_remaining(before.after, catalog), quotas_remaining(after.after, catalog)
            assert Counter(left) + Counter(after.quotas) == Counter(then)
            assert sum(after.quotas.values()) == after.quota
        check_period(before.after, after)


def drawn_from_living_lots(entry: Entry) -> list[LotDraw]:
    """The draws whose lot must not have ended. A capture spends what its hold drew, whatever ended since."""
    if entry.type not in ("consumption", "hold", *BACK):
        return []
    draws = entry.returned if entry.type == "capture" else entry.draws
    return [draw for draw in draws if isinstance(draw, LotDraw)]


def moved_at(entry: Entry, entries: list[Entry]) -> datetime:
    """When credits moved. A lapse is recorded late: its credits returned when the last of its holds lapsed."""
    if entry.type == "release" and entry.actor == SERVICE:
        return max(lapses_at for number in entry.holds if (lapses_at := entries[number - 1].lapses_at))
    return entry.at


def check_period(before: Account, entry: Entry) -> None:
    """The quota renews at the end of a period, never before it, and once."""
    ends = entry.after.quota_renews_at
    if entry.type == "quota_renewal":
        assert before.quota_renews_at <= entry.at < ends
        assert month_of(before) < month_of(entry.after)
    elif entry.type == "expiry" or (entry.type == "release" and entry.actor == SERVICE):
        assert ends == before.quota_renews_at
    elif before.quota_renews_at <= entry.at:
        # Nothing was used in the period that ended, so it ended without a line.
        assert before.quotas_used == {}
        assert entry.at < ends or entry.type == "plan_change"
    elif entry.type != "plan_change":
        assert ends == before.quota_renews_at


def month_of(account: Account) -> tuple[int, int]:
    """The civil month in which the account's period ends."""
    ends = account.quota_renews_at.astimezone(ZoneInfo(account.terms.time_zone))
    return ends.year, ends.month


def check_lots(entries: list[Entry]) -> None:
    """Per lot: granted = remaining + held + spent + expired + voided, and at most one expiry."""
    granted = Counter({granted_lot(entry): entry.lot.remaining for entry in entries if entry.lot})
    gone: Counter[str] = Counter()
    for entry in entries:
        own = entry.lot.id if entry.lot else None
        if entry.type in ("consumption", "capture", "reversal", "expiry", "void"):
            gone.update(credits_of(draw for draw in entry.draws if not isinstance(draw, LotDraw) or draw.lot != own))
        gone.update(credits_of(entry.expired))
    account = entries[-1].after
    left = Counter({lot.id: lot.remaining for lot in account.lots})
    for hold in account.holds:
        left.update({lot.id: lot.remaining for lot in hold.charge.lots})
    expired = [draw for entry in entries if entry.type == "expiry" for draw in entry.draws]

    assert len(expired) == len({draw.lot for draw in expired if isinstance(draw, LotDraw)})
    assert granted == +(left + gone)
    assert all(credits >= 0 for credits in gone.values())


def check_alerts(entries: list[Entry], catalogs: dict[int, Catalog]) -> None:
    """Each alert of credits states what is true, and comes back only after credits did; no crossing goes unreported."""
    armed = {"credits_low": False, "credits_exhausted": False}
    ids: list[str] = []
    for before, entry in zip([None, *(entry.after for entry in entries)], entries, strict=False):
        events = events_of(before, entry, catalogs[entry.catalog_version])
        ids += [event.id for event in events]
        assert [event.data["entry"] for event in events] == [entry.number] * len(events)
        for alert, level in (("credits_low", entry.after.terms.low_credit_threshold), ("credits_exhausted", 0)):
            raised = alert in alerts_in(events)
            below = entry.after.available <= level
            assert not raised or (below and armed[alert])
            # An entry that changes terms moves no credits, so only it may take the account below its level unreported.
            assert raised or not (below and armed[alert]) or entry.type == "plan_change"
            armed[alert] = not below
        assert ("credits_owed" in alerts_in(events)) == (entry.owed > 0)
        assert alerts_in(events).count("purchase_granted") == (entry.type == "purchase")
        # A smaller plan can use up a quota that it has, too.
        of_quotas = [alert for alert in alerts_in(events) if alert.startswith("quota_")]
        assert of_quotas == [] or entry.quota < 0 or entry.type == "plan_change"
    assert len(ids) == len(set(ids))


def alerts_in(events: tuple[Event, ...]) -> list[str]:
    return [event.type.removeprefix("prepaid.alert.") for event in events[1:]]
