"""Purchases that are paid, refunded and disputed while their credits move: no credit appears or disappears.

The payment's status changes at any time; the service reads it now and then, twice, or late. Every sum is computed from
the entries alone and compared with the account's own state.
"""

from collections import Counter
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prepaid.core.account import Account, Lot, LotKind, draw_order
from prepaid.core.calendar import milliseconds
from prepaid.core.entry import CHARGES, Entry, LotDraw
from prepaid.core.errors import InsufficientCredits
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ledger import (
    ChangeTerms,
    Debit,
    Erase,
    Grant,
    Operation,
    Restore,
    Revoke,
    Settle,
    Void,
    apply,
    open_account,
    settle,
)
from prepaid.core.purchase import PaymentStatus, Purchase, mismatches, next_step, with_result
from prepaid.core.reversing import Reverse
from prepaid.store.items import GENESIS_HASH, entry_from_item, entry_to_item
from tests.oracle import purchases, requests, rules
from tests.oracle.ledger import Ledger
from tests.support import strategies
from tests.support.as_stored import catalog_version, facts_of, money_back_of, request_of
from tests.support.charges import charge_of
from tests.support.core_builders import (
    CATALOG,
    a_debit,
    a_grant,
    a_payment_status,
    a_purchase,
    an_account,
    expired_in,
    followed,
    run,
    some_terms,
)
from tests.support.strategies import START

MOST_STEPS = 3
BACK = ("refund", "dispute")
GRANTS = ("purchase", "grant", "adjustment")
RETURNS = ("reversal", "release", "capture")


class PurchasesOverTime(RuleBasedStateMachine):
    """Two purchases of one account, their provider, and everything else that happens to an account."""

    @initialize(
        credits=st.sampled_from([1, 3, 10, 100]),
        amount=st.sampled_from([1, 7, 1000, 4990]),
        months=st.sampled_from([1, 12]),
    )
    def begin(self, credits: int, amount: int, months: int) -> None:
        self.now = START
        terms = some_terms()
        opened = open_account("petshop-1", terms, actor="administrator", catalog=CATALOG, now=START)
        self.ledger = Ledger("petshop-1")
        self.accept(opened, request_of(ChangeTerms(actor="administrator", terms=terms)))
        self.account = opened.after
        self.entries = [opened]
        self.purchases: dict[str, Purchase] = {}
        self.statuses: dict[str, PaymentStatus] = {}
        for name in ("a", "b"):
            purchase = a_purchase(id=f"pur_{name}", credits=credits, amount=amount, valid_months=months)
            self.purchases[name] = purchase
            self.statuses[name] = a_payment_status("awaiting_payment", purchase=purchase.id, amount=amount)

    # At Stripe; the service doesn't know of it yet.

    @rule(name=st.sampled_from("ab"))
    def money_comes(self, name: str) -> None:
        status = self.statuses[name]
        self.statuses[name] = replace(status, progress="paid", payment=f"pi_{name}")

    @rule(name=st.sampled_from("ab"), parts=st.integers(0, 7), all_of=st.sampled_from([5, 5, 7]))
    def refunds_now_come_to(self, name: str, parts: int, all_of: int) -> None:
        status = self.statuses[name]
        if status.progress == "paid":
            self.statuses[name] = replace(status, refunded=status.amount * parts // all_of)

    @rule(name=st.sampled_from("ab"), parts=st.sampled_from([0, 0, 1, 4, 4, 5]))
    def disputes_now_come_to(self, name: str, parts: int) -> None:
        status = self.statuses[name]
        if status.progress == "paid":
            self.statuses[name] = replace(status, disputed=status.amount * parts // 4)

    # In the service

    @rule(name=st.sampled_from("ab"))
    def we_sync(self, name: str) -> None:
        self.sync(name)
        taken = len(self.entries)
        self.sync(name)
        assert len(self.entries) == taken

    def sync(self, name: str) -> None:
        status = self.statuses[name]
        assert mismatches(self.purchases[name], status) == ()
        for _ in range(MOST_STEPS):
            before = self.purchases[name]
            expired = expired_in(before, [entry.after for entry in self.entries], self.now) + self.lost_by_holds(before)
            step = next_step(before, status, self.now, expired_unspent=expired)
            if step is None:
                return
            assert step.purchase.version == before.version + 1
            self.purchases[name] = step.purchase
            if step.operation is None:
                continue
            if isinstance(step.operation, Restore):
                event("restored")
            request: requests.Request
            if isinstance(step.operation, Grant):
                request = request_of(step.operation)
            else:
                request = money_back_of(step.operation, step.purchase.revoked)
                assert request.type == purchases.entry_type(asdict(before), asdict(step.purchase))
            entry = self.carry_out(step.operation, request)[-1]
            self.purchases[name] = after = with_result(step, entry)
            expected = self.ledger.purchased[after.id]
            assert (after.revoked, after.debt, after.expired_unspent) == (
                expected.revoked,
                expected.debt,
                expected.expired_unspent,
            )
            assert [lot.number for lot in after.lots] == expected.lots
            event(f"{entry.type}{' owed' if entry.owed > 0 else ''}{' in a new lot' if entry.lot else ''}")
            if entry.type in BACK:
                # Credits taken and credits owed follow from the money that went back, less those that had expired.
                assert entry.owed - entry.credits == (after.revoked - after.expired_unspent) - (
                    before.revoked - before.expired_unspent
                )
                event(f"expired {'found' if after.expired_unspent > before.expired_unspent else 'as before'}")
                if entry.owed > 0:
                    assert not any(lot.number in {left.number for left in after.lots} for lot in self.account.lots)
        raise AssertionError("never done")

    @rule(quantity=st.integers(1, 60))
    def spend(self, quantity: int) -> None:
        seen, _ = settle(self.account, catalog=CATALOG, now=self.now)
        quantity = min(quantity, seen.available)
        if quantity:
            self.carry_out(a_debit(quantity=quantity))

    @rule(quantity=st.integers(1, 60), ttl=st.sampled_from([900, 86_400]))
    def hold(self, quantity: int, ttl: int) -> None:
        seen, _ = settle(self.account, catalog=CATALOG, now=self.now)
        quantity = min(quantity, seen.available)
        if quantity:
            self.carry_out(PlaceHold(actor="service", feature="sticker", quantity=quantity, ttl_seconds=ttl))

    @precondition(lambda self: self.account.holds)
    @rule(data=st.data(), parts=st.sampled_from([0, 1, 2]))
    def capture_or_release(self, data: st.DataObject, parts: int) -> None:
        seen, _ = settle(self.account, catalog=CATALOG, now=self.now)
        if not seen.holds:
            return
        hold = data.draw(st.sampled_from(seen.holds))
        if parts == 0:
            entry = self.carry_out(Release(actor="service", hold=hold.number))[-1]
        else:
            quantity = hold.charge.quantity * parts // 2
            entry = self.carry_out(Capture(actor="service", hold=hold.number, quantity=quantity))[-1]
        event(f"{entry.type}{' settles a debt' if entry.owed else ''}{' of an ended lot' if entry.expired else ''}")

    @precondition(lambda self: any(entry.type in CHARGES for entry in self.entries))
    @rule(data=st.data(), parts=st.sampled_from([1, 2, 2]))
    def reverse(self, data: st.DataObject, parts: int) -> None:
        charged = data.draw(st.sampled_from([entry for entry in self.entries if entry.type in CHARGES]))
        reversed_ = sum(entry.quantity or 0 for entry in self.entries if entry.reverses == charged.number)
        left = (charged.quantity or 0) - reversed_
        if not left:
            return
        reversal = Reverse(
            actor="service",
            entry=charged.number,
            charge=charge_of(charged, self.entries),
            reversed=reversed_,
            quantity=max(1, left * parts // 2),
        )
        entry = self.carry_out(reversal)[-1]
        event(f"reversal{' settles a debt' if entry.owed else ''}{' to a lot of seven days' if entry.lot else ''}")

    @precondition(lambda self: self.account.owed)
    # With 50, the smallest pack that covers it covers no debt besides.
    @rule(more=st.sampled_from([1, 2, 50]))
    def spend_more_than_there_is(self, more: int) -> None:
        seen, _ = settle(self.account, catalog=CATALOG, now=self.now)
        debit = Debit(actor="service", feature="sticker", quantity=seen.available + more)
        with pytest.raises(InsufficientCredits) as refused:
            apply(self.account, debit, catalog=CATALOG, now=self.now)
        at, state = milliseconds(max(self.now, self.account.at)), self.ledger.state
        expected = rules.refusal(self.ledger, state, request_of(debit), at, catalog_version(CATALOG))
        assert expected
        assert facts_of(refused.value) == expected.facts

    @rule(kind=strategies.lot_kinds, credits=st.integers(1, 60), months=st.sampled_from([1, 12]))
    def grant(self, kind: LotKind, credits: int, months: int) -> None:
        owed = self.account.owed
        entry = self.carry_out(Grant(actor="a", kind=kind, credits=credits, validity=months))[-1]
        assert (entry.owed, entry.credits) == (-min(owed, credits), credits - min(owed, credits))

    @rule(data=st.data(), part=st.booleans())
    def void_a_grant(self, data: st.DataObject, part: bool) -> None:
        seen, _ = settle(self.account, catalog=CATALOG, now=self.now)
        granted = [lot for lot in seen.lots if lot.kind != "purchase"]
        if not granted:
            return
        lot, owed = data.draw(st.sampled_from(granted)), self.account.owed
        credits = (lot.remaining + 1) // 2 if part else None
        entry = self.carry_out(Void(actor="a", lot=lot.number, credits=credits))[-1]
        assert (entry.credits, entry.after.owed) == (-(credits or lot.remaining), owed)

    @rule(days=st.sampled_from([1, 7, 31, 370]))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @precondition(lambda self: self.account.lots)
    @rule(data=st.data(), milliseconds=st.sampled_from([-1, 0]))
    def it_becomes_a_lots_last_instant(self, data: st.DataObject, milliseconds: int) -> None:
        lot: Lot = data.draw(st.sampled_from(self.account.lots))
        self.now = max(self.now, lot.expires_at + timedelta(milliseconds=milliseconds))

    @rule()
    def sweep(self) -> None:
        self.carry_out(Settle())

    # Invariants

    @invariant()
    def each_purchase_took_what_its_record_says(self) -> None:
        for purchase in self.purchases.values():
            assert min(purchase.debt, purchase.expired_unspent) >= 0
            assert purchase.debt + purchase.expired_unspent <= purchase.revoked <= purchase.credits
            back = min(purchase.amount, purchase.refunded + purchase.disputed)
            assert purchase.revoked == purchase.credits * back // purchase.amount
            lines = [entry for entry in self.entries if entry.purchase == purchase.id]
            assert sum(entry.type == "purchase" for entry in lines) == purchase.granted
            moved = sum(entry.owed - entry.credits for entry in lines if entry.type in BACK)
            assert moved == purchase.revoked - purchase.expired_unspent

    @invariant()
    def only_what_was_spent_is_a_debt(self) -> None:
        for purchase in self.purchases.values():
            lots = {lot.id for lot in purchase.lots}
            spent = sum(
                draw.credits
                for entry in self.entries
                for draw in entry.draws
                if entry.type in ("consumption", "hold") and isinstance(draw, LotDraw) and draw.lot in lots
            )
            # Credits of the lot that settled other debts count as spent.
            settled = sum(lot.granted - lot.remaining for lot in purchase.lots)
            assert purchase.debt <= spent + settled

    @invariant()
    def what_expired_is_counted_at_most_once(self) -> None:
        for purchase in self.purchases.values():
            lots = {lot.id for lot in purchase.lots}
            expired = sum(
                draw.credits
                for entry in self.entries
                for draw in (*(entry.draws if entry.type == "expiry" else ()), *entry.expired)
                if isinstance(draw, LotDraw) and draw.lot in lots
            )
            assert purchase.expired_unspent <= expired

    @invariant()
    def no_credit_is_won_or_lost(self) -> None:
        granted = sum(entry.lot.granted for entry in self.entries if entry.type in GRANTS and entry.lot)
        spent = sum(entry.spent for entry in self.entries)
        expired = -sum(entry.credits for entry in self.entries if entry.type == "expiry")
        expired += sum(draw.credits for entry in self.entries for draw in entry.expired)
        voided = -sum(entry.credits for entry in self.entries if entry.type == "void")
        revoked = sum(purchase.revoked - purchase.expired_unspent for purchase in self.purchases.values())

        left = self.account.available + self.account.held - self.account.owed
        assert left == granted - spent - expired - voided - revoked
        assert self.account.available >= 0
        assert self.account.owed >= 0

    @invariant()
    def what_is_owed_is_debts_less_settlements(self) -> None:
        assert self.account.owed == sum(entry.owed for entry in self.entries)
        assert self.account.owed <= sum(purchase.debt for purchase in self.purchases.values())
        for entry in self.entries:
            assert entry.owed == 0 or entry.type in (*BACK, *GRANTS, *RETURNS)
            assert entry.owed <= 0 or entry.type in BACK

    @invariant()
    def each_lot_adds_up(self) -> None:
        lots: Counter[str] = Counter()
        for entry in self.entries:
            if entry.lot and entry.type in GRANTS:
                lots[entry.lot.id] = entry.lot.granted + entry.owed
            # What a capture spends had left the account before.
            moved = entry.returned if entry.type == "capture" else entry.draws
            lots.subtract({draw.lot: draw.credits for draw in moved if isinstance(draw, LotDraw)})
        assert {lot.id: lot.remaining for lot in self.account.lots} == dict(+lots)
        assert not -lots
        assert all(0 < lot.remaining <= lot.granted for lot in self.account.lots)
        assert list(self.account.lots) == sorted(self.account.lots, key=draw_order)

    def teardown(self) -> None:
        """Once nothing changes any more, one more sync brings each purchase to Stripe's state."""
        if not hasattr(self, "statuses"):
            return
        for name, status in self.statuses.items():
            self.sync(name)
            purchase = self.purchases[name]
            money = min(status.refunded, status.amount) + min(status.disputed, status.amount)
            assert purchase.revoked == purchase.credits * min(money, status.amount) // status.amount
            assert purchase.granted == (status.progress == "paid")
        self.no_credit_is_won_or_lost()
        self.each_lot_adds_up()

    # Shared by the rules

    def carry_out(self, operation: Operation, request: requests.Request | None = None) -> tuple[Entry, ...]:
        """request: the operation in the oracle's words, where a purchase's record has a part in it."""
        before = self.account
        entries = apply(before, operation, catalog=CATALOG, now=self.now)
        if request is None:
            assert not isinstance(operation, Revoke | Restore | Erase)
            request = request_of(operation)
        for entry in entries:
            assert before.available + entry.credits == entry.after.available
            assert before.owed + entry.owed == entry.after.owed
            assert entry.credits == (
                entry.lot.remaining
                if entry.lot and entry.type in GRANTS
                else -sum(
                    draw.credits
                    for draw in (entry.returned if entry.type == "capture" else entry.draws)
                    if isinstance(draw, LotDraw)
                )
            )
            assert entry_from_item(entry_to_item(entry, GENESIS_HASH)) == entry
            self.accept(entry, request)
            self.untouched_but_for(before, entry)
            before = entry.after
        self.entries += entries
        self.account = before
        assert all(entry.after.number + 1 == next_.after.number for entry, next_ in pairwise(self.entries))
        return entries

    def lost_by_holds(self, purchase: Purchase) -> int:
        """Credits of the purchase's lots that holds returned after their end, the lapses of now among them."""
        _, settling = settle(self.account, catalog=CATALOG, now=self.now)
        lots = {lot.id for lot in purchase.lots}
        entries = (*self.entries, *settling)
        return sum(draw.credits for entry in entries for draw in entry.expired if draw.lot in lots)

    def accept(self, entry: Entry, request: requests.Request) -> None:
        """Compare an entry, as it is stored, with the oracle's."""
        item = entry_to_item(entry, self.ledger.hash)
        self.ledger.accept(item, request, milliseconds(self.now), {CATALOG.version: catalog_version(CATALOG)})

    def untouched_but_for(self, before: Account, entry: Entry) -> None:
        """A refund or dispute changes its own purchase's lots only."""
        if entry.type in BACK:
            named = {draw.lot for draw in entry.draws if isinstance(draw, LotDraw)}
            own = {
                lot.id for purchase in self.purchases.values() if purchase.id == entry.purchase for lot in purchase.lots
            }
            assert named <= own | ({entry.lot.id} if entry.lot else set())
            assert {lot for lot in before.lots if lot.id not in named} == {
                lot for lot in entry.after.lots if lot.id not in named
            }


PurchasesOverTime.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40)
TestPurchasesOverTime = PurchasesOverTime.TestCase


# Only the last status counts

money = st.integers(0, 5500)
statuses = st.builds(lambda refunded, disputed: a_payment_status(refunded=refunded, disputed=disputed), money, money)


@given(
    spent=st.integers(0, 120),
    promotion=st.integers(0, 30),
    path=st.lists(statuses, max_size=6),
    last=statuses,
)
def test_without_spending_the_end_depends_on_the_last_status_only(
    spent: int, promotion: int, path: list[PaymentStatus], last: PaymentStatus
) -> None:
    account = an_account(number=1)
    if promotion:
        account, _ = run(account, a_grant(promotion, kind="promotion", validity=1))
    purchase, account, _ = followed(a_purchase("open"), account, a_payment_status("paid"))
    if spent:
        account, _ = run(account, a_debit(quantity=min(spent, account.available)))

    by_the_path = followed(purchase, account, *path, last)
    at_once = followed(purchase, account, last)

    assert worth(*by_the_path) == worth(*at_once)


@given(
    steps=st.lists(
        st.one_of(
            statuses,
            st.integers(1, 50).map(lambda quantity: a_debit(quantity=quantity)),
            st.integers(1, 50).map(a_grant),
        ),
        max_size=12,
    ),
    last=statuses,
)
def test_an_accounts_worth_depends_on_the_last_status_only(
    steps: list[PaymentStatus | Operation], last: PaymentStatus
) -> None:
    """Credits less debts: what was bought and given, less what was spent and what the money that is back justifies."""
    purchase, account, _ = followed(a_purchase("open"), an_account(number=1), a_payment_status("paid"))
    expected = 100
    for step in steps:
        if isinstance(step, PaymentStatus):
            purchase, account, _ = followed(purchase, account, step)
            continue
        try:
            account, _ = run(account, step)
        except InsufficientCredits:
            continue
        expected += step.credits if isinstance(step, Grant) else -step.quantity if isinstance(step, Debit) else 0
    purchase, account, _ = followed(purchase, account, last)

    back = min(4990, min(4990, last.refunded) + min(4990, last.disputed))
    assert account.available - account.owed == expected - 100 * back // 4990


def worth(purchase: Purchase, account: Account, _: tuple[Entry, ...]) -> tuple[object, ...]:
    return replace(purchase, version=0), account.lots, account.owed
